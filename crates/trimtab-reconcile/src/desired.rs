//! What one Service asks for: a pure function of the Service, the node and the settings.
//!
//! Endpoints are not part of it: they come and go far more often, and `backends` decides on them.

mod frontend_spec;
mod node_view;
mod options;
mod views;

use std::net::IpAddr;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use trimtab_core::{Family, Frontend, Protocol, SetElement, SetId, SetKind};

pub(crate) use frontend_spec::{ClaimKind, FrontendSpec};
pub(crate) use node_view::NodeView;
pub(crate) use options::Options;
pub(crate) use views::{Inside, View, complete};

use crate::problem::{Problem, Reason};
use crate::settings::Settings;
use trimtab_core::objects::{Service, ServicePort, TrafficPolicy};

/// What one Service asks for.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    /// Its frontends, each once, in order.
    pub(crate) specs: Vec<FrontendSpec>,
    /// Elements that belong to no frontend.
    pub(crate) elements: Vec<(SetId, SetElement)>,
    /// What it asks for and does not get.
    pub(crate) problems: Vec<Problem>,
}

/// Frontends of one Service that are served at most. A thousand ports at eight addresses and as many
/// node ports are fewer; and all of them are a second's work for the kernel. A Service of 64 KB can ask
/// for a million, on every node.
const MOST_FRONTENDS: usize = 16_384;
/// Set elements of one Service at most: as many as a set of kube-proxy's holds in all. Source ranges
/// are multiplied by ports and addresses.
const MOST_ELEMENTS: usize = 65_536;
/// Refused addresses that are told one by one: where there are many, they are alike.
const MOST_REFUSED: usize = 8;

/// What `service` asks for.
pub(crate) fn desired(service: &Service, node: &NodeView, settings: &Settings) -> Desired {
    let of_families = |address: &&IpAddr| settings.families.contains(&Family::of(**address));
    // A headless Service has nothing to proxy, whatever else it says.
    let cluster_ips: Vec<IpAddr> =
        service.cluster_ips.iter().filter(of_families).copied().collect();
    let mut asked = Asked {
        service,
        node,
        settings,
        places: HashMap::new(),
        elements: 0,
        total: 0,
        is_cut: false,
        refused: 0,
        desired: Desired::default(),
    };
    // Where there are too many, the strongest claims are served.
    asked.cluster_ips(&cluster_ips);
    for family in cluster_ips.iter().map(|address| Family::of(*address)) {
        asked.load_balancer_ips(family);
    }
    for family in cluster_ips.iter().map(|address| Family::of(*address)) {
        asked.node_ports(family);
    }
    for family in cluster_ips.iter().map(|address| Family::of(*address)) {
        asked.external_ips(family);
        asked.health_check(family);
    }
    asked.scheduler();
    asked.finish()
}

struct Asked<'a> {
    service: &'a Service,
    node: &'a NodeView,
    settings: &'a Settings,
    /// Where in `desired.specs` each frontend is.
    places: HashMap<Frontend, usize>,
    /// Elements of all specs.
    elements: usize,
    /// Frontends asked for, those that two fields ask for counted twice.
    total: usize,
    /// Some are not served, because they are too many.
    is_cut: bool,
    /// How many addresses are refused.
    refused: usize,
    desired: Desired,
}

