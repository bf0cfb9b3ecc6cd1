//! The commands that create a topology: pure text.

use std::net::IpAddr;

use trimtab_core::Family;

use super::address;
use super::layout::{Layout, NodeLayout, PodNetwork};

/// The name of the namespace between nodes and clients.
pub(super) const FABRIC: &str = "fabric";

/// Stands for the prefix of namespace names, in lines that name another namespace.
const PREFIX: &str = "@";

/// All namespaces, in the order in which their lines are to be carried out: the fabric, then each
/// node before its pods, then the clients.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) spaces: Vec<Space>,
}

/// One namespace.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// Without the prefix.
    pub(super) name: String,
    /// Its address in each of [`Family::ALL`].
    pub(super) addresses: [IpAddr; 2],
    /// Paths below /proc/sys, to be set before any link is there.
    pub(super) sysctls: Vec<(&'static str, &'static str)>,
    /// Lines for `ip -batch`, to be carried out inside.
    pub(super) lines: Vec<String>,
}

/// Replaces the stand-in for the prefix.
pub(super) fn resolve(line: &str, prefix: &str) -> String {
    line.replace(PREFIX, prefix)
}

impl Plan {
    /// The plan of `layout`.
    pub(super) fn of(layout: &Layout) -> Self {
        let numbered_nodes = || (1..).zip(&layout.nodes);
        let mut spaces = vec![fabric(layout)];
        for (id, node) in numbered_nodes() {
            let others = numbered_nodes().map(|(other, _)| other).filter(|other| *other != id);
            spaces.push(self::node(id, node, others));
            spaces.extend((1..=node.pods).map(|pod| self::pod(id, node, pod)));
        }
        spaces.extend((1..=layout.clients).map(client));
        Self { spaces }
    }
}

impl Space {
    fn new(name: String, address: impl Fn(Family) -> IpAddr) -> Self {
        // Neighbour discovery for others uses the link-local address, which is unavailable for
        // seconds during duplicate address detection.
        let sysctls =
            vec![("net/ipv6/conf/all/accept_dad", "0"), ("net/ipv6/conf/default/accept_dad", "0")];
        let addresses = Family::ALL.map(address);
        Self { name, addresses, sysctls, lines: vec!["link set lo up".to_owned()] }
    }

    fn push(&mut self, line: String) {
        self.lines.push(line);
    }

    fn address(&mut self, address: IpAddr, length: u8, link: &str) {
        // Even with nothing to wait for, an address without this is tentative for a moment.
        let flags = if address.is_ipv6() { " nodad" } else { "" };
        self.push(format!("address add {address}/{length} dev {link}{flags}"));
    }

    /// A veth whose other end is `eth0` in another namespace.
    fn veth(&mut self, name: &str, to: &str) {
        self.push(format!("link add {name} type veth peer name eth0 netns {PREFIX}-{to}"));
    }

    /// Addresses on `eth0`, and the default route.
    fn attach(&mut self, length: impl Fn(Family) -> u8, gateway: impl Fn(Family) -> IpAddr) {
        for (family, address) in Family::ALL.into_iter().zip(self.addresses) {
            self.address(address, length(family), "eth0");
        }
        self.push("link set eth0 up".to_owned());
        for family in Family::ALL {
            let gateway = gateway(family);
            if length(family) == family.host_prefix() {
                self.push(format!("route add {gateway} dev eth0"));
            }
            self.push(format!("route add {} via {gateway}", everything(family)));
        }
    }
}

/// It forwards frames but not packets: packets sent to its address for routing are dropped here.
fn fabric(layout: &Layout) -> Space {
    let mut space = Space::new(FABRIC.to_owned(), address::fabric);
    let nodes = (1..).zip(&layout.nodes).map(|(node, _)| node_name(node));
    let clients = (1..=layout.clients).map(client_name);
    bridge(&mut space, "br0", nodes.chain(clients).map(|name| (name.clone(), name)));
    for (family, address) in Family::ALL.into_iter().zip(space.addresses) {
        space.address(address, address::node_network_length(family), "br0");
    }
    space
}

/// A bridge `name` with veths, each by its name here and the namespace it leads to.
fn bridge(space: &mut Space, name: &str, ports: impl Iterator<Item = (String, String)>) {
    // Snooping may hold back neighbour solicitations, which are multicasts.
    space.push(format!("link add {name} type bridge forward_delay 0 mcast_snooping 0"));
    space.push(format!("link set {name} up"));
    for (port, to) in ports {
        space.veth(&port, &to);
        space.push(format!("link set {port} master {name} up"));
    }
}

