//! A Service, as far as it matters here.

use std::net::IpAddr;
use std::time::Duration;

use crate::{Protocol, Scheduler, VirtualServerFlags};
use ipnet::IpNet;

use super::ObjectName;

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `namespace/name`.
    pub name: ObjectName,
    /// `metadata.uid`, for Events about it.
    pub uid: Box<str>,
    /// `metadata.creationTimestamp`, seconds since 1970. Of two Services with the same kind of
    /// claim to one frontend the older wins.
    pub created: i64,
    /// `spec.type`.
    pub kind: ServiceType,
    /// One address for each family the Service has; none for a headless Service.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// `status.loadBalancer.ingress[].ip` whose ipMode is VIP or absent.
    pub load_balancer_ips: Vec<IpAddr>,
    /// `spec.loadBalancerSourceRanges` with their host bits cleared; `None` lets everyone in, an
    /// empty list nobody.
    pub source_ranges: Option<Vec<IpNet>>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// `spec.internalTrafficPolicy`.
    pub internal_policy: TrafficPolicy,
    /// `spec.externalTrafficPolicy`.
    pub external_policy: TrafficPolicy,
    /// With `spec.sessionAffinity: ClientIP`, the seconds a client keeps its endpoint.
    pub affinity: Option<u32>,
    /// `spec.healthCheckNodePort`, 0 if there is none.
    pub health_check_node_port: u16,
    /// What the Service's own annotations ask for.
    pub tuning: Tuning,
}

impl Service {
    /// A `ClusterIP` Service without addresses or ports, for building up.
    pub fn new(name: ObjectName) -> Self {
        Self {
            name,
            uid: "".into(),
            created: 0,
            kind: ServiceType::ClusterIp,
            cluster_ips: Vec::new(),
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            source_ranges: None,
            ports: Vec::new(),
            internal_policy: TrafficPolicy::Cluster,
            external_policy: TrafficPolicy::Cluster,
            affinity: None,
            health_check_node_port: 0,
            tuning: Tuning::default(),
        }
    }

    /// Whether the Service can be reached from outside the cluster, so that its external traffic
    /// policy counts.
    pub fn is_externally_accessible(&self) -> bool {
        match self.kind {
            ServiceType::LoadBalancer | ServiceType::NodePort => true,
            ServiceType::ClusterIp => !self.external_ips.is_empty(),
        }
    }

    /// The external traffic policy where it counts, else Cluster.
    pub fn effective_external_policy(&self) -> TrafficPolicy {
        if self.is_externally_accessible() { self.external_policy } else { TrafficPolicy::Cluster }
    }
}

/// `spec.type`; an ExternalName Service has nothing to proxy and never gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceType {
    /// Reachable inside the cluster, and by its external IPs.
    ClusterIp,
    /// Also by a port of every node.
    NodePort,
    /// Also by a load balancer.
    LoadBalancer,
}

/// Which endpoints may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Any.
    Cluster,
    /// Only those on this node.
    Local,
}

/// One of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name, empty where there is only one port.
    pub name: Box<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port of the VIPs.
    pub port: u16,
    /// The port of the nodes, 0 if there is none.
    pub node_port: u16,
}

/// What the `trimtab.dev/` annotations of one Service ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// `trimtab.dev/scheduler`, instead of the cluster's.
    pub scheduler: Option<Scheduler>,
    /// `trimtab.dev/scheduler-flags`, instead of the scheduler's usual ones.
    pub scheduler_flags: Option<VirtualServerFlags>,
    /// `trimtab.dev/one-packet`: UDP without connections.
    pub one_packet: bool,
    /// `trimtab.dev/max-connections` of each real server, 0 for no limit.
    pub max_connections: u32,
    /// `trimtab.dev/drain-timeout`, instead of the cluster's.
    pub drain_timeout: Option<Duration>,
    /// `trimtab.dev/traffic-metrics`, instead of what the configuration says.
    pub traffic_metrics: TrafficMetrics,
}

/// Which metrics of its traffic a Service has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrafficMetrics {
    /// Those that the configuration chooses.
    #[default]
    Configured,
    /// None.
    Off,
    /// Per Service port.
    Service,
    /// Per Service port and per endpoint.
    Endpoints,
}
