//! What an API server completes in a Service: addresses, families, ports, policies.
//!
//! Only what is missing is filled in, and only where the shape is what it should be: a test of bad
//! input gets its bad input through unharmed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value, json};

use super::metadata::text;

/// First addresses given to Services that ask for none, far from those that people write down;
/// in kubeadm's default Service range 10.96.0.0/12, and an IPv6 range of the same shape.
const FIRST_IPV4: Ipv4Addr = Ipv4Addr::new(10, 111, 0, 1);
const FIRST_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0x6f00, 1);
/// `--service-node-port-range` of kube-apiserver.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// Gives out addresses and node ports that no Service has.
pub(crate) struct Allocator<'a> {
    /// Whether some Service holds this JSON text.
    pub(crate) is_taken: &'a dyn Fn(&str) -> bool,
    /// Where to begin looking: a number that differs from write to write, so that the first look
    /// nearly always succeeds.
    pub(crate) from: usize,
}

impl Allocator<'_> {
    fn address(&self, is_ipv6: bool) -> Option<IpAddr> {
        self.places(0xffff)
            .filter_map(|place| u32::try_from(place).ok())
            .map(|place| {
                if is_ipv6 {
                    Ipv6Addr::from_bits(FIRST_IPV6.to_bits() + u128::from(place)).into()
                } else {
                    Ipv4Addr::from_bits(FIRST_IPV4.to_bits() + place).into()
                }
            })
            .find(|ip: &IpAddr| !(self.is_taken)(&format!("\"{ip}\"")))
    }

    /// Free ports, each once.
    fn node_ports(&self) -> impl Iterator<Item = u16> {
        self.places(NODE_PORTS.len()).filter_map(|place| NODE_PORTS.clone().nth(place)).filter(
            |port| {
                !(self.is_taken)(&format!("\"nodePort\":{port}"))
                    && !(self.is_taken)(&format!("\"healthCheckNodePort\":{port}"))
            },
        )
    }

    fn places(&self, count: usize) -> impl Iterator<Item = usize> {
        let from = self.from;
        (0..count).map(move |step| (from + step) % count)
    }
}

/// Completes the spec. `old` is the Service that is replaced; what it was given is kept.
pub(crate) fn complete_service(
    service: &mut Map<String, Value>,
    old: Option<&Map<String, Value>>,
    allocator: &Allocator<'_>,
) {
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let old = old.and_then(|old| old.get("spec")).and_then(Value::as_object);
    fill(spec, "type", || "ClusterIP".into());
    fill(spec, "sessionAffinity", || "None".into());
    if text(spec, "sessionAffinity") == Some("ClientIP") {
        fill(spec, "sessionAffinityConfig", || json!({"clientIP": {"timeoutSeconds": 10_800}}));
    }
    let service_type = text(spec, "type").unwrap_or_default().to_owned();
    complete_ports(spec);
    if service_type == "ExternalName" {
        return;
    }
    complete_addresses(spec, old, allocator);
    fill(spec, "internalTrafficPolicy", || "Cluster".into());
    let is_load_balancer = service_type == "LoadBalancer";
    if is_load_balancer || service_type == "NodePort" {
        fill(spec, "externalTrafficPolicy", || "Cluster".into());
        if is_load_balancer {
            fill(spec, "allocateLoadBalancerNodePorts", || true.into());
        }
        complete_node_ports(spec, old, is_load_balancer, allocator);
    }
}

fn complete_ports(spec: &mut Map<String, Value>) {
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        fill(port, "protocol", || "TCP".into());
        if let Some(number) = port.get("port").cloned() {
            fill(port, "targetPort", || number);
        }
    }
}

fn complete_addresses(
    spec: &mut Map<String, Value>,
    old: Option<&Map<String, Value>>,
    allocator: &Allocator<'_>,
) {
    let first = spec.get("clusterIPs").and_then(|ips| ips.get(0)).and_then(Value::as_str);
    match (text(spec, "clusterIP"), first) {
        (Some(ip), None) => {
            let ips = json!([ip]);
            spec.insert("clusterIPs".into(), ips);
        }
        (None, Some(ip)) => {
            let ip = ip.into();
            spec.insert("clusterIP".into(), ip);
        }
        (None, None) => {
            let kept = old.filter(|old| text(old, "clusterIP").is_some());
            if let Some(old) = kept {
                for field in ["clusterIP", "clusterIPs"] {
                    if let Some(value) = old.get(field) {
                        spec.insert(field.into(), value.clone());
                    }
                }
            } else {
                let ips: Vec<String> = wanted_families(spec)
                    .into_iter()
                    .filter_map(|is_ipv6| allocator.address(is_ipv6))
                    .map(|ip| ip.to_string())
                    .collect();
                spec.insert("clusterIP".into(), ips.first().cloned().into());
                spec.insert("clusterIPs".into(), ips.into());
            }
        }
        (Some(_), Some(_)) => {}
    }
    let families: Vec<&str> = strings(spec, "clusterIPs")
        .into_iter()
        .filter(|ip| *ip != "None")
        .map(|ip| if ip.contains(':') { "IPv6" } else { "IPv4" })
        .collect();
    let families = if families.is_empty() { vec!["IPv4"] } else { families };
    let policy = if families.len() > 1 { "RequireDualStack" } else { "SingleStack" };
    let families = families.into();
    fill(spec, "ipFamilies", || families);
    fill(spec, "ipFamilyPolicy", || policy.into());
}

