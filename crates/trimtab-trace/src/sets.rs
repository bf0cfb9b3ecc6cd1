//! Which element of a set a packet matches.

use std::net::IpAddr;

use trimtab_core::{Family, Protocol, SetElement, SetId, SetKind, SetType};
use trimtab_host::rules::Side::{self, Destination, Source};

use crate::headers::Headers;
use crate::node::Node;

/// The element that the packet matches with what it has at these sides, as `ip_set_test` finds it.
pub(crate) fn find(
    node: &Node<'_>,
    headers: &Headers,
    set: SetId,
    sides: &[Side],
) -> Option<SetElement> {
    let elements = &node.state.elements;
    let protocol = headers.protocol;
    let address = |at: usize| sides.get(at).map(|side| headers.address(*side));
    let port = |at: usize| sides.get(at).and_then(|side| headers.port(*side));
    let element = match set.kind.set_type() {
        SetType::HashIp => SetElement::Ip(address(0)?),
        // A bitmap of ports sees TCP and UDP only (ip_set_get_ip_port, ip_set_getport.c).
        SetType::BitmapPort if protocol == Protocol::Sctp => return None,
        SetType::BitmapPort => SetElement::Port(port(0)?),
        SetType::HashIpPort if set.kind.has_marks() => {
            return marked(node, set, protocol, address(0)?, port(1)?);
        }
        SetType::HashIpPort => SetElement::IpPort(address(0)?, protocol, port(1)?),
        SetType::HashIpPortIp => SetElement::IpPortIp(address(0)?, protocol, port(1)?, address(2)?),
        SetType::HashIpPortNet => {
            let (ip, number, third) = (address(0)?, port(1)?, address(2)?);
            let contains = |element: &SetElement| {
                matches!(element, SetElement::IpPortNet(of, with, at, network)
                    if (*of, *with, *at) == (ip, protocol, number) && network.contains(&third))
            };
            let mut all = elements.iter().filter(|(of, _)| *of == set).map(|(_, it)| *it);
            return all.find(contains);
        }
    };
    elements.contains(&(set, element)).then_some(element)
}

/// The element with a mark.
fn marked(
    node: &Node<'_>,
    set: SetId,
    protocol: Protocol,
    ip: IpAddr,
    port: u16,
) -> Option<SetElement> {
    let at = |mark| (set, SetElement::IpPortMark(ip, protocol, port, mark));
    node.state.elements.range(at(0)..=at(u32::MAX)).next().map(|(_, element)| *element)
}

/// The sets that have the packet's destination, or its destination with its source.
pub(crate) fn of(node: &Node<'_>, headers: &Headers) -> Vec<(SetId, SetElement)> {
    let family = Family::of(headers.destination);
    let kinds = SetKind::ALL.into_iter().filter(|kind| is_about(*kind, node, headers));
    let found = kinds.filter_map(|kind| {
        let sides: &[Side] = match kind.set_type() {
            SetType::HashIp | SetType::BitmapPort => &[Destination],
            SetType::HashIpPort => &[Destination, Destination],
            SetType::HashIpPortIp | SetType::HashIpPortNet => &[Destination, Destination, Source],
        };
        let set = SetId::new(kind, family);
        find(node, headers, set, sides).map(|element| (set, element))
    });
    found.collect()
}

/// Whether a set says something about packets like this one: the marks that are written as addresses
/// are none, and a node port is one at this node's own addresses and by one protocol.
fn is_about(kind: SetKind, node: &Node<'_>, headers: &Headers) -> bool {
    let at_node = || node.is_local(headers.destination);
    match kind {
        SetKind::Marks => false,
        SetKind::NodePortTcp | SetKind::NodePortLocalTcp => {
            headers.protocol == Protocol::Tcp && at_node()
        }
        SetKind::NodePortUdp | SetKind::NodePortLocalUdp => {
            headers.protocol == Protocol::Udp && at_node()
        }
        SetKind::HealthCheckNodePort => headers.protocol == Protocol::Tcp && at_node(),
        _ => true,
    }
}
