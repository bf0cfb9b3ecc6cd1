//! What one Service asks for: a pure function of the Service, the node and the settings.
//!
//! Endpoints are not part of it: they come and go far more often, and `backends` decides on them.

mod node_view;
mod options;
mod request;

use std::net::IpAddr;

use hashbrown::HashMap;
use trimtab_core::{Family, Frontend, Protocol, SetElement, SetId, SetKind};

pub(crate) use node_view::NodeView;
pub(crate) use options::Options;
pub(crate) use request::{ClaimKind, Request};

use crate::objects::{Service, ServicePort, TrafficPolicy};
use crate::problem::{Problem, Reason};
use crate::settings::Settings;

/// What one Service asks for.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    /// Its frontends, each once.
    pub(crate) requests: Vec<Request>,
    /// Elements that belong to no frontend.
    pub(crate) elements: Vec<(SetId, SetElement)>,
    /// What it asks for and does not get.
    pub(crate) problems: Vec<Problem>,
}

/// What `service` asks for.
pub(crate) fn desired(service: &Service, node: &NodeView, settings: &Settings) -> Desired {
    let mut asked = Asked { service, node, settings, desired: Desired::default() };
    // A headless Service has nothing to proxy, whatever else it says.
    for cluster_ip in &service.cluster_ips {
        let family = Family::of(*cluster_ip);
        if !settings.families.contains(&family) {
            continue;
        }
        for port in &service.ports {
            asked.cluster_ip(*cluster_ip, port);
            asked.external_ips(family, port);
            asked.load_balancer_ips(family, port);
            asked.node_port(family, port);
        }
        asked.health_check(family);
    }
    asked.scheduler();
    asked.desired.requests = merge(asked.desired.requests);
    asked.desired
}

struct Asked<'a> {
    service: &'a Service,
    node: &'a NodeView,
    settings: &'a Settings,
    desired: Desired,
}

