//! What `trimtab trace` says of a packet, to be compared with what becomes of a real one.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use serde_json::Value;
use trimtab::plan::{Planned, plan};
use trimtab_config::{Config, Overrides};
use trimtab_core::objects::LocalAddress;
use trimtab_core::{Family, Protocol};
use trimtab_host::VipBinding;
use trimtab_host::rules::RuleSet;
use trimtab_integration::cluster::{ProxyBuilder, objects};
use trimtab_integration::topology::{Host, PodNetwork, address};
use trimtab_kube::manifest::{Manifest, read_text};
use trimtab_trace::{End, Node, Outcome, Packet, Place, Trace, trace};

/// Follows packets on one node, as `trimtab trace -f` does.
pub(crate) struct Tracer {
    planned: Planned,
    rules: Vec<RuleSet>,
    local: Vec<LocalAddress>,
    pod_networks: Vec<ipnet::IpNet>,
    binding: VipBinding,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// One of these real servers answers, and sees the client as itself or as this node.
    Answered(Vec<(SocketAddr, Seen)>),
    /// The sender is told that nobody is there.
    Refused,
    /// Nobody answers.
    Silence,
    /// It is no Service's.
    NotAService,
}

/// As whom a real server sees a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    Itself,
    ThisNode,
}

impl Tracer {
    /// For a node whose program has this configuration, in a cluster of two nodes with these objects.
    pub(crate) fn new(
        node: u8,
        network: PodNetwork,
        proxy: &ProxyBuilder,
        objects: &[Value],
    ) -> Self {
        let name = format!("node{node}");
        let (mut file, _) =
            trimtab_config::parse(Path::new("test"), proxy.configuration()).unwrap();
        file.mode = Some("ipvs".to_owned());
        let overrides = Overrides { hostname: Some(name), ..Overrides::default() };
        let (config, _): (Config, _) = trimtab_config::resolve(&file, &overrides).unwrap();
        let mut manifest = Manifest::default();
        let nodes = [1, 2].map(|number| objects::node(number, &serde_json::json!({})));
        for object in nodes.iter().chain(objects) {
            read_text("test", &object.to_string(), &mut manifest).unwrap();
        }
        let interfaces: &[&str] = match network {
            PodNetwork::Routed => &["veth1", "veth2"],
            PodNetwork::Bridged => &["cni0"],
        };
        let mut local = Vec::new();
        for family in Family::ALL {
            let mut add = |interface: &str, address| {
                local.push(LocalAddress { interface: interface.into(), address });
            };
            add("eth0", address::node(node, family));
            for name in interfaces {
                add(name, address::pod_gateway(node, family));
            }
        }
        let planned = plan(manifest, &config, local.clone());
        let pod_networks =
            Family::ALL.map(|family| address::pod_cidr(node, family).parse().unwrap()).to_vec();
        let rules = config.rules.rule_sets(&pod_networks, &Family::ALL).unwrap();
        let binding = config.vip_binding;
        Self { planned, rules, local, pod_networks, binding }
    }

    /// Follows a packet of a host. What the node itself sends to an address of its own has that address
    /// as its source.
    pub(crate) fn follow(&self, from: &Host, protocol: Protocol, to: SocketAddr) -> Trace {
        let family = Family::of(to.ip());
        let rules = self.rules.iter().find(|rules| rules.family() == family).unwrap();
        let node = Node {
            state: &self.planned.state,
            rules,
            local: &self.local,
            pod_networks: &self.pod_networks,
        };
        let own: IpAddr = from.address(family);
        let place = node.place_of(own);
        let is_bound =
            self.binding == VipBinding::Address && self.planned.state.addresses.contains(&to.ip());
        let is_local = is_bound || self.local.iter().any(|local| local.address == to.ip());
        let source = if place == Place::Node && is_local { to.ip() } else { own };
        let packet =
            Packet { protocol, source, source_port: None, destination: to, place, interface: None };
        trace(&node, &packet)
    }

    /// The addresses of the real servers that may answer that packet.
    pub(crate) fn answering(&self, from: &Host, protocol: Protocol, to: SocketAddr) -> Vec<IpAddr> {
        match self.fate(from, protocol, to) {
            Fate::Answered(answers) => answers.iter().map(|(server, _)| server.ip()).collect(),
            _ => Vec::new(),
        }
    }

    /// What becomes of that packet.
    pub(crate) fn fate(&self, from: &Host, protocol: Protocol, to: SocketAddr) -> Fate {
        match self.follow(from, protocol, to).outcome {
            Outcome::Balanced { ways, .. } => {
                let mut seen = Vec::new();
                for way in ways {
                    let End::Arrives { masqueraded } = way.end else { return Fate::Silence };
                    let whom = if masqueraded { Seen::ThisNode } else { Seen::Itself };
                    let keys = way.candidates.iter().map(|candidate| candidate.server.key);
                    seen.extend(keys.map(|key| (SocketAddr::new(key.address, key.port), whom)));
                }
                Fate::Answered(seen)
            }
            Outcome::NoRealServer { .. } | Outcome::Rejected => Fate::Refused,
            Outcome::Dropped => Fate::Silence,
            Outcome::ForNode | Outcome::ForOthers { .. } => Fate::NotAService,
        }
    }
}
