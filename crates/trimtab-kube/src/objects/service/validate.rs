//! From the API object to a Service: validates its fields, and decides how invalid ones are
//! handled.

use std::net::IpAddr;

use ipnet::IpNet;
use trimtab_core::objects::{Service, ServicePort, ServiceType, TrafficPolicy, Tuning};
use trimtab_core::{Family, Protocol};

use super::{PROXY_NAME, Port, Spec, Status, Wire};
use crate::objects::annotations::tuning;
use crate::objects::decoded::{Problems, Severity, quoted};
use crate::objects::text::Text;

/// The default of `sessionAffinityConfig.clientIP.timeoutSeconds`, and its range, as the API
/// documents them.
const AFFINITY_SECONDS: u32 = 10_800;
const LONGEST_AFFINITY: i64 = 86_400;

pub(super) fn decode(wire: &Wire<'_>, problems: &mut Problems) -> Option<Service> {
    let default = Spec::default();
    let spec = wire.spec.as_ref().unwrap_or(&default);
    if wire.metadata.labels.get(PROXY_NAME).is_some() {
        let message = "another service proxy handles it".to_owned();
        problems.add(Severity::Skipped, format!("metadata.labels[{PROXY_NAME}]"), message);
        return None;
    }
    let kind = match spec.r#type.as_deref() {
        None | Some("" | "ClusterIP") => ServiceType::ClusterIp,
        Some("NodePort") => ServiceType::NodePort,
        Some("LoadBalancer") => ServiceType::LoadBalancer,
        Some("ExternalName") => {
            problems.add(Severity::Skipped, "spec.type", "an ExternalName is a DNS entry".into());
            return None;
        }
        Some(other) => {
            problems.invalid("spec.type", format!("unknown type {}", quoted(other)));
            return None;
        }
    };
    let cluster_ips = cluster_ips(spec, problems)?;
    let external_policy =
        policy("spec.externalTrafficPolicy", spec.external_traffic_policy.as_deref(), problems);
    let service = Service {
        uid: wire.metadata.uid.as_deref().unwrap_or_default().into(),
        created: wire.metadata.created(),
        kind,
        cluster_ips,
        external_ips: addresses("spec.externalIPs", spec.external_ips.as_deref(), problems),
        load_balancer_ips: load_balancer_ips(wire.status.as_ref(), problems),
        source_ranges: source_ranges(spec.load_balancer_source_ranges.as_deref(), problems),
        ports: ports(spec.ports.as_deref().unwrap_or_default(), problems),
        internal_policy: policy(
            "spec.internalTrafficPolicy",
            spec.internal_traffic_policy.as_deref(),
            problems,
        ),
        external_policy,
        affinity: affinity(spec, problems),
        health_check_node_port: if kind == ServiceType::LoadBalancer
            && external_policy == TrafficPolicy::Local
        {
            health_check_node_port(spec.health_check_node_port, problems)
        } else {
            0
        },
        tuning: Tuning::default(),
        ..Service::new(wire.metadata.object_name())
    };
    let tuning = tuning(&wire.metadata.annotations, &service.ports, problems);
    Some(Service { tuning, ..service })
}

/// One address for each family; `None` for a headless Service.
fn cluster_ips(spec: &Spec<'_>, problems: &mut Problems) -> Option<Vec<IpAddr>> {
    let list = spec.cluster_ips.as_deref().filter(|list| !list.is_empty());
    let (field, texts) = match (list, &spec.cluster_ip) {
        (Some(list), _) => ("spec.clusterIPs", list),
        (None, Some(one)) => ("spec.clusterIP", std::slice::from_ref(one)),
        (None, None) => ("spec.clusterIP", &[][..]),
    };
    let texts: Vec<&Text<'_>> = texts.iter().filter(|text| !text.is_empty()).collect();
    if texts.iter().any(|text| &***text == "None") {
        problems.add(Severity::Skipped, field, "headless".into());
        return None;
    }
    if texts.is_empty() {
        problems.add(Severity::Skipped, field, "it has no cluster IP".into());
        return None;
    }
    let families = spec.ip_families.as_deref().filter(|families| !families.is_empty());
    let mut found: Vec<IpAddr> = Vec::new();
    for (index, text) in texts.into_iter().enumerate() {
        let Some(address) = address(&format!("{field}[{index}]"), text, problems) else { continue };
        let family = Family::of(address);
        let word = family.to_string();
        let listed = families.is_none_or(|families| families.iter().any(|one| **one == *word));
        if listed && found.iter().all(|other| Family::of(*other) != family) {
            found.push(address);
        }
    }
    (!found.is_empty()).then_some(found)
}

fn address(field: &str, text: &str, problems: &mut Problems) -> Option<IpAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        problems.invalid(field, format!("{} is not an IP address; left out", quoted(text)));
    }
    address
}

