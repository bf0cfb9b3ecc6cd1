//! How endpoints are chosen: readiness, then policy or topology.

use super::EndpointState;
use crate::explanation::{Topology, Verdict};
use crate::hints::HintTable;
use trimtab_core::objects::TrafficPolicy;

/// How the endpoints of a Service port are chosen now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    cluster: Cluster,
    local: Local,
}

/// For frontends that may use any endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cluster {
    /// Every ready one.
    Ready,
    /// The ready ones hinted for this node.
    SameNode,
    /// The ready ones hinted for this node's zone.
    SameZone,
    /// None is ready: those that are on their way out but still answer.
    Terminating,
}

/// For frontends that may use only endpoints on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    /// The ready ones.
    Ready,
    /// None is ready: those that are on their way out but still answer.
    Terminating,
}

impl Selection {
    /// Whether an endpoint gets new connections.
    pub(crate) fn admits(
        self,
        policy: TrafficPolicy,
        state: EndpointState,
        hints: &HintTable,
    ) -> bool {
        self.verdict(policy, state, hints).is_in()
    }

    /// Whether an endpoint gets new connections, and why.
    pub(crate) fn verdict(
        self,
        policy: TrafficPolicy,
        state: EndpointState,
        hints: &HintTable,
    ) -> Verdict {
        match (policy, self.cluster, self.local) {
            (TrafficPolicy::Local, ..) if !state.is_local() => Verdict::NotHere,
            (TrafficPolicy::Local, _, Local::Terminating) if state.is_serving_terminating() => {
                Verdict::LastServingHere
            }
            (TrafficPolicy::Cluster, Cluster::Terminating, _) if state.is_serving_terminating() => {
                Verdict::LastServing
            }
            (TrafficPolicy::Local, _, Local::Terminating)
            | (TrafficPolicy::Cluster, Cluster::Terminating, _) => unready(state),
            _ if !state.is_ready() => unready(state),
            (TrafficPolicy::Local, _, Local::Ready) => Verdict::ReadyHere,
            (TrafficPolicy::Cluster, Cluster::Ready, _) => Verdict::Ready,
            (TrafficPolicy::Cluster, Cluster::SameNode, _) => {
                let is_here = hints.meaning(state.hints()).this_node;
                if is_here { Verdict::HintedForNode } else { Verdict::HintedForOtherNodes }
            }
            (TrafficPolicy::Cluster, Cluster::SameZone, _) => {
                let is_here = hints.meaning(state.hints()).this_zone;
                if is_here { Verdict::HintedForZone } else { Verdict::HintedForOtherZones }
            }
        }
    }
}

/// Why an endpoint does not answer that is neither ready nor the last resort.
fn unready(state: EndpointState) -> Verdict {
    if state.is_serving_terminating() {
        Verdict::Terminating
    } else if state.conditions().terminating {
        Verdict::Terminated
    } else {
        Verdict::NotReady
    }
}

/// Running counts over the endpoints of a Service port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    ready: u32,
    ready_local: u32,
    node_hinted: u32,
    this_node: u32,
    zone_hinted: u32,
    this_zone: u32,
}

impl Tally {
    pub(crate) fn add(&mut self, state: EndpointState, hints: &HintTable) {
        self.count(state, hints, |count| *count += 1);
    }

    pub(crate) fn remove(&mut self, state: EndpointState, hints: &HintTable) {
        self.count(state, hints, |count| *count -= 1);
    }

    /// What the counts say of hints: PreferSameNode if every ready endpoint has a node hint and one is
    /// for this node; else PreferSameZone likewise; else no preference.
    pub(crate) const fn topology(self) -> Topology {
        if self.ready == 0 {
            Topology::NoneReady
        } else if self.node_hinted == self.ready && self.this_node > 0 {
            Topology::SameNode
        } else if self.zone_hinted == self.ready && self.this_zone > 0 {
            Topology::SameZone
        } else if self.node_hinted == 0 && self.zone_hinted == 0 {
            Topology::NoHints
        } else if self.node_hinted < self.ready && self.zone_hinted < self.ready {
            Topology::SomeWithoutHint
        } else {
            Topology::NoneForHere
        }
    }

    /// What the counts say.
    pub(crate) const fn selection(self) -> Selection {
        let cluster = match self.topology() {
            Topology::NoneReady => Cluster::Terminating,
            Topology::SameNode => Cluster::SameNode,
            Topology::SameZone => Cluster::SameZone,
            Topology::NoHints | Topology::SomeWithoutHint | Topology::NoneForHere => Cluster::Ready,
        };
        let local = if self.ready_local > 0 { Local::Ready } else { Local::Terminating };
        Selection { cluster, local }
    }

    fn count(&mut self, state: EndpointState, hints: &HintTable, step: impl Fn(&mut u32)) {
        if !state.is_ready() {
            return;
        }
        let meaning = hints.meaning(state.hints());
        step(&mut self.ready);
        for (holds, count) in [
            (state.is_local(), &mut self.ready_local),
            (meaning.nodes, &mut self.node_hinted),
            (meaning.this_node, &mut self.this_node),
            (meaning.zones, &mut self.zone_hinted),
            (meaning.this_zone, &mut self.this_zone),
        ] {
            if holds {
                step(count);
            }
        }
    }
}
