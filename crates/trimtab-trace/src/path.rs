//! The hooks in the order in which the kernel calls them (`nf_ip_hook_priorities`,
//! include/uapi/linux/netfilter_ipv4.h), with IPVS among them (`ip_vs_ops4`,
//! net/netfilter/ipvs/ip_vs_core.c).
//!
//! IPVS takes packets for this node in INPUT, after the filter table, and packets of this node in
//! OUTPUT, after the nat table. It translates them and sends them through OUTPUT, unless the real
//! server is this node. There the nat table is not asked again: a connection has its destination
//! chosen once.

use trimtab_core::{Family, Frontend, RealServer, VirtualServer};
use trimtab_reconcile::VirtualServerState;

use crate::node::Node;
use crate::outcome::{Candidate, End, Outcome, Trace, Way, Where};
use crate::packet::{Packet, Place};
use crate::passing::{Interface, Passing};
use crate::sets;
use crate::step::{Hook, Step};
use crate::tables::{Verdict, pass};

/// Follows a packet.
pub fn trace(node: &Node<'_>, packet: &Packet) -> Trace {
    let mut passing = Passing::new(node, packet);
    let sets = sets::of(node, &passing.headers);
    let mut steps = Vec::new();
    let outcome = match packet.place {
        Place::Node => sent(&mut passing, &mut steps),
        Place::Pod | Place::PodElsewhere | Place::Outside => received(&mut passing, &mut steps),
    };
    Trace { packet: packet.clone(), sets, steps, outcome }
}

/// A packet that comes in.
fn received(passing: &mut Passing<'_>, steps: &mut Vec<Step>) -> Outcome {
    if let Some(end) = through(passing, Hook::Prerouting, &["mangle", "nat"], steps).nowhere() {
        return end;
    }
    if !passing.node.is_local(passing.headers.destination) {
        steps.push(Step::IsForOthers);
        let forward = through(passing, Hook::Forward, &["mangle", "filter"], steps);
        return forward.nowhere().unwrap_or_else(|| leaves(passing, steps));
    }
    steps.push(Step::IsForNode);
    input(passing, steps)
}

/// A packet of this node.
fn sent(passing: &mut Passing<'_>, steps: &mut Vec<Step>) -> Outcome {
    if let Some(end) = through(passing, Hook::Output, &["mangle", "nat"], steps).nowhere() {
        return end;
    }
    if let Some(found) = virtual_server(passing, Hook::Output, steps) {
        return balanced(passing, found, Hook::Output);
    }
    if let Some(end) = through(passing, Hook::Output, &["filter"], steps).nowhere() {
        return end;
    }
    if !passing.node.is_local(passing.headers.destination) {
        return leaves(passing, steps);
    }
    if let Some(end) = through(passing, Hook::Postrouting, &["mangle", "nat"], steps).nowhere() {
        return end;
    }
    steps.push(Step::ComesBack);
    passing.interface = Interface::Named("lo".into());
    input(passing, steps)
}

/// A packet for this node.
fn input(passing: &mut Passing<'_>, steps: &mut Vec<Step>) -> Outcome {
    if let Some(end) = through(passing, Hook::Input, &["mangle", "filter"], steps).nowhere() {
        return end;
    }
    match virtual_server(passing, Hook::Input, steps) {
        Some(found) => balanced(passing, found, Hook::Input),
        None => Outcome::ForNode,
    }
}

/// A packet that no virtual server takes, on its way out.
fn leaves(passing: &mut Passing<'_>, steps: &mut Vec<Step>) -> Outcome {
    let out = through(passing, Hook::Postrouting, &["mangle", "nat"], steps);
    let masqueraded = out == Verdict::Masqueraded;
    out.nowhere().unwrap_or(Outcome::ForOthers { masqueraded })
}

/// Through some tables at one hook.
fn through(
    passing: &mut Passing<'_>,
    hook: Hook,
    tables: &[&str],
    steps: &mut Vec<Step>,
) -> Verdict {
    for table in tables {
        let verdict = pass(passing, hook, table, steps);
        if verdict != Verdict::Passes {
            return verdict;
        }
    }
    Verdict::Passes
}

