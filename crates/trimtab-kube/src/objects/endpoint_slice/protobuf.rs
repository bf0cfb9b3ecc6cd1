//! EndpointSlices in protobuf: the numbers of the fields (api: discovery/v1/generated.proto).

use super::{ConditionsWire, EndpointWire, FirstAddress, HintsWire, Named, PortWire, Wire};
use crate::protobuf::{Malformed, Message, Value};

impl<'a> Message<'a> for Wire<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.metadata = value.message()?,
            2 => self.endpoints.get_or_insert_default().push(value.message()?),
            3 => self.ports.get_or_insert_default().push(value.message()?),
            4 => self.address_type = value.set_text()?.map(Into::into),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Message<'a> for EndpointWire<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 if self.addresses == FirstAddress::Missing => {
                self.addresses = FirstAddress::read(value.text()?);
            }
            2 => self.conditions = Some(value.message()?),
            6 => self.node_name = Some(value.text()?.into()),
            8 => self.hints = Some(value.message()?),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Message<'a> for ConditionsWire {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.ready = Some(value.truth()?),
            2 => self.serving = Some(value.truth()?),
            3 => self.terminating = Some(value.truth()?),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Message<'a> for HintsWire<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.for_zones.get_or_insert_default().push(value.message()?),
            2 => self.for_nodes.get_or_insert_default().push(value.message()?),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Named<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.name = value.text()?.into();
        }
        Ok(())
    }
}

impl<'a> Message<'a> for PortWire<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.name = value.set_text()?.map(Into::into),
            2 => self.protocol = value.set_text()?.map(Into::into),
            3 => self.port = Some(value.integer()?),
            _ => {}
        }
        Ok(())
    }
}
