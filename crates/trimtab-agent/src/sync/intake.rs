//! Taking changes in.

use tokio::time::Instant;
use tracing::{debug, warn};
use trimtab_core::objects::{LocalAddress, ObjectName};
use trimtab_kube::objects::NodeState;
use trimtab_kube::{Arrival, Change, Kind};
use trimtab_reconcile::ports::{DataPlane, HostNews};

use super::{Stage, SyncLoop};
use crate::feed::feed;
use crate::measure;

impl<D: DataPlane> SyncLoop<D> {
    /// Processes an arrival; returns how many changes it had.
    pub(super) fn take_all(&mut self, arrival: Arrival) -> usize {
        self.waits_since(arrival.at);
        let count = arrival.changes.len();
        measure::arrived(&arrival.changes);
        for change in arrival.changes {
            self.take(change);
        }
        count
    }

    /// The input has changed, so there may be work.
    fn waits_since(&mut self, at: Instant) {
        if self.stage != Stage::Listing && self.pending_since.is_none() {
            self.pending_since = Some(at);
            self.shared.health.queued();
        }
    }

    /// Takes in what the host's kernel told.
    pub(super) fn take_host_news(&mut self, news: HostNews) {
        let now = Instant::now();
        match news {
            HostNews::LocalAddresses(addresses) => {
                self.waits_since(now);
                self.lists.addresses();
                let addresses = self.addresses.set(addresses, now);
                self.set_local_addresses(addresses);
            }
            HostNews::Unbound(vips) => self.drift += self.reconciler.observe_unbound(vips),
        }
    }

    fn take(&mut self, change: Change) {
        match &change {
            Change::Begin(kind) => self.lists.begin(*kind),
            Change::End(kind) => self.end_of_list(*kind),
            Change::Service(decoded) => {
                self.lists.service(&decoded.name);
                self.findings.service(decoded);
            }
            Change::ServiceGone(name) => self.findings.service_gone(name),
            Change::Slice(decoded, changed) => {
                self.lists.slice(&decoded.name);
                self.findings.slice(decoded, &self.reconciler);
                if self.stage == Stage::Ready {
                    self.triggers.extend(*changed);
                }
            }
            Change::SliceGone(name) => self.findings.slice_gone(name),
            Change::Node(state) => self.note_node(state.as_ref()),
            Change::NodeWeight(decoded) => {
                self.lists.node_weight(&decoded.name);
                if self.settings.config.node_weights {
                    self.findings.node(decoded);
                }
            }
            Change::NodeWeightGone(name) => self.findings.node_gone(name),
        }
        let is_node = matches!(change, Change::Node(Some(_)));
        feed(&mut self.reconciler, &self.settings.config, change);
        if is_node {
            self.node_addresses_changed();
        }
    }

    /// Publishes what others need of our Node object. If it is deleted, only health checks change:
    /// this node still exists.
    fn note_node(&mut self, state: Option<&NodeState>) {
        self.lists.node();
        self.shared.health.set_node(state.is_some_and(|state| state.eligible));
        let Some(NodeState { facts, .. }) = state else { return };
        self.shared.pod_networks.send_if_modified(|networks| {
            let changed = *networks != facts.pod_cidrs;
            networks.clone_from(&facts.pod_cidrs);
            changed
        });
    }

    pub(super) fn set_local_addresses(&mut self, addresses: Vec<LocalAddress>) {
        self.reconciler.set_local_addresses(addresses);
        self.node_addresses_changed();
    }

    /// VIPs may depend on the node's own addresses.
    fn node_addresses_changed(&mut self) {
        let (primary, local) = self.reconciler.node_addresses();
        if let Err(error) = self.plane.set_node_addresses(primary, local) {
            warn!(%error, "cannot bind VIPs to the node's new addresses");
        }
    }

    fn end_of_list(&mut self, kind: Kind) {
        let seen = self.lists.end(kind);
        self.listed = true;
        self.findings.keep_only(kind, &seen);
        match kind {
            Kind::Services => {
                let gone: Vec<_> = self
                    .reconciler
                    .service_names()
                    .filter(|name| !seen.contains(*name))
                    .cloned()
                    .collect();
                for name in gone {
                    self.reconciler.delete_service(&name);
                }
            }
            Kind::Slices => {
                let gone: Vec<_> = self
                    .reconciler
                    .slice_names()
                    .filter(|name| !seen.contains(*name))
                    .cloned()
                    .collect();
                for name in gone {
                    self.reconciler.delete_slice(&name);
                }
            }
            Kind::Node if self.lists.node_is_gone() => self.note_node(None),
            Kind::Node => {}
            Kind::NodeWeights => {
                let weighted =
                    self.reconciler.weighted_nodes().map(|node| ObjectName::new("", node));
                let gone: Vec<_> = weighted.filter(|name| !seen.contains(name)).collect();
                for name in gone {
                    self.reconciler.set_node_weight(name.name(), None);
                }
            }
        }
        debug!(kind = kind.as_str(), "listed");
    }
}
