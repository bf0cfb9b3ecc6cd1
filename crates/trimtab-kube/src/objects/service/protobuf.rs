//! Services in protobuf: the numbers of the fields (api: core/v1/generated.proto).

use super::{AffinityConfig, ClientIp, Ingress, LoadBalancer, Port, Spec, Status, Wire};
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
        let text = || Ok(value.set_text()?.map(Into::into));
        match number {
            1 => self.ports.get_or_insert_default().push(value.message()?),
            3 => self.cluster_ip = text()?,
            4 => self.r#type = text()?,
            5 => self.external_ips.get_or_insert_default().push(value.text()?.into()),
            7 => self.session_affinity = text()?,
            9 => {
                self.load_balancer_source_ranges.get_or_insert_default().push(value.text()?.into());
            }
            11 => self.external_traffic_policy = text()?,
            12 => self.health_check_node_port = Some(value.integer()?),
            14 => self.session_affinity_config = Some(value.message()?),
            18 => self.cluster_ips.get_or_insert_default().push(value.text()?.into()),
            19 => self.ip_families.get_or_insert_default().push(value.text()?.into()),
            22 => self.internal_traffic_policy = text()?,
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Port<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.name = value.set_text()?.map(Into::into),
            2 => self.protocol = value.set_text()?.map(Into::into),
            3 => self.port = Some(value.integer()?),
            5 => self.node_port = Some(value.integer()?),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Message<'a> for AffinityConfig {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.client_ip = Some(value.message()?);
        }
        Ok(())
    }
}

impl<'a> Message<'a> for ClientIp {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.timeout_seconds = Some(value.integer()?);
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Status<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.load_balancer = Some(value.message()?);
        }
        Ok(())
    }
}

impl<'a> Message<'a> for LoadBalancer<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.ingress.get_or_insert_default().push(value.message()?);
        }
        Ok(())
    }
}

impl<'a> Message<'a> for Ingress<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.ip = value.set_text()?.map(Into::into),
            3 => self.ip_mode = value.set_text()?.map(Into::into),
            _ => {}
        }
        Ok(())
    }
}