fn addresses(field: &str, texts: Option<&[Text<'_>]>, problems: &mut Problems) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for (index, text) in texts.unwrap_or_default().iter().enumerate() {
        if let Some(address) = address(&format!("{field}[{index}]"), text, problems)
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Ingress addresses whose traffic arrives with the VIP as destination; with ipMode Proxy the load
/// balancer sends to the nodes instead.
fn load_balancer_ips(status: Option<&Status<'_>>, problems: &mut Problems) -> Vec<IpAddr> {
    let ingress = status
        .and_then(|status| status.load_balancer.as_ref())
        .and_then(|balancer| balancer.ingress.as_deref())
        .unwrap_or_default();
    let texts: Vec<Text<'_>> = ingress
        .iter()
        .filter(|ingress| matches!(ingress.ip_mode.as_deref(), None | Some("" | "VIP")))
        .filter_map(|ingress| ingress.ip.clone())
        .filter(|ip| !ip.is_empty())
        .collect();
    addresses("status.loadBalancer.ingress", Some(&texts), problems)
}

fn source_ranges(texts: Option<&[Text<'_>]>, problems: &mut Problems) -> Option<Vec<IpNet>> {
    let texts = texts.filter(|texts| !texts.is_empty())?;
    let mut ranges: Vec<IpNet> = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.trim().parse::<IpNet>() {
            Ok(range) => {
                let range = range.trunc();
                if !ranges.contains(&range) {
                    ranges.push(range);
                }
            }
            Err(_) => problems.invalid(
                format!("spec.loadBalancerSourceRanges[{index}]"),
                format!("{} is not a CIDR; it allows no client", quoted(text)),
            ),
        }
    }
    Some(ranges)
}

fn ports(wire: &[Port<'_>], problems: &mut Problems) -> Vec<ServicePort> {
    let mut found = Vec::with_capacity(wire.len());
    for (index, port) in wire.iter().enumerate() {
        let field = |name: &str| format!("spec.ports[{index}].{name}");
        let word = port.protocol.as_deref().filter(|word| !word.is_empty()).unwrap_or("TCP");
        let Ok(protocol) = word.parse::<Protocol>() else {
            let message = format!("{} is not TCP, UDP or SCTP; the port is left out", quoted(word));
            problems.invalid(field("protocol"), message);
            continue;
        };
        let Some(number) = port.port.and_then(port_number) else {
            let message = match port.port {
                Some(number) => {
                    format!("{number} is not between 1 and 65535; the port is left out")
                }
                None => "missing; the port is left out".to_owned(),
            };
            problems.invalid(field("port"), message);
            continue;
        };
        let node_port = match port.node_port {
            None | Some(0) => 0,
            Some(number) => port_number(number).unwrap_or_else(|| {
                let message = format!("{number} is not between 1 and 65535; ignored");
                problems.invalid(field("nodePort"), message);
                0
            }),
        };
        let name = port.name.as_deref().unwrap_or_default().into();
        found.push(ServicePort { name, protocol, port: number, node_port });
    }
    found
}

/// A port that can be connected to.
pub(in crate::objects) fn port_number(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number != 0)
}

fn policy(field: &str, word: Option<&str>, problems: &mut Problems) -> TrafficPolicy {
    match word {
        None | Some("" | "Cluster") => TrafficPolicy::Cluster,
        Some("Local") => TrafficPolicy::Local,
        Some(other) => {
            problems.invalid(field, format!("{} is not Cluster or Local", quoted(other)));
            TrafficPolicy::Cluster
        }
    }
}

fn affinity(spec: &Spec<'_>, problems: &mut Problems) -> Option<u32> {
    match spec.session_affinity.as_deref() {
        None | Some("" | "None") => return None,
        Some("ClientIP") => {}
        Some(other) => {
            problems.invalid(
                "spec.sessionAffinity",
                format!("{} is not None or ClientIP; taken as None", quoted(other)),
            );
            return None;
        }
    }
    let given = spec
        .session_affinity_config
        .as_ref()
        .and_then(|config| config.client_ip.as_ref())
        .and_then(|client| client.timeout_seconds);
    match given {
        None => Some(AFFINITY_SECONDS),
        Some(seconds @ 1..=LONGEST_AFFINITY) => u32::try_from(seconds).ok(),
        Some(seconds) => {
            problems.invalid(
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                format!(
                    "{seconds} is not between 1 and {LONGEST_AFFINITY}; taken as {AFFINITY_SECONDS}"
                ),
            );
            Some(AFFINITY_SECONDS)
        }
    }
}

fn health_check_node_port(number: Option<i64>, problems: &mut Problems) -> u16 {
    match number {
        None | Some(0) => 0,
        Some(number) => port_number(number).unwrap_or_else(|| {
            let message = format!("{number} is not between 1 and 65535; ignored");
            problems.invalid("spec.healthCheckNodePort", message);
            0
        }),
    }
}