fn node(id: u8, layout: &NodeLayout, others: impl Iterator<Item = u8>) -> Space {
    let mut space = Space::new(node_name(id), |family| address::node(id, family));
    let forwarding = if layout.is_router { "1" } else { "0" };
    space.sysctls.extend([
        ("net/ipv4/ip_forward", forwarding),
        ("net/ipv6/conf/all/forwarding", forwarding),
        ("net/ipv6/conf/default/forwarding", forwarding),
        // Answers of a load balancer may come back another way.
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/default/rp_filter", "0"),
    ]);
    space.attach(address::node_network_length, address::fabric);
    for other in others {
        for family in Family::ALL {
            let (pods, node) = (address::pod_cidr(other, family), address::node(other, family));
            space.push(format!("route add {pods} via {node}"));
        }
    }
    let veths = (1..=layout.pods).map(|pod| (pod, format!("veth{pod}"), pod_name(id, pod)));
    match layout.pod_network {
        PodNetwork::Routed => {
            // One address on many links, as a host address on each: the pods' way in.
            for (pod, veth, to) in veths {
                space.veth(&veth, &to);
                space.push(format!("link set {veth} up"));
                for family in Family::ALL {
                    let gateway = address::pod_gateway(id, family);
                    let (pod, node) = (address::pod(id, pod, family), address::node(id, family));
                    space.address(gateway, family.host_prefix(), &veth);
                    space.push(format!("route add {pod} dev {veth} src {node}"));
                }
            }
        }
        PodNetwork::Bridged => {
            space.sysctls.extend([
                ("net/bridge/bridge-nf-call-iptables", "1"),
                ("net/bridge/bridge-nf-call-ip6tables", "1"),
            ]);
            bridge(&mut space, "cni0", veths.clone().map(|(_, veth, to)| (veth, to)));
            // As CNI's bridge plug-in does with hairpinMode: an answer that a pod sends to itself
            // leaves by the port on which it came, as br_netfilter bridges what NAT turned around.
            for (_, veth, _) in veths {
                space.push(format!("link set {veth} type bridge_slave hairpin on"));
            }
            for family in Family::ALL {
                let gateway = address::pod_gateway(id, family);
                space.address(gateway, address::pod_cidr_length(family), "cni0");
            }
        }
    }
    space
}

fn pod(node: u8, layout: &NodeLayout, pod: u8) -> Space {
    let mut space = Space::new(pod_name(node, pod), |family| address::pod(node, pod, family));
    let length = match layout.pod_network {
        PodNetwork::Routed => Family::host_prefix,
        PodNetwork::Bridged => address::pod_cidr_length,
    };
    space.attach(length, |family| address::pod_gateway(node, family));
    space
}

pub(super) fn node_name(node: u8) -> String {
    format!("node{node}")
}

pub(super) fn pod_name(node: u8, pod: u8) -> String {
    format!("node{node}-pod{pod}")
}

pub(super) fn client_name(client: u8) -> String {
    format!("client{client}")
}

fn client(id: u8) -> Space {
    let mut space = Space::new(client_name(id), |family| address::client(id, family));
    space.attach(address::node_network_length, address::fabric);
    space
}

const fn everything(family: Family) -> &'static str {
    match family {
        Family::V4 => "0.0.0.0/0",
        Family::V6 => "::/0",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn space<'a>(plan: &'a Plan, name: &str) -> &'a Space {
        plan.spaces.iter().find(|space| space.name == name).unwrap()
    }

    fn one_node(node: NodeLayout) -> Plan {
        Plan::of(&Layout { nodes: vec![node], clients: 0 })
    }

    #[test]
    fn every_namespace_has_addresses_of_its_own() {
        let plan = Plan::of(&Layout {
            nodes: vec![NodeLayout { pods: 200, ..NodeLayout::default() }; 50],
            clients: 50,
        });
        let addresses: HashSet<_> = plan.spaces.iter().flat_map(|space| space.addresses).collect();
        assert_eq!(addresses.len(), 2 * (1 + 50 * 201 + 50));
    }

    #[test]
    fn every_veth_leads_to_a_namespace_that_comes_later() {
        let plan = Plan::of(&Layout::default());
        for (at, space) in plan.spaces.iter().enumerate() {
            let later: Vec<_> = plan.spaces[at + 1..].iter().map(|space| &space.name).collect();
            for line in &space.lines {
                if let Some((_, to)) = line.split_once(" peer name eth0 netns @-") {
                    assert!(later.iter().any(|name| *name == to), "{line}");
                }
            }
        }
    }

    #[test]
    fn nodes_have_routes_to_the_pods_of_all_others_and_not_to_their_own() {
        let plan = Plan::of(&Layout::default());
        let lines = &space(&plan, "node2").lines;
        assert!(lines.contains(&"route add 10.244.1.0/24 via 172.30.0.11".to_owned()), "{lines:?}");
        assert!(lines.contains(&"route add fd44:0:0:1::/64 via fd30::b".to_owned()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("route add 10.244.2.0")), "{lines:?}");
    }

    #[test]
    fn only_a_router_forwards() {
        for (is_router, value) in [(true, "1"), (false, "0")] {
            let plan = one_node(NodeLayout { is_router, ..NodeLayout::default() });
            assert!(space(&plan, "node1").sysctls.contains(&("net/ipv4/ip_forward", value)));
        }
    }

    #[test]
    fn a_bridged_pod_shares_a_network_with_its_neighbours_and_a_routed_one_is_alone() {
        for (pod_network, address) in [
            (PodNetwork::Bridged, "address add 10.244.1.11/24 dev eth0"),
            (PodNetwork::Routed, "address add 10.244.1.11/32 dev eth0"),
        ] {
            let plan = one_node(NodeLayout { pod_network, ..NodeLayout::default() });
            assert!(space(&plan, "node1-pod1").lines.contains(&address.to_owned()));
        }
    }
}
