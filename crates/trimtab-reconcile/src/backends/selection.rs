//! How endpoints are chosen: readiness, then policy or topology.

use super::EndpointState;
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
        match policy {
            TrafficPolicy::Cluster => match self.cluster {
                Cluster::Ready => state.is_ready(),
                Cluster::SameNode => state.is_ready() && hints.meaning(state.hints()).this_node,
                Cluster::SameZone => state.is_ready() && hints.meaning(state.hints()).this_zone,
                Cluster::Terminating => state.is_serving_terminating(),
            },
            TrafficPolicy::Local => {
                state.is_local()
                    && match self.local {
                        Local::Ready => state.is_ready(),
                        Local::Terminating => state.is_serving_terminating(),
                    }
            }
        }
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

    /// What the counts say: PreferSameNode if every ready endpoint has a node hint and one is for
    /// this node; else PreferSameZone likewise; else no preference.
    pub(crate) const fn selection(self) -> Selection {
        let cluster = if self.ready == 0 {
            Cluster::Terminating
        } else if self.node_hinted == self.ready && self.this_node > 0 {
            Cluster::SameNode
        } else if self.zone_hinted == self.ready && self.this_zone > 0 {
            Cluster::SameZone
        } else {
            Cluster::Ready
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