impl Verdict {
    /// The outcome, if the packet ends here.
    const fn nowhere(self) -> Option<Outcome> {
        match self {
            Self::Passes | Self::Masqueraded => None,
            Self::Dropped => Some(Outcome::Dropped),
            Self::Rejected => Some(Outcome::Rejected),
        }
    }
}

/// The virtual server that takes a packet: of its mark, of its address and port, of its address and
/// any port (`ip_vs_service_find`, net/netfilter/ipvs/ip_vs_ctl.c).
fn virtual_server<'a>(
    passing: &Passing<'a>,
    hook: Hook,
    steps: &mut Vec<Step>,
) -> Option<&'a VirtualServerState> {
    let state = passing.node.state;
    let (mark, headers) = (passing.mark, passing.headers);
    let family = Family::of(headers.destination);
    let at = |port| Frontend::new(headers.protocol, headers.destination, port);
    let frontends = [
        (mark != 0).then_some(Frontend::Mark { mark, family }),
        Some(at(headers.destination_port)),
        Some(at(0)),
    ];
    let found = frontends.iter().flatten().find_map(|it| state.virtual_servers.get(it));
    steps.push(match found {
        Some(found) => Step::HasVirtualServer { hook, frontend: found.server.frontend },
        None => Step::HasNoVirtualServer { hook, mark },
    });
    found
}

fn balanced(passing: &Passing<'_>, found: &VirtualServerState, hook: Hook) -> Outcome {
    let server: VirtualServer = found.server.clone();
    let (willing, drained): (Vec<RealServer>, Vec<RealServer>) =
        found.real_servers.values().partition(|real| real.weight > 0);
    if willing.is_empty() {
        return Outcome::NoRealServer { server, drained };
    }
    let mut ways: Vec<Way> = Vec::new();
    for real in willing {
        let (place, steps, end) = onwards(passing.clone(), &real, hook);
        let candidate = Candidate { server: real, place };
        match ways.iter_mut().find(|way| way.end == end && way.steps == steps) {
            Some(way) => way.candidates.push(candidate),
            None => ways.push(Way { candidates: vec![candidate], steps, end }),
        }
    }
    Outcome::Balanced { server, ways, drained }
}

/// The way from IPVS to a real server.
fn onwards(mut passing: Passing<'_>, to: &RealServer, hook: Hook) -> (Where, Vec<Step>, End) {
    let mut steps = Vec::new();
    let node = passing.node;
    (passing.headers.destination, passing.headers.destination_port) = (to.key.address, to.key.port);
    let is_node = node.is_local(to.key.address);
    let place = if is_node {
        Where::Node
    } else if node.has_endpoint(passing.headers.protocol, to.key) {
        Where::Here
    } else {
        Where::Elsewhere
    };
    passing.interface = Interface::None;
    let mut go = |hook, tables: &[&str]| through(&mut passing, hook, tables, &mut steps);
    // A real server on this node: the packet goes on where it is (ip_vs_nat_send_or_cont).
    let verdict = match (is_node, hook) {
        (true, Hook::Input) => Verdict::Passes,
        (true, _) => go(Hook::Output, &["filter"]),
        (false, _) => go(Hook::Output, &["mangle", "filter"]),
    };
    let verdict = match verdict {
        Verdict::Passes if is_node && hook == Hook::Input => Verdict::Passes,
        Verdict::Passes => go(Hook::Postrouting, &["mangle", "nat"]),
        other => other,
    };
    let end = match verdict {
        Verdict::Passes if !is_node && passing.headers.source == to.key.address => End::FromItself,
        Verdict::Passes => End::Arrives { masqueraded: false },
        Verdict::Masqueraded => End::Arrives { masqueraded: true },
        Verdict::Dropped => End::Dropped,
        Verdict::Rejected => End::Rejected,
    };
    (place, steps, end)
}
