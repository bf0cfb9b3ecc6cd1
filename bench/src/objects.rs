//! Services and EndpointSlices as the API server writes them, including fields that a proxy
//! ignores: for benchmarks and tests without a kernel or an API server.
//!
//! Names, VIPs and nodes are those of [`Cluster`].

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use test_api::Cluster;

/// One endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `addresses[0]`.
    pub address: Ipv4Addr,
    /// The number of its node.
    pub node: usize,
    /// `conditions.ready`, and `serving` with it.
    pub ready: bool,
    /// `hints.forNodes` names its node.
    pub hint: bool,
}

/// The endpoints of a Service of `cluster`, all ready.
pub fn endpoints(cluster: &Cluster, service: usize) -> Vec<Endpoint> {
    let endpoint = |number| Endpoint {
        address: cluster.endpoint(service, number),
        node: cluster.node_of(service, number),
        ready: true,
        hint: false,
    };
    (0..cluster.endpoints()).map(endpoint).collect()
}

/// A ClusterIP Service with one TCP port.
pub fn service(name: &str, vip: Ipv4Addr) -> String {
    let (namespace, port, target) = (Cluster::NAMESPACE, Cluster::PORT, Cluster::TARGET_PORT);
    format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"annotations":{{"meta.helm.sh/release-name":"{name}","meta.helm.sh/release-namespace":"{namespace}"}},"creationTimestamp":"2026-01-02T03:04:05Z","labels":{{"app":"{name}","app.kubernetes.io/managed-by":"Helm"}},"managedFields":[{{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{{"f:spec":{{"f:internalTrafficPolicy":{{}},"f:ports":{{".":{{}},"k:{{\"port\":80,\"protocol\":\"TCP\"}}":{{".":{{}},"f:name":{{}},"f:port":{{}},"f:protocol":{{}},"f:targetPort":{{}}}}}},"f:selector":{{}},"f:sessionAffinity":{{}},"f:type":{{}}}}}},"manager":"helm","operation":"Update","time":"2026-01-02T03:04:05Z"}}],"name":"{name}","namespace":"{namespace}","resourceVersion":"1001","uid":"5cb2f0a1-93ce-4b9a-8b9e-0d6c3f4e7a10"}},"spec":{{"clusterIP":"{vip}","clusterIPs":["{vip}"],"internalTrafficPolicy":"Cluster","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","ports":[{{"name":"http","port":{port},"protocol":"TCP","targetPort":{target}}}],"selector":{{"app":"{name}"}},"sessionAffinity":"None","type":"ClusterIP"}},"status":{{"loadBalancer":{{}}}}}}"#
    )
}

/// Part `part` of the endpoints of a Service.
pub fn slice(service: &str, part: usize, endpoints: &[Endpoint]) -> String {
    let (namespace, target) = (Cluster::NAMESPACE, Cluster::TARGET_PORT);
    let mut text = format!(
        r#"{{"addressType":"IPv4","apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{"annotations":{{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-02T03:04:05Z"}},"creationTimestamp":"2026-01-02T03:04:05Z","generateName":"{service}-","generation":7,"labels":{{"app":"{service}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"{service}"}},"managedFields":[{{"apiVersion":"discovery.k8s.io/v1","fieldsType":"FieldsV1","fieldsV1":{{"f:addressType":{{}},"f:endpoints":{{}},"f:metadata":{{"f:annotations":{{".":{{}},"f:endpoints.kubernetes.io/last-change-trigger-time":{{}}}},"f:generateName":{{}},"f:labels":{{".":{{}},"f:app":{{}},"f:kubernetes.io/service-name":{{}}}}}},"f:ports":{{}}}},"manager":"kube-controller-manager","operation":"Update","time":"2026-01-02T03:04:05Z"}}],"name":"{service}-{part}","namespace":"{namespace}","ownerReferences":[{{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Service","name":"{service}","uid":"5cb2f0a1-93ce-4b9a-8b9e-0d6c3f4e7a10"}}],"resourceVersion":"1002","uid":"0a97cf4e-52f2-4f3c-a0a6-3f3d7c1b9e52"}},"endpoints":["#
    );
    for (index, endpoint) in endpoints.iter().enumerate() {
        let Endpoint { address, node, ready, hint } = endpoint;
        let (comma, node) = (if index > 0 { "," } else { "" }, Cluster::node_name(*node));
        let hints = if *hint {
            format!(r#""hints":{{"forNodes":[{{"name":"{node}"}}]}},"#)
        } else {
            String::new()
        };
        // Writing to a String never fails.
        let _ = write!(
            text,
            r#"{comma}{{"addresses":["{address}"],"conditions":{{"ready":{ready},"serving":{ready},"terminating":false}},{hints}"nodeName":"{node}","targetRef":{{"kind":"Pod","name":"{service}-{index:04}","namespace":"{namespace}","uid":"c1d6a2f4-7e0b-4f5d-9b1e-2a3c4d5e6f70"}},"zone":"zone-a"}}"#
        );
    }
    let _ = write!(text, r#"],"ports":[{{"name":"http","port":{target},"protocol":"TCP"}}]}}"#);
    text
}

/// One line of a watch: `change` is ADDED, MODIFIED or DELETED.
pub fn event(change: &str, object: &str) -> String {
    format!("{{\"type\":\"{change}\",\"object\":{object}}}\n")
}
