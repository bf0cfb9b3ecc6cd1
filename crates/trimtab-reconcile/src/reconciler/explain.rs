//! Explaining why a Service is programmed as it is: read only, from the same decisions.

use std::cmp::Ordering;

use trimtab_core::RealServerKey;
use trimtab_core::objects::ObjectName;

use super::Reconciler;
use super::problems::precedence;
use super::real_servers::weight_of;
use crate::backends::{EndpointState, Selection};
use crate::desired::{FrontendSpec, Inside};
use crate::explanation::{
    EndpointExplanation, Explanation, FrontendExplanation, Held, InsideView, PortExplanation,
    PortName,
};
use crate::operation::ServiceId;
use crate::services::{PortEntry, ServiceEntry};
use trimtab_core::objects::TrafficPolicy;

/// Other Services that are named with a frontend.
const MOST_RIVALS: usize = 8;

/// The rows that are told: after those before, as many as there is room for.
struct Rows {
    skip: usize,
    room: usize,
}

impl Rows {
    /// Takes from `count` rows those that are told: how many to skip, and how many to tell.
    fn take(&mut self, count: usize) -> (usize, usize) {
        let skipped = self.skip.min(count);
        self.skip -= skipped;
        let told = self.room.min(count - skipped);
        self.room -= told;
        (skipped, told)
    }
}

impl Reconciler {
    /// Why a Service is programmed as it is; `None` if there is no such Service. At most `limit` rows,
    /// and at least one, after the first `from`: frontends, and then the endpoints of each port.
    pub fn explain(&self, name: &ObjectName, from: usize, limit: usize) -> Option<Explanation> {
        let id = self.input.services.find(name)?;
        let entry = self.input.services.get(id)?;
        entry.service.as_ref()?;
        let mut rows = Rows { skip: from, room: limit.max(1) };
        let (skip, take) = rows.take(entry.specs.iter().len());
        let frontends: Vec<_> =
            entry.specs.iter().skip(skip).take(take).map(|it| self.frontend(id, it)).collect();
        let mut total = entry.specs.iter().len();
        let mut told = frontends.len();
        let (mut own, mut others): (Vec<&PortEntry>, Vec<&PortEntry>) =
            entry.ports.iter().partition(|port| port.declared);
        own.sort_unstable_by_key(|port| port_name(port));
        others.sort_unstable_by_key(|port| port_name(port));
        let mut ports = Vec::with_capacity(own.len());
        for port in own {
            let port = self.port(port, &mut rows);
            total += port.endpoint_count;
            told += port.endpoints.len();
            ports.push(port);
        }
        Some(Explanation {
            service: name.clone(),
            node: self.settings.node_name.clone(),
            zone: self.input.hints.zone().map(Into::into),
            frontends,
            ports,
            other_ports: others.into_iter().map(port_name).collect(),
            elements: entry.elements.clone(),
            problems: self.problems_of(name.clone()).found,
            next: match (from + told).cmp(&total) {
                Ordering::Less => Some(from + told),
                Ordering::Equal | Ordering::Greater => None,
            },
        })
    }

    fn frontend(&self, id: ServiceId, spec: &FrontendSpec) -> FrontendExplanation {
        let server = self.model.tables.virtual_servers.get(&spec.frontend);
        let holder = server.and_then(|server| server.wanted).map(|wanted| wanted.service);
        let other = holder.filter(|holder| *holder != id);
        let held = other.and_then(|other| held(spec, self.input.services.get(other)?));
        let rivals = server.filter(|_| held.is_none()).map_or(&[][..], |server| &server.rivals);
        let mut refused_to: Vec<ObjectName> = rivals
            .iter()
            .filter_map(|rival| self.input.services.get(*rival))
            .map(|entry| entry.name.clone())
            .collect();
        refused_to.sort_unstable();
        refused_to.truncate(MOST_RIVALS);
        FrontendExplanation {
            frontend: spec.frontend,
            kind: spec.kind.into(),
            port: PortName {
                name: spec.port.clone(),
                protocol: spec.protocol,
                family: spec.frontend.family(),
            },
            policy: spec.policy,
            refused_to,
            inside: match spec.inside {
                Inside::Same => InsideView::Same,
                Inside::Mark(mark) => InsideView::Mark(mark),
                Inside::Unmarked => InsideView::WithoutMark,
            },
            elements: if held.is_none() { spec.elements.clone() } else { Vec::new() },
            binds: spec.bind && held.is_none(),
            held,
        }
    }

    fn port(&self, port: &PortEntry, rows: &mut Rows) -> PortExplanation {
        let mut endpoints: Vec<(RealServerKey, EndpointState)> = port.backends.iter().collect();
        endpoints.sort_unstable_by_key(|(key, _)| *key);
        let endpoint_count = endpoints.len();
        let (skip, take) = rows.take(endpoint_count);
        let selection = port.backends.selection();
        let told = endpoints.into_iter().skip(skip).take(take);
        PortExplanation {
            port: port_name(port),
            slices: port.slices as usize,
            topology: port.backends.topology(),
            endpoints: told.map(|(key, state)| self.endpoint(key, state, selection)).collect(),
            endpoint_count,
        }
    }

    fn endpoint(
        &self,
        key: RealServerKey,
        state: EndpointState,
        selection: Selection,
    ) -> EndpointExplanation {
        let hints = &self.input.hints;
        EndpointExplanation {
            key,
            node: self.input.symbols.name(state.node()).map(Into::into),
            conditions: state.conditions(),
            hints: hints.hints(state.hints()).cloned().unwrap_or_default(),
            weight: weight_of(state, self.input.nodes.as_ref()),
            cluster: selection.verdict(TrafficPolicy::Cluster, state, hints),
            local: selection.verdict(TrafficPolicy::Local, state, hints),
        }
    }
}

fn port_name(port: &PortEntry) -> PortName {
    PortName { name: port.name.clone(), protocol: port.protocol, family: port.family }
}

fn held(spec: &FrontendSpec, holder: &ServiceEntry) -> Option<Held> {
    let kind = holder.spec(&spec.frontend)?.kind;
    let because = precedence(spec.kind, kind);
    Some(Held { by: holder.name.clone(), kind: kind.into(), because })
}