impl Asked<'_> {
    fn cluster_ip(&mut self, address: IpAddr, port: &ServicePort) {
        let element = SetElement::IpPort(address, port.protocol, port.port);
        let family = Family::of(address);
        let elements = vec![(SetId::new(SetKind::ClusterIp, family), element)];
        if self.accepts("spec.clusterIPs", address) {
            let policy = self.service.internal_policy;
            self.vip(ClaimKind::ClusterIp, address, port, policy, elements, true);
        }
    }

    fn external_ips(&mut self, family: Family, port: &ServicePort) {
        let policy = self.service.effective_external_policy();
        let kind = match policy {
            TrafficPolicy::Cluster => SetKind::ExternalIp,
            TrafficPolicy::Local => SetKind::ExternalIpLocal,
        };
        for address in of_family(&self.service.external_ips, family) {
            if self.accepts("spec.externalIPs", address) {
                let element = SetElement::IpPort(address, port.protocol, port.port);
                let elements = vec![(SetId::new(kind, family), element)];
                let bind = !self.node.has(address);
                self.vip(ClaimKind::ExternalIp, address, port, policy, elements, bind);
            }
        }
    }

    fn load_balancer_ips(&mut self, family: Family, port: &ServicePort) {
        let policy = self.service.effective_external_policy();
        for address in of_family(&self.service.load_balancer_ips, family) {
            if !self.accepts("status.loadBalancer.ingress", address) {
                continue;
            }
            let element = SetElement::IpPort(address, port.protocol, port.port);
            let mut elements = vec![(SetId::new(SetKind::LoadBalancer, family), element)];
            if policy == TrafficPolicy::Local {
                elements.push((SetId::new(SetKind::LoadBalancerLocal, family), element));
            }
            self.source_ranges(address, port, &mut elements);
            let bind = !self.node.has(address);
            self.vip(ClaimKind::LoadBalancer, address, port, policy, elements, bind);
        }
    }

    /// A list of ranges closes the VIP for everyone else; one without a range of this family closes
    /// it for the whole family.
    fn source_ranges(
        &self,
        address: IpAddr,
        port: &ServicePort,
        elements: &mut Vec<(SetId, SetElement)>,
    ) {
        let Some(ranges) = &self.service.source_ranges else { return };
        let family = Family::of(address);
        let ranges = || ranges.iter().filter(|range| Family::of(range.addr()) == family);
        if ranges().any(|range| range.prefix_len() == 0) {
            return;
        }
        let (protocol, number) = (port.protocol, port.port);
        let mut add = |kind, element| elements.push((SetId::new(kind, family), element));
        add(SetKind::LoadBalancerFirewall, SetElement::IpPort(address, protocol, number));
        for range in ranges() {
            add(
                SetKind::LoadBalancerSourceCidr,
                SetElement::IpPortNet(address, protocol, number, range.trunc()),
            );
        }
        if let Some(own) = self.node.primary(family)
            && ranges().any(|range| range.contains(&own))
        {
            // What the node itself sends to a VIP leaves with the VIP as source.
            let element = SetElement::IpPortIp(address, protocol, number, address);
            add(SetKind::LoadBalancerSourceIp, element);
        }
    }

    fn node_port(&mut self, family: Family, port: &ServicePort) {
        if port.node_port == 0 {
            return;
        }
        let policy = self.service.effective_external_policy();
        let local = policy == TrafficPolicy::Local;
        let (all, local_only) = match port.protocol {
            Protocol::Tcp => (SetKind::NodePortTcp, SetKind::NodePortLocalTcp),
            Protocol::Udp => (SetKind::NodePortUdp, SetKind::NodePortLocalUdp),
            Protocol::Sctp => (SetKind::NodePortSctp, SetKind::NodePortLocalSctp),
        };
        for address in self.node.node_port_addresses(family) {
            let element = match port.protocol {
                Protocol::Sctp => SetElement::IpPort(*address, port.protocol, port.node_port),
                Protocol::Tcp | Protocol::Udp => SetElement::Port(port.node_port),
            };
            let mut elements = vec![(SetId::new(all, family), element)];
            if local {
                elements.push((SetId::new(local_only, family), element));
            }
            self.desired.requests.push(Request {
                frontend: Frontend::new(port.protocol, *address, port.node_port),
                kind: ClaimKind::NodePort,
                port: port.name.clone(),
                policy,
                options: Options::of(self.service, port.protocol, family, self.node, self.settings),
                max_connections: self.service.tuning.max_connections,
                elements,
                bind: false,
            });
        }
    }

    fn scheduler(&mut self) {
        if let Some(asked) = self.service.tuning.scheduler.filter(|asked| self.node.lacks(*asked)) {
            let message = format!(
                "metadata.annotations[trimtab.dev/scheduler]: this node's kernel has no scheduler \
                 {asked}; {} is used",
                self.settings.scheduler
            );
            self.desired.problems.push(Problem { reason: Reason::KernelRefused, message });
        }
    }

    fn health_check(&mut self, family: Family) {
        let port = self.service.health_check_node_port;
        if port != 0 {
            let set = SetId::new(SetKind::HealthCheckNodePort, family);
            self.desired.elements.push((set, SetElement::Port(port)));
        }
    }

    fn vip(
        &mut self,
        kind: ClaimKind,
        address: IpAddr,
        port: &ServicePort,
        policy: TrafficPolicy,
        mut elements: Vec<(SetId, SetElement)>,
        bind: bool,
    ) {
        let family = Family::of(address);
        if bind {
            elements.push((SetId::new(SetKind::IpvsIps, family), SetElement::Ip(address)));
        }
        self.desired.requests.push(Request {
            frontend: Frontend::new(port.protocol, address, port.port),
            kind,
            port: port.name.clone(),
            policy,
            options: Options::of(self.service, port.protocol, family, self.node, self.settings),
            max_connections: self.service.tuning.max_connections,
            elements,
            bind,
        });
    }

    /// Whether `address` can be a VIP; if not, that is noted, once for the Service.
    fn accepts(&mut self, field: &str, address: IpAddr) -> bool {
        let Some(kind) = unusable(address) else { return true };
        let message = format!("{field}: {address} is {kind} and cannot be a VIP");
        if !self.desired.problems.iter().any(|known| known.message == message) {
            self.desired.problems.push(Problem { reason: Reason::RefusedAddress, message });
        }
        false
    }
}

fn of_family(addresses: &[IpAddr], family: Family) -> impl Iterator<Item = IpAddr> + '_ {
    addresses.iter().copied().filter(move |address| Family::of(*address) == family)
}

/// Why an address cannot be a VIP: bound to the dummy interface it would take over traffic that
/// belongs to this host or to one link.
fn unusable(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_multicast() {
        Some("a multicast address")
    } else if link_local {
        Some("a link-local address")
    } else {
        None
    }
}

/// Joins requests for one frontend, such as an external IP that is also a load-balancer IP.
fn merge(requests: Vec<Request>) -> Vec<Request> {
    let mut places: HashMap<Frontend, usize> = HashMap::with_capacity(requests.len());
    let mut merged: Vec<Request> = Vec::with_capacity(requests.len());
    for request in requests {
        match places.get(&request.frontend) {
            None => {
                places.insert(request.frontend, merged.len());
                merged.push(request);
            }
            Some(place) => {
                let first = &mut merged[*place];
                first.bind |= request.bind;
                first.kind = first.kind.min(request.kind);
                for element in request.elements {
                    if !first.elements.contains(&element) {
                        first.elements.push(element);
                    }
                }
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests;
