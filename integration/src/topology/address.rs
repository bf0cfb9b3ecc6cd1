//! Who has which address, as functions of numbers counted from 1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use trimtab_core::Family;

/// All pods of all nodes.
pub const fn cluster_cidr(family: Family) -> &'static str {
    match family {
        Family::V4 => "10.244.0.0/16",
        Family::V6 => "fd44::/48",
    }
}

/// The range for virtual addresses: nothing else uses it.
pub const fn service_cidr(family: Family) -> &'static str {
    match family {
        Family::V4 => "10.96.0.0/12",
        Family::V6 => "fd96::/108",
    }
}

/// The network of nodes and clients, as a prefix length.
pub(super) const fn node_network_length(family: Family) -> u8 {
    match family {
        Family::V4 => 24,
        Family::V6 => 64,
    }
}

/// A node's.
pub fn node(node: u8, family: Family) -> IpAddr {
    on_fabric(10 + node, family)
}

/// A client's; clients are neighbours of the nodes.
pub fn client(client: u8, family: Family) -> IpAddr {
    on_fabric(200 + client, family)
}

/// A virtual address, not assigned to anything by the topology.
pub fn vip(number: u8, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 96, 0, number).into(),
        Family::V6 => Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, number.into()).into(),
    }
}

/// The fabric's own address: the default route of nodes and clients; packets routed there are
/// dropped.
pub fn fabric(family: Family) -> IpAddr {
    on_fabric(254, family)
}

/// All pods of one node.
pub fn pod_cidr(node: u8, family: Family) -> String {
    match family {
        Family::V4 => format!("10.244.{node}.0/24"),
        Family::V6 => format!("fd44:0:0:{node:x}::/64"),
    }
}

/// The length of that prefix.
pub(super) const fn pod_cidr_length(family: Family) -> u8 {
    match family {
        Family::V4 => 24,
        Family::V6 => 64,
    }
}

/// A pod's, by its node's number and its own on that node.
pub fn pod(node: u8, pod: u8, family: Family) -> IpAddr {
    in_pod_cidr(node, 10 + pod, family)
}

/// The node's address towards its pods: their default route.
pub fn pod_gateway(node: u8, family: Family) -> IpAddr {
    in_pod_cidr(node, 1, family)
}

fn on_fabric(last: u8, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(172, 30, 0, last).into(),
        Family::V6 => Ipv6Addr::new(0xfd30, 0, 0, 0, 0, 0, 0, last.into()).into(),
    }
}

fn in_pod_cidr(node: u8, last: u8, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(10, 244, node, last).into(),
        Family::V6 => Ipv6Addr::new(0xfd44, 0, 0, node.into(), 0, 0, 0, last.into()).into(),
    }
}