impl Asked<'_> {
    fn cluster_ips(&mut self, addresses: &[IpAddr]) {
        let (ports, policy) = (&self.service.ports, self.service.internal_policy);
        for address in addresses {
            if !self.accepts("spec.clusterIPs", *address) {
                continue;
            }
            let set = SetId::new(SetKind::ClusterIp, Family::of(*address));
            self.at_each(ports, &[*address], |this, address, port| {
                let element = SetElement::IpPort(address, port.protocol, port.port);
                this.vip(ClaimKind::ClusterIp, address, port, policy, vec![(set, element)], true)
            });
        }
    }

    fn external_ips(&mut self, family: Family) {
        let policy = self.service.effective_external_policy();
        let kind = match policy {
            TrafficPolicy::Cluster => SetKind::ExternalIp,
            TrafficPolicy::Local => SetKind::ExternalIpLocal,
        };
        let (set, ports) = (SetId::new(kind, family), &self.service.ports);
        let addresses = self.accepted("spec.externalIPs", &self.service.external_ips, family);
        self.at_each(ports, &addresses, |this, address, port| {
            let element = SetElement::IpPort(address, port.protocol, port.port);
            let bind = !this.node.has(address);
            this.vip(ClaimKind::ExternalIp, address, port, policy, vec![(set, element)], bind)
        });
    }

    fn load_balancer_ips(&mut self, family: Family) {
        let policy = self.service.effective_external_policy();
        let (ports, given) = (&self.service.ports, &self.service.load_balancer_ips);
        let addresses = self.accepted("status.loadBalancer.ingress", given, family);
        self.at_each(ports, &addresses, |this, address, port| {
            let element = SetElement::IpPort(address, port.protocol, port.port);
            let mut elements = vec![(SetId::new(SetKind::LoadBalancer, family), element)];
            if policy == TrafficPolicy::Local {
                elements.push((SetId::new(SetKind::LoadBalancerLocal, family), element));
            }
            this.source_ranges(address, port, &mut elements);
            let bind = !this.node.has(address);
            this.vip(ClaimKind::LoadBalancer, address, port, policy, elements, bind)
        });
    }

    /// Adds what `spec` makes of each address and port, until there are too many.
    fn at_each(
        &mut self,
        ports: &[ServicePort],
        addresses: &[IpAddr],
        spec: impl Fn(&Self, IpAddr, &ServicePort) -> FrontendSpec,
    ) {
        self.total += addresses.len() * ports.len();
        for port in ports {
            for address in addresses {
                let full = self.desired.specs.len() >= MOST_FRONTENDS;
                if full || self.elements >= MOST_ELEMENTS {
                    self.is_cut = true;
                    return;
                }
                let spec = spec(self, *address, port);
                self.add(spec);
            }
        }
    }

    /// Adds a spec, or joins it with one for the same frontend, such as an external IP that is also
    /// a load-balancer IP.
    fn add(&mut self, spec: FrontendSpec) {
        let specs = &mut self.desired.specs;
        match self.places.entry(spec.frontend) {
            _ if self.elements + spec.elements.len() > MOST_ELEMENTS => self.is_cut = true,
            Entry::Vacant(vacant) => {
                self.elements += spec.elements.len();
                vacant.insert(specs.len());
                specs.push(spec);
            }
            Entry::Occupied(place) => {
                let first = &mut specs[*place.get()];
                first.bind |= spec.bind;
                first.kind = first.kind.min(spec.kind);
                self.elements += spec.elements.len();
                first.elements.extend(spec.elements);
                first.elements.sort_unstable();
                first.elements.dedup();
            }
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

    fn node_ports(&mut self, family: Family) {
        let policy = self.service.effective_external_policy();
        let local = policy == TrafficPolicy::Local;
        let addresses = self.node.node_port_addresses(family);
        for port in self.service.ports.iter().filter(|port| port.node_port != 0) {
            let (all, local_only) = match port.protocol {
                Protocol::Tcp => (SetKind::NodePortTcp, SetKind::NodePortLocalTcp),
                Protocol::Udp => (SetKind::NodePortUdp, SetKind::NodePortLocalUdp),
                Protocol::Sctp => (SetKind::NodePortSctp, SetKind::NodePortLocalSctp),
            };
            self.at_each(std::slice::from_ref(port), addresses, |this, address, port| {
                let element = match port.protocol {
                    Protocol::Sctp => SetElement::IpPort(address, port.protocol, port.node_port),
                    Protocol::Tcp | Protocol::Udp => SetElement::Port(port.node_port),
                };
                let mut elements = vec![(SetId::new(all, family), element)];
                if local {
                    elements.push((SetId::new(local_only, family), element));
                }
                FrontendSpec {
                    frontend: Frontend::new(port.protocol, address, port.node_port),
                    protocol: port.protocol,
                    kind: ClaimKind::NodePort,
                    port: port.name.clone(),
                    policy,
                    inside: this.inside(ClaimKind::NodePort, policy),
                    options: this.options(port, family),
                    max_connections: this.service.tuning.max_connections,
                    elements,
                    bind: false,
                }
            });
        }
    }

    fn options(&self, port: &ServicePort, family: Family) -> Options {
        Options::of(self.service, port.protocol, family, self.node, self.settings)
    }

    /// The external policy is for clients outside; a cluster IP has the internal one, which is for all.
    fn inside(&self, kind: ClaimKind, policy: TrafficPolicy) -> Inside {
        let is_external = kind != ClaimKind::ClusterIp;
        if is_external && policy == TrafficPolicy::Local && self.settings.marks.is_some() {
            Inside::Unmarked
        } else {
            Inside::Same
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
        &self,
        kind: ClaimKind,
        address: IpAddr,
        port: &ServicePort,
        policy: TrafficPolicy,
        mut elements: Vec<(SetId, SetElement)>,
        bind: bool,
    ) -> FrontendSpec {
        let family = Family::of(address);
        if bind {
            elements.push((SetId::new(SetKind::IpvsIps, family), SetElement::Ip(address)));
        }
        FrontendSpec {
            frontend: Frontend::new(port.protocol, address, port.port),
            protocol: port.protocol,
            kind,
            port: port.name.clone(),
            policy,
            inside: self.inside(kind, policy),
            options: self.options(port, family),
            max_connections: self.service.tuning.max_connections,
            elements,
            bind,
        }
    }

    /// Those of `addresses`, which the API server did not allocate, that can be VIPs and may be, each
    /// once.
    fn accepted(&mut self, field: &str, addresses: &[IpAddr], family: Family) -> Vec<IpAddr> {
        let of_family = addresses.iter().filter(|address| Family::of(**address) == family);
        let mut accepted: Vec<IpAddr> = of_family.copied().collect();
        accepted.sort_unstable();
        accepted.dedup();
        accepted.retain(|address| self.accepts_from_outside(field, *address));
        accepted
    }

    /// Whether `address`, which the API server did not allocate, can be a VIP and may be one.
    fn accepts_from_outside(&mut self, field: &str, address: IpAddr) -> bool {
        if !self.accepts(field, address) {
            return false;
        }
        let refusal = self.settings.external_ips.refusal(address, self.node.has(address));
        refusal.inspect(|why| self.refuse(format!("{field}: {address} {why}"))).is_none()
    }

    /// Whether `address` can be a VIP.
    fn accepts(&mut self, field: &str, address: IpAddr) -> bool {
        let kind = unusable(address);
        let refused = kind.inspect(|kind| {
            self.refuse(format!("{field}: {address} is {kind} and cannot be a VIP"));
        });
        refused.is_none()
    }

    /// Notes an address that is not served.
    fn refuse(&mut self, message: String) {
        self.refused += 1;
        if self.refused <= MOST_REFUSED {
            self.desired.problems.push(Problem { reason: Reason::RefusedAddress, message });
        }
    }

    fn finish(mut self) -> Desired {
        let more = self.refused.saturating_sub(MOST_REFUSED);
        if more > 0 {
            let message = format!("{more} more addresses are refused");
            self.desired.problems.push(Problem { reason: Reason::RefusedAddress, message });
        }
        if self.is_cut {
            let message = format!(
                "its ports and addresses make {} frontends; {} are served, and no more than \
                 {MOST_FRONTENDS} with {MOST_ELEMENTS} set elements: cluster IPs first, then \
                 load-balancer IPs, node ports and external IPs",
                self.total,
                self.desired.specs.len(),
            );
            self.desired.problems.push(Problem { reason: Reason::TooManyFrontends, message });
        }
        self.desired.specs.sort_unstable_by_key(|spec| spec.frontend);
        self.desired
    }
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

#[cfg(test)]
mod tests;
