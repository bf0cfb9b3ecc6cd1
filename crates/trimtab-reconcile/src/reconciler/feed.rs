//! Objects as they arrive.

use std::time::Duration;

use trimtab_core::{Family, Scheduler};

use super::Reconciler;
use super::health_check::has_health_check;
use crate::desired::{Desired, NodeView, complete, desired};
use crate::operation::ServiceId;
use crate::problem::Problem;
use crate::services::{FrontendSpecs, ServiceEntry};
use trimtab_core::objects::{LocalAddress, NodeObject, ObjectName, Service};

/// How long a scheduler that the kernel lacks is not asked for again.
const SCHEDULERS_AGAIN: Duration = Duration::from_secs(5 * 60);

impl Reconciler {
    /// A Service was added or changed.
    pub fn apply_service(&mut self, service: Service) {
        let id = self.input.services.intern(&service.name);
        let Some(entry) = self.input.services.get_mut(id) else { return };
        if entry.service.as_deref() == Some(&service) {
            return;
        }
        // Another Service of the same name, whose deletion was missed, has another place among the
        // claimants of a frontend.
        if entry.service.as_ref().is_some_and(|known| known.created != service.created) {
            self.withdraw(id);
        }
        let Some(entry) = self.input.services.get_mut(id) else { return };
        let old = entry.service.replace(Box::new(service));
        let new = entry.service.as_deref();
        let checked = old.as_deref().into_iter().chain(new).any(has_health_check);
        let checked = checked.then(|| entry.name.clone());
        let another = old.as_deref().zip(new).is_some_and(|(old, new)| old.uid != new.uid);
        let measured_otherwise = old.as_deref().zip(new).is_some_and(|(old, new)| {
            old.tuning.traffic_metrics != new.tuning.traffic_metrics || old.ports != new.ports
        });
        if old.is_none() {
            self.input.services.count += 1;
        }
        if let Some(name) = checked {
            self.health_check_changed(&name);
        }
        if another {
            self.problems_changed(id);
        }
        self.derive(id);
        if measured_otherwise {
            self.owners_changed(id);
        }
    }

    /// A Service was deleted, or none of our business any more.
    pub fn delete_service(&mut self, name: &ObjectName) {
        let Some(id) = self.input.services.find(name) else { return };
        self.withdraw(id);
        if let Some(old) = self.input.services.get_mut(id).and_then(|entry| entry.service.take()) {
            self.input.services.count -= 1;
            if has_health_check(&old) {
                self.health_check_changed(name);
            }
        }
        self.input.services.tidy(id);
    }

    /// The names of all Services that were applied and not deleted: after a new list, those that
    /// are not on it have gone.
    pub fn service_names(&self) -> impl Iterator<Item = &ObjectName> {
        self.input
            .services
            .iter()
            .filter(|(_, entry)| entry.service.is_some())
            .map(|(_, e)| &e.name)
    }

    /// The uid of a Service that was applied and not deleted.
    pub fn service_uid(&self, name: &ObjectName) -> Option<&str> {
        let entry = self.input.services.get(self.input.services.find(name)?)?;
        entry.service.as_ref().map(|service| &*service.uid)
    }

    /// Our Node object was added or changed.
    pub fn apply_node(&mut self, node: NodeObject) {
        if self.input.hints.set_zone(node.zone.as_deref()) {
            self.topology_changed();
        }
        self.input.node_object = node;
        self.node_changed();
    }

    /// The addresses on the node's interfaces, those on the dummy interface left out.
    pub fn set_local_addresses(&mut self, addresses: Vec<LocalAddress>) {
        let reachable = addresses.iter().filter(|address| address.is_reachable());
        self.model.own_addresses.extend(reachable.map(|address| address.address));
        self.input.local_addresses = addresses;
        self.node_changed();
    }

    /// How many virtual servers the kernel has or should have, and how many real servers behind
    /// them.
    pub fn server_counts(&self) -> (usize, usize) {
        let entries = &self.model.tables.virtual_servers;
        (entries.len(), entries.values().map(|entry| entry.servers.len()).sum())
    }

    /// The node's addresses: as its Node object has them, and on its interfaces.
    pub fn node_addresses(&self) -> (&[std::net::IpAddr], &[LocalAddress]) {
        (&self.input.node_object.addresses, &self.input.local_addresses)
    }

