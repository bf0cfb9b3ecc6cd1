//! EndpointSlices.

mod protobuf;

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use trimtab_core::objects::{Conditions, Endpoint, EndpointSlice, Hints, ObjectName, SlicePort};
use trimtab_core::{Family, Protocol};

use super::decoded::{Decoded, Problems, Severity, quoted};
use super::metadata::Metadata;
use super::service::port_number;
use super::text::Text;
use crate::protobuf::{Malformed, Message as _};

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const HEADLESS: &str = "service.kubernetes.io/headless";
pub(super) const WEIGHT: &str = "trimtab.dev/weight";
pub(super) const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// An EndpointSlice as it comes from the API server or a manifest.
#[derive(Clone, Debug)]
pub struct EndpointSliceObject {
    /// `metadata.resourceVersion`: where a watch continues after this object.
    pub(crate) revision: Option<String>,
    /// What it says.
    pub decoded: Decoded<EndpointSlice>,
    /// When the change that led to this version of the slice happened, if the annotation is set.
    pub changed: Option<jiff::Timestamp>,
}

impl EndpointSliceObject {
    /// Decodes an EndpointSlice in protobuf, without an envelope.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn from_protobuf(bytes: &[u8]) -> Result<Self, Malformed> {
        Wire::decode(bytes).map(Self::from)
    }
}

impl<'de> Deserialize<'de> for EndpointSliceObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wire::deserialize(deserializer).map(Self::from)
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Wire<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    address_type: Option<Text<'a>>,
    #[serde(borrow)]
    endpoints: Option<Vec<EndpointWire<'a>>>,
    #[serde(borrow)]
    ports: Option<Vec<PortWire<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EndpointWire<'a> {
    addresses: FirstAddress,
    conditions: Option<ConditionsWire>,
    #[serde(borrow)]
    node_name: Option<Text<'a>>,
    #[serde(borrow)]
    hints: Option<HintsWire<'a>>,
}

/// The first of `addresses`, read without copying its text: there may be a hundred thousand. The
/// API says that all addresses of an endpoint are interchangeable and that only the first is to be
/// used.
#[derive(Debug, Default, PartialEq)]
enum FirstAddress {
    #[default]
    Missing,
    Ip(IpAddr),
    /// The invalid text, if it is not an address.
    Other(Box<str>),
}

impl FirstAddress {
    fn read(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Other(text.into()), Self::Ip)
    }
}

impl<'de> Deserialize<'de> for FirstAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(FirstAddressVisitor)
    }
}

struct FirstAddressVisitor;

impl<'de> Visitor<'de> for FirstAddressVisitor {
    type Value = FirstAddress;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_none<E>(self) -> Result<FirstAddress, E> {
        Ok(FirstAddress::Missing)
    }

