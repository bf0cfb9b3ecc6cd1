//! Nodes in protobuf: the numbers of the fields (api: core/v1/generated.proto).

use super::{Address, Spec, Status, Taint, Wire};
use crate::protobuf::{Malformed, Message, Value};

impl<'a> Message<'a> for Wire<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.metadata = value.message()?,
            2 => self.spec = Some(value.message()?),
            3 => self.status = Some(value.message()?),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Spec<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.pod_cidr = value.set_text()?.map(Into::into),
            5 => self.taints.get_or_insert_default().push(value.message()?),
            7 => self.pod_cidrs.get_or_insert_default().push(value.text()?.into()),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Taint<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.key = value.text()?.into();
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Status<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 5 {
            self.addresses.get_or_insert_default().push(value.message()?);
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Address<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.r#type = value.text()?.into(),
            2 => self.address = value.text()?.into(),
            _ => {}
        }
        Ok(())
    }
}
