//! Kubernetes objects for the pods of a topology.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};

use crate::topology::address;

/// The Node object of a node, with `more` fields merged into its `metadata`.
pub fn node(number: u8, more: &Value) -> Value {
    let mut node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": format!("node{number}")},
        "spec": {"podCIDRs": Family::ALL.map(|family| address::pod_cidr(number, family))},
        "status": {"addresses": Family::ALL.map(|family| {
            json!({"type": "InternalIP", "address": address::node(number, family)})
        })},
    });
    merge(&mut node["metadata"], more);
    node
}

/// A Service and its endpoints, to be built up.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    name: String,
    vips: Vec<IpAddr>,
    ports: Vec<(String, Protocol, u16, u16)>,
    node_port: Option<u16>,
    metadata: Value,
    spec: Value,
    status: Value,
}

impl ServiceSpec {
    /// A dual-stack Service with the VIPs of this number, without ports.
    pub fn new(name: &str, number: u8) -> Self {
        let vips = Family::ALL.map(|family| address::vip(number, family)).to_vec();
        let nothing = || json!({});
        Self {
            name: name.to_owned(),
            vips,
            ports: Vec::new(),
            node_port: None,
            metadata: nothing(),
            spec: nothing(),
            status: nothing(),
        }
    }

    /// Of one family only.
    #[must_use]
    pub fn single_stack(mut self, family: Family) -> Self {
        self.vips.retain(|vip| Family::of(*vip) == family);
        self
    }

    /// With one port more.
    #[must_use]
    pub fn port(mut self, name: &str, protocol: Protocol, port: u16, target: u16) -> Self {
        self.ports.push((name.to_owned(), protocol, port, target));
        self
    }

    /// With a port of each protocol, all of one number.
    #[must_use]
    pub fn every_protocol(mut self, port: u16, target: u16) -> Self {
        for protocol in Protocol::ALL {
            self = self.port(protocol.lower(), protocol, port, target);
        }
        self
    }

    /// Of type NodePort, unless it has another, with this port of the nodes for each of its ports:
    /// those must differ in protocol.
    #[must_use]
    pub fn node_port(mut self, number: u16) -> Self {
        self.node_port = Some(number);
        if self.spec["type"].is_null() { self.spec(&json!({"type": "NodePort"})) } else { self }
    }

    /// With the VIPs of these numbers as external IPs.
    #[must_use]
    pub fn external_ips(self, numbers: &[u8]) -> Self {
        let vips = self.further_vips(numbers);
        self.spec(&json!({"externalIPs": vips}))
    }

    /// Of type LoadBalancer, with the VIPs of these numbers as its ingress.
    #[must_use]
    pub fn load_balancer(self, numbers: &[u8]) -> Self {
        let ingress: Vec<Value> =
            self.further_vips(numbers).iter().map(|vip| json!({"ip": vip})).collect();
        self.spec(&json!({"type": "LoadBalancer"}))
            .status(&json!({"loadBalancer": {"ingress": ingress}}))
    }

    /// VIPs of other numbers, of its families.
    fn further_vips(&self, numbers: &[u8]) -> Vec<IpAddr> {
        let families = self.vips.iter().map(|vip| Family::of(*vip));
        families
            .flat_map(|family| numbers.iter().map(move |number| address::vip(*number, family)))
            .collect()
    }

    /// With an annotation.
    #[must_use]
    pub fn annotation(self, key: &str, value: &str) -> Self {
        self.metadata(&json!({"annotations": {key: value}}))
    }

    /// With these fields in `metadata`.
    #[must_use]
    pub fn metadata(mut self, more: &Value) -> Self {
        merge(&mut self.metadata, more);
        self
    }

    /// With these fields in `spec`.
    #[must_use]
    pub fn spec(mut self, more: &Value) -> Self {
        merge(&mut self.spec, more);
        self
    }

    /// With these fields in `status`.
    #[must_use]
    pub fn status(mut self, more: &Value) -> Self {
        merge(&mut self.status, more);
        self
    }

    /// Its VIP of a family.
    ///
    /// # Panics
    /// If it has none.
    pub fn vip(&self, family: Family) -> IpAddr {
        let found = self.vips.iter().copied().find(|vip| Family::of(*vip) == family);
        match found {
            Some(vip) => vip,
            None => panic!("{} has no {family} VIP", self.name),
        }
    }

    /// A port of its VIP of a family.
    pub fn at(&self, family: Family, port: u16) -> SocketAddr {
        SocketAddr::new(self.vip(family), port)
    }

    /// A port of its IPv4 VIP.
    pub fn at_v4(&self, port: u16) -> SocketAddr {
        self.at(Family::V4, port)
    }

    /// The Service object.
    pub fn service(&self) -> Value {
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, protocol, port, target)| {
                let mut port = json!({
                    "name": name,
                    "protocol": protocol.upper(),
                    "port": port,
                    "targetPort": target,
                });
                if let Some(number) = self.node_port {
                    port["nodePort"] = number.into();
                }
                port
            })
            .collect();
        let families: Vec<String> =
            self.vips.iter().map(|vip| Family::of(*vip).to_string()).collect();
        let mut service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": self.name, "namespace": "default"},
            "spec": {
                "clusterIP": self.vips.first(),
                "clusterIPs": self.vips,
                "ipFamilies": families,
                "ipFamilyPolicy": if families.len() > 1 { "RequireDualStack" } else { "SingleStack" },
                "ports": ports,
            },
            "status": {"loadBalancer": {}},
        });
        merge(&mut service["metadata"], &self.metadata);
        merge(&mut service["spec"], &self.spec);
        merge(&mut service["status"], &self.status);
        service
    }

    /// One slice for each family, with these pods as ready endpoints: (node, pod).
    pub fn slices(&self, pods: &[(u8, u8)]) -> Vec<Value> {
        let ready = json!({"conditions": {"ready": true, "serving": true, "terminating": false}});
        let all: Vec<_> = pods.iter().map(|(node, pod)| (*node, *pod, ready.clone())).collect();
        self.slices_with(&all)
    }

    /// As [`Self::slices`], with further fields for each endpoint.
    pub fn slices_with(&self, pods: &[(u8, u8, Value)]) -> Vec<Value> {
        let families = self.vips.iter().map(|vip| Family::of(*vip));
        families
            .map(|family| {
                let endpoints: Vec<Value> = pods
                    .iter()
                    .map(|(node, pod, more)| {
                        let mut endpoint = json!({
                            "addresses": [address::pod(*node, *pod, family)],
                            "nodeName": format!("node{node}"),
                        });
                        merge(&mut endpoint, more);
                        endpoint
                    })
                    .collect();
                self.slice(family, &endpoints)
            })
            .collect()
    }

    fn slice(&self, family: Family, endpoints: &[Value]) -> Value {
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|(name, protocol, _, target)| {
                json!({"name": name, "protocol": protocol.upper(), "port": target})
            })
            .collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{}-{}", self.name, family.to_string().to_lowercase()),
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": self.name},
            },
            "addressType": family.to_string(),
            "ports": ports,
            "endpoints": endpoints,
        })
    }
}

/// Puts the fields of one object into another.
fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}