    fn visit_unit<E>(self) -> Result<FirstAddress, E> {
        Ok(FirstAddress::Missing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<FirstAddress, D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<FirstAddress, A::Error> {
        let first = list.next_element::<Text<'_>>()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.map_or(FirstAddress::Missing, |text| FirstAddress::read(&text)))
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ConditionsWire {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HintsWire<'a> {
    #[serde(borrow)]
    for_zones: Option<Vec<Named<'a>>>,
    #[serde(borrow)]
    for_nodes: Option<Vec<Named<'a>>>,
}

#[derive(Deserialize, Default)]
struct Named<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PortWire<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    protocol: Option<Text<'a>>,
    port: Option<i64>,
}

impl From<Wire<'_>> for EndpointSliceObject {
    fn from(mut wire: Wire<'_>) -> Self {
        let mut problems = Problems::default();
        let name = wire.metadata.object_name();
        let uid = wire.metadata.uid.as_deref().unwrap_or_default().into();
        let revision = wire.metadata.take_revision();
        let changed = wire.metadata.annotations.get(LAST_CHANGE).and_then(|text| text.parse().ok());
        let value = decode(wire, &name, &mut problems);
        let decoded = Decoded { name, uid, value, problems: problems.into_inner() };
        Self { revision, decoded, changed }
    }
}

fn decode(wire: Wire<'_>, name: &ObjectName, problems: &mut Problems) -> Option<EndpointSlice> {
    let mut skip = |field: String, message: &str| {
        problems.add(Severity::Skipped, field, message.to_owned());
    };
    let labels = &wire.metadata.labels;
    if labels.get(HEADLESS).is_some() {
        skip(format!("metadata.labels[{HEADLESS}]"), "its Service is headless");
        return None;
    }
    let Some(service) = labels.get(SERVICE_NAME).filter(|service| !service.is_empty()) else {
        skip(
            format!("metadata.labels[{SERVICE_NAME}]"),
            "missing; the slice belongs to no Service",
        );
        return None;
    };
    let family = match wire.address_type.as_deref() {
        Some("IPv4") => Family::V4,
        Some("IPv6") => Family::V6,
        Some("FQDN") => {
            skip("addressType".into(), "a slice of DNS names is not proxied");
            return None;
        }
        other => {
            let word = quoted(other.unwrap_or_default());
            problems.invalid("addressType", format!("{word} is not IPv4, IPv6 or FQDN"));
            return None;
        }
    };
    let service = ObjectName::new(name.namespace(), service);
    let weight = weight(wire.metadata.annotations.get(WEIGHT), problems);
    let ports = ports(wire.ports.as_deref().unwrap_or_default(), problems);
    let wire_endpoints = wire.endpoints.unwrap_or_default();
    let mut endpoints = Vec::with_capacity(wire_endpoints.len());
    for (index, endpoint) in wire_endpoints.into_iter().enumerate() {
        endpoints.extend(decode_endpoint(index, endpoint, family, problems));
    }
    Some(EndpointSlice { name: name.clone(), service, family, ports, endpoints, weight })
}

fn decode_endpoint(
    index: usize,
    wire: EndpointWire<'_>,
    family: Family,
    problems: &mut Problems,
) -> Option<Endpoint> {
    let field = || format!("endpoints[{index}].addresses[0]");
    let address = match wire.addresses {
        FirstAddress::Ip(address) => address,
        FirstAddress::Missing => {
            problems.invalid(field(), "missing; the endpoint is left out".into());
            return None;
        }
        FirstAddress::Other(text) => {
            let message =
                format!("{} is not an IP address; the endpoint is left out", quoted(&text));
            problems.invalid(field(), message);
            return None;
        }
    };
    if Family::of(address) != family {
        let message = format!("{address} is not an {family} address; the endpoint is left out");
        problems.invalid(field(), message);
        return None;
    }
    let conditions = wire.conditions.unwrap_or_default();
    let hints = wire.hints.unwrap_or_default();
    let names = |list: Option<Vec<Named<'_>>>| {
        list.unwrap_or_default().into_iter().map(|named| named.name.into()).collect()
    };
    Some(Endpoint {
        address,
        conditions: Conditions {
            ready: conditions.ready.unwrap_or(true),
            serving: conditions.serving.unwrap_or(true),
            terminating: conditions.terminating.unwrap_or(false),
        },
        node: wire.node_name.map(Into::into),
        hints: Hints { zones: names(hints.for_zones), nodes: names(hints.for_nodes) },
    })
}

fn ports(wire: &[PortWire<'_>], problems: &mut Problems) -> Vec<SlicePort> {
    let mut found = Vec::with_capacity(wire.len());
    for (index, port) in wire.iter().enumerate() {
        let field = |name: &str| format!("ports[{index}].{name}");
        // Without a number the port means "every port", which a proxy cannot serve.
        let Some(number) = port.port.filter(|number| *number != 0) else { continue };
        let Some(number) = port_number(number) else {
            let message = format!("{number} is not between 1 and 65535; the port is left out");
            problems.invalid(field("port"), message);
            continue;
        };
        let word = port.protocol.as_deref().filter(|word| !word.is_empty()).unwrap_or("TCP");
        let Ok(protocol) = word.parse::<Protocol>() else {
            let message = format!("{} is not TCP, UDP or SCTP; the port is left out", quoted(word));
            problems.invalid(field("protocol"), message);
            continue;
        };
        let name = port.name.as_deref().unwrap_or_default().into();
        found.push(SlicePort { name, protocol, port: number });
    }
    found
}

/// A weight for round robin and least connection: 0 to 65535.
pub(super) fn weight(value: Option<&str>, problems: &mut Problems) -> Option<u16> {
    let value = value?;
    let weight = value.parse().ok();
    if weight.is_none() {
        let message = format!("{} is not a number from 0 to 65535; ignored", quoted(value));
        problems.add(Severity::Ignored, format!("metadata.annotations[{WEIGHT}]"), message);
    }
    weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_endpoints_addresses_only_the_first_is_looked_at() {
        let text = r#"{"metadata": {"labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "endpoints": [
                {"addresses": ["10.244.0.1", "10.244.0.2"]},
                {"addresses": ["10.244.0.\u0033", "nonsense", 7]},
                {"addresses": ["nonsense", "10.244.0.4"]},
                {"addresses": []},
                {"addresses": null}]}"#;
        let decoded = serde_json::from_str::<EndpointSliceObject>(text).unwrap().decoded;
        let endpoints = decoded.value.unwrap().endpoints;
        let addresses: Vec<_> = endpoints.iter().map(|one| one.address.to_string()).collect();
        assert_eq!(addresses, ["10.244.0.1", "10.244.0.3"]);
        let problems: Vec<_> = decoded.problems.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(problems, [2, 3, 4].map(|index| format!("endpoints[{index}].addresses[0]")));
    }
}
