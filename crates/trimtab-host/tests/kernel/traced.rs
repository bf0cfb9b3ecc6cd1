//! What `trimtab trace` says of a packet, for every packet of these tests.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use trimtab_core::objects::LocalAddress;
use trimtab_core::{
    Family, Frontend, Protocol, RealServer, RealServerKey, Scheduler, SetId, VirtualServer,
};
use trimtab_host::ipset::Client;
use trimtab_host::rules::RuleSet;
use trimtab_reconcile::{KernelState, VirtualServerState};
use trimtab_trace::{End, Node, Outcome, Packet, trace};

use crate::cluster::{self, Plan};
use crate::namespace::Namespace;

/// What may become of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// One of these.
    OneOf(Vec<cluster::Outcome>),
    /// A program of the node gets it, which may not be there.
    ForNode(IpAddr),
}

impl Expected {
    pub(crate) fn allows(&self, found: cluster::Outcome) -> bool {
        match self {
            Self::OneOf(all) => all.contains(&found),
            Self::ForNode(source) => {
                [cluster::Outcome::From(*source), cluster::Outcome::Refused].contains(&found)
            }
        }
    }
}

/// Follows a TCP packet on the node, by what its kernel holds.
pub(crate) fn follow(
    node: &Namespace,
    plan: &Plan,
    rules: &RuleSet,
    vips: &[IpAddr],
    source: IpAddr,
    to: SocketAddr,
) -> Expected {
    let state = state(node, plan.family, vips);
    let local: Vec<LocalAddress> = plan
        .interfaces()
        .into_iter()
        .map(|(interface, address)| LocalAddress { interface: interface.into(), address })
        .collect();
    let pod_networks = [plan.pod_net.parse().unwrap()];
    let node = Node { state: &state, rules, local: &local, pod_networks: &pod_networks };
    let packet = Packet {
        protocol: Protocol::Tcp,
        source,
        source_port: None,
        destination: to,
        place: node.place_of(source),
        interface: None,
    };
    let of_node = || local.iter().map(|it| cluster::Outcome::From(it.address)).collect::<Vec<_>>();
    Expected::OneOf(match trace(&node, &packet).outcome {
        Outcome::Balanced { ways, .. } => ways
            .iter()
            .flat_map(|way| match way.end {
                End::Arrives { masqueraded: true } => of_node(),
                End::Arrives { masqueraded: false } => vec![cluster::Outcome::From(source)],
                End::Dropped | End::FromItself => vec![cluster::Outcome::Silence],
                End::Rejected => vec![cluster::Outcome::Refused],
            })
            .collect(),
        Outcome::NoRealServer { .. } | Outcome::Rejected => vec![cluster::Outcome::Refused],
        Outcome::Dropped => vec![cluster::Outcome::Silence],
        Outcome::ForOthers { masqueraded: true } => of_node(),
        Outcome::ForOthers { masqueraded: false } => vec![cluster::Outcome::From(source)],
        Outcome::ForNode => return Expected::ForNode(source),
    })
}

fn state(node: &Namespace, family: Family, vips: &[IpAddr]) -> KernelState {
    let elements = node.run(move || {
        let mut client = Client::open().unwrap();
        let mut all = std::collections::BTreeSet::new();
        for set in SetId::all().filter(|set| set.family == family) {
            let found = client.list(set.name()).unwrap().unwrap().elements;
            all.extend(found.into_iter().map(|element| (set, element)));
        }
        all
    });
    let addresses = vips.iter().copied().collect();
    let mut state = KernelState { elements, addresses, ..KernelState::default() };
    for line in node.sh("ipvsadm -Sn").lines() {
        take(&mut state, line);
    }
    state
}

/// Takes a line of `ipvsadm -Sn`: `-A -t 10.0.0.1:80 -s rr` or
/// `-a -t 10.0.0.1:80 -r 10.244.0.5:8080 -m -w 1`.
fn take(state: &mut KernelState, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |word: &str| {
        let at = words.iter().position(|it| *it == word)?;
        words.get(at + 1).copied()
    };
    let frontend = match (after("-t"), after("-f")) {
        (Some(at), _) => {
            let at: SocketAddr = at.parse().unwrap();
            Frontend::new(Protocol::Tcp, at.ip(), at.port())
        }
        (None, Some(mark)) => Frontend::Mark {
            mark: mark.parse().unwrap(),
            family: if words.contains(&"-6") { Family::V6 } else { Family::V4 },
        },
        _ => panic!("not understood: {line}"),
    };
    let empty = || VirtualServerState {
        server: VirtualServer::new(frontend, Scheduler::RoundRobin),
        real_servers: BTreeMap::new(),
    };
    let server = state.virtual_servers.entry(frontend).or_insert_with(empty);
    if let Some(real) = after("-r") {
        let at: SocketAddr = real.parse().unwrap();
        let key = RealServerKey::new(at.ip(), at.port());
        let weight = after("-w").unwrap().parse().unwrap();
        server.real_servers.insert(key, RealServer { weight, ..RealServer::masqueraded(key) });
    }
}