/// Whether each address to be given is IPv6.
fn wanted_families(spec: &Map<String, Value>) -> Vec<bool> {
    let mut wanted: Vec<bool> =
        strings(spec, "ipFamilies").into_iter().map(|family| family == "IPv6").collect();
    if wanted.is_empty() {
        wanted.push(false);
    }
    if text(spec, "ipFamilyPolicy").is_some_and(|policy| policy != "SingleStack") {
        let other = !wanted[0];
        if wanted.len() == 1 {
            wanted.push(other);
        }
    }
    wanted
}

fn complete_node_ports(
    spec: &mut Map<String, Value>,
    old: Option<&Map<String, Value>>,
    is_load_balancer: bool,
    allocator: &Allocator<'_>,
) {
    let mut free = allocator.node_ports();
    let kept = |field: &str| old.and_then(|old| old.get(field)).cloned();
    if is_load_balancer && text(spec, "externalTrafficPolicy") == Some("Local") {
        fill(spec, "healthCheckNodePort", || {
            kept("healthCheckNodePort").unwrap_or_else(|| free.next().into())
        });
    }
    if is_load_balancer && spec.get("allocateLoadBalancerNodePorts") == Some(&Value::Bool(false)) {
        return;
    }
    let old_ports = kept("ports").and_then(|ports| ports.as_array().cloned()).unwrap_or_default();
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        if port.get("nodePort").and_then(Value::as_u64) == Some(0) {
            port.remove("nodePort");
        }
        let is_same = |old: &&Value| {
            ["port", "protocol"].into_iter().all(|field| old.get(field) == port.get(field))
        };
        let kept = old_ports.iter().find(is_same).and_then(|old| old.get("nodePort")).cloned();
        fill(port, "nodePort", || kept.unwrap_or_else(|| free.next().into()));
    }
}

fn strings<'a>(map: &'a Map<String, Value>, field: &str) -> Vec<&'a str> {
    let values = map.get(field).and_then(Value::as_array);
    values.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn fill(map: &mut Map<String, Value>, field: &str, value: impl FnOnce() -> Value) {
    if map.get(field).is_none_or(|value| value.is_null() || value.as_str() == Some("")) {
        map.insert(field.to_owned(), value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(spec: Value, old: Option<Value>, taken: &[&str]) -> Value {
        let wrap = |spec: Value| Map::from_iter([("spec".to_owned(), spec)]);
        let mut service = wrap(spec);
        let is_taken = |text: &str| taken.contains(&text);
        let allocator = Allocator { is_taken: &is_taken, from: 0 };
        complete_service(&mut service, old.map(wrap).as_ref(), &allocator);
        service["spec"].clone()
    }

    #[test]
    fn a_bare_service_becomes_usable() {
        let spec = completed(json!({"ports": [{"port": 80}]}), None, &["\"10.111.0.1\""]);
        assert_eq!(
            spec,
            json!({
                "type": "ClusterIP",
                "clusterIP": "10.111.0.2",
                "clusterIPs": ["10.111.0.2"],
                "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
                "sessionAffinity": "None",
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            })
        );
    }

    #[test]
    fn addresses_survive_a_replacement_that_names_none() {
        let old = json!({"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7", "fd00:96::7"]});
        let spec = completed(json!({"ports": []}), Some(old), &[]);
        assert_eq!(spec["clusterIPs"], json!(["10.96.0.7", "fd00:96::7"]));
        assert_eq!(spec["ipFamilies"], json!(["IPv4", "IPv6"]));
    }

    #[test]
    fn node_ports_survive_a_replacement_that_names_none() {
        let ports = json!([{"port": 80, "protocol": "TCP", "nodePort": 31_234}]);
        let old = json!({"type": "NodePort", "ports": ports});
        let new = json!({"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]});
        let spec = completed(new, Some(old), &[]);
        assert_eq!(spec["ports"][0]["nodePort"], 31_234);
        assert_eq!(spec["ports"][1]["nodePort"], 30_000);
    }

    #[test]
    fn both_families_are_given_on_request() {
        let spec = completed(json!({"ipFamilyPolicy": "PreferDualStack"}), None, &[]);
        assert_eq!(spec["clusterIPs"], json!(["10.111.0.1", "fd00:96::6f00:1"]));
    }

    #[test]
    fn node_ports_are_given_where_asked_for() {
        let ports = json!([{"port": 80}, {"port": 81, "nodePort": 31_000}]);
        let spec = completed(
            json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": ports}),
            None,
            &["\"nodePort\":30000"],
        );
        assert_eq!(spec["healthCheckNodePort"], 30_001);
        assert_eq!(spec["ports"][0]["nodePort"], 30_002);
        assert_eq!(spec["ports"][1]["nodePort"], 31_000);
        let without = json!({
            "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}],
        });
        assert_eq!(completed(without, None, &[])["ports"][0].get("nodePort"), None);
    }

    #[test]
    fn nonsense_passes_unharmed() {
        for spec in [json!("text"), json!({"ports": "http", "clusterIP": 7, "type": "ClusterIP"})] {
            let done = completed(spec.clone(), None, &[]);
            assert_eq!(done.get("ports"), spec.get("ports"));
        }
    }

    #[test]
    fn an_external_name_gets_no_address() {
        let spec = completed(json!({"type": "ExternalName", "externalName": "a.b"}), None, &[]);
        assert_eq!(spec.get("clusterIP"), None);
    }
}