    /// Derives again what depends on the node's addresses: rare, and it concerns every Service that
    /// has a node port or a VIP of its own choosing.
    fn node_changed(&mut self) {
        let node = NodeView::new(
            &self.input.local_addresses,
            &self.input.node_object.addresses,
            &self.settings.node_port_addresses,
        )
        .lacking_as(&self.input.node);
        if node == self.input.node {
            return;
        }
        self.input.node = node;
        for id in self.input.services.ids() {
            let service = self.input.services.get(id).and_then(|entry| entry.service.as_ref());
            if let Some(service) = service.filter(|service| has_health_check(service)) {
                let name = service.name.clone();
                self.health_check_changed(&name);
            }
            let service = self.input.services.get(id).and_then(|entry| entry.service.as_ref());
            if service.is_some_and(|service| {
                !service.external_ips.is_empty()
                    || !service.load_balancer_ips.is_empty()
                    || service.ports.iter().any(|port| port.node_port != 0)
            }) {
                self.derive(id);
            }
        }
    }

    /// The kernel turned out to lack a scheduler. Services that ask for it get the configured one,
    /// and are given theirs in a while if it is there by then; whether that is so.
    pub(super) fn scheduler_lacks(&mut self, scheduler: Scheduler, now: Duration) -> bool {
        if scheduler == self.settings.scheduler {
            return false;
        }
        if self.input.node.set_lacking(scheduler) {
            self.work.schedulers_due.get_or_insert(now + SCHEDULERS_AGAIN);
            self.scheduler_changed(scheduler);
        }
        true
    }

    /// Schedulers that the kernel lacked may be there by now: their modules can be loaded later.
    pub(super) fn try_schedulers_again(&mut self, now: Duration) {
        if self.work.schedulers_due.is_none_or(|due| due > now) {
            return;
        }
        self.work.schedulers_due = None;
        for scheduler in self.input.node.take_lacking() {
            self.scheduler_changed(scheduler);
        }
    }

    fn scheduler_changed(&mut self, scheduler: Scheduler) {
        for id in self.input.services.ids() {
            let service = self.input.services.get(id).and_then(|entry| entry.service.as_ref());
            let of_views = scheduler == Scheduler::MaglevHashing && self.settings.marks.is_some();
            if service.is_some_and(|service| {
                service.tuning.scheduler == Some(scheduler)
                    || of_views && service.affinity.is_some()
            }) {
                self.derive(id);
            }
        }
    }

    /// Derives what a Service asks for and takes over the difference.
    pub(super) fn derive(&mut self, id: ServiceId) {
        let Some(entry) = self.input.services.get(id) else { return };
        let Some(service) = entry.service.as_deref() else { return };
        let Desired { mut specs, elements, problems } =
            desired(service, &self.input.node, &self.settings);
        let views = &self.model.views;
        let marked = complete(&entry.name, &mut specs, &self.input.node, |view| views.mark(view));
        self.note_unmarked(id, !marked);
        self.take_refused(id, problems);
        self.declare_ports(id);
        self.take_specs(id, FrontendSpecs::new(specs));
        self.take_elements(id, elements);
    }

    fn take_refused(&mut self, id: ServiceId, refused: Vec<Problem>) {
        let Some(entry) = self.input.services.get_mut(id) else { return };
        if entry.refused != refused {
            entry.refused = refused;
            self.problems_changed(id);
        }
    }

    /// Takes back all that a Service asked for.
    fn withdraw(&mut self, id: ServiceId) {
        self.note_unmarked(id, false);
        self.take_refused(id, Vec::new());
        self.take_specs(id, FrontendSpecs::default());
        self.take_elements(id, Vec::new());
        let ports = self.input.services.get(id).map_or(0, |entry| entry.ports.end());
        for port in 0..ports {
            self.set_declared(id, port, false);
        }
    }

    /// Marks which ports the Service has, in each of its families.
    fn declare_ports(&mut self, id: ServiceId) {
        let Some(entry) = self.input.services.get_mut(id) else { return };
        let declared = ports_of(entry, &self.settings.families);
        for (place, declared) in declared.into_iter().enumerate() {
            self.set_declared(id, place, declared);
        }
    }
}

/// Of each place, whether its port is one that the Service has, making those where need be.
fn ports_of(entry: &mut ServiceEntry, families: &[Family]) -> Vec<bool> {
    let Some(service) = entry.service.take() else { return Vec::new() };
    let mut declared = vec![false; entry.ports.end()];
    for address in &service.cluster_ips {
        let family = Family::of(*address);
        if families.contains(&family) {
            for port in &service.ports {
                let place = entry.ports.place(&port.name, port.protocol, family);
                declared.resize(entry.ports.end(), false);
                declared[place] = true;
            }
        }
    }
    entry.service = Some(service);
    declared
}
