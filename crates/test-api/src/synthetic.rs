//! Clusters of any size, written out as JSON without detours.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

use super::Resource;
use super::endpoints::TRIGGER_TIME;
use super::metadata::{mix, seconds, uid};
use super::object::{Object, Parts};
use super::store::{Store, Transaction};

/// What the EndpointSlice controller puts into one slice (`--max-endpoints-per-slice`).
const SLICE: usize = 100;
const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// A cluster of many Services that are all alike: ClusterIP, one TCP port, every endpoint ready.
///
/// Names and addresses follow from their number, so that a test knows what to look for:
///
/// ```
/// use test_api::Cluster;
///
/// let cluster = Cluster::synthetic(1000, 250, 1);
/// assert_eq!(Cluster::vip(7).to_string(), "10.96.1.7");
/// assert_eq!(cluster.endpoint(0, 3).to_string(), "10.128.0.3");
/// assert_eq!(Cluster::slice(7, 249), ("synthetic/svc-000007-4-2".to_owned(), 49));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    services: usize,
    endpoints: usize,
    seed: u64,
    nodes: usize,
    dual_stack: bool,
    managed_fields: bool,
}

/// One of the two address families of a dual-stack cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Ipv4,
    Ipv6,
}

impl Cluster {
    /// The namespace of everything in it.
    pub const NAMESPACE: &str = "synthetic";
    /// The port of every Service.
    pub const PORT: u16 = 80;
    /// The port of every endpoint.
    pub const TARGET_PORT: u16 = 8080;

    /// So many Services with so many endpoints each, on 100 nodes. The seed decides which pod is on
    /// which node.
    ///
    /// Up to 900,000 Services and 8,000,000 endpoints have addresses of their own.
    pub fn synthetic(services: usize, endpoints: usize, seed: u64) -> Self {
        Self { services, endpoints, seed, nodes: 100, dual_stack: false, managed_fields: false }
    }

    /// Gives every Service and endpoint an IPv6 address as well.
    #[must_use]
    pub fn dual_stack(mut self) -> Self {
        self.dual_stack = true;
        self
    }

    /// Spreads the pods over so many nodes, at least one.
    #[must_use]
    pub fn on_nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes.max(1);
        self
    }

    /// Gives objects the `metadata.managedFields` that they have in a real cluster, which a client
    /// has to read past: a third of a Service.
    #[must_use]
    pub fn with_managed_fields(mut self) -> Self {
        self.managed_fields = true;
        self
    }

    /// How many Services there are.
    pub fn services(&self) -> usize {
        self.services
    }

    /// How many endpoints each Service has.
    pub fn endpoints(&self) -> usize {
        self.endpoints
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// The name of a Service.
    pub fn service_name(service: usize) -> String {
        format!("svc-{service:06}")
    }

    /// The cluster IP of a Service, from 10.96.1.0 on.
    pub fn vip(service: usize) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 96, 1, 0).to_bits() + small(service))
    }

    /// The IPv6 cluster IP of a Service, from fd00:96::100 on.
    pub fn vip6(service: usize) -> Ipv6Addr {
        let first = Ipv6Addr::new(0xfd00, 0x96, 0, 0, 0, 0, 0, 0x100);
        Ipv6Addr::from_bits(first.to_bits() + u128::from(small(service)))
    }

    /// The address of an endpoint of a Service, from 10.128.0.0 on.
    pub fn endpoint(&self, service: usize, endpoint: usize) -> Ipv4Addr {
        let first = Ipv4Addr::new(10, 128, 0, 0).to_bits();
        Ipv4Addr::from_bits(first + small(self.pod(service, endpoint)))
    }

    /// The IPv6 address of an endpoint of a Service, from fd00:128:: on.
    pub fn endpoint6(&self, service: usize, endpoint: usize) -> Ipv6Addr {
        let first = Ipv6Addr::new(0xfd00, 0x128, 0, 0, 0, 0, 0, 0).to_bits();
        Ipv6Addr::from_bits(first + u128::from(small(self.pod(service, endpoint))))
    }

    /// The IPv4 EndpointSlice that holds an endpoint, as `namespace/name`, and its index there.
    pub fn slice(service: usize, endpoint: usize) -> (String, usize) {
        let name = Self::slice_name(service, Family::Ipv4, endpoint / SLICE);
        (format!("{}/{name}", Self::NAMESPACE), endpoint % SLICE)
    }

    /// The name of a node.
    pub fn node_name(node: usize) -> String {
        format!("node-{node:05}")
    }

    /// The number of the node that an endpoint is on.
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is less than a usize")]
    pub fn node_of(&self, service: usize, endpoint: usize) -> usize {
        let pod = self.pod(service, endpoint) as u64;
        (mix(self.seed ^ pod) % self.nodes as u64) as usize
    }

    /// The number of a pod in the whole cluster.
    fn pod(&self, service: usize, endpoint: usize) -> usize {
        service * self.endpoints + endpoint
    }

    fn slice_name(service: usize, family: Family, part: usize) -> String {
        let digit = match family {
            Family::Ipv4 => 4,
            Family::Ipv6 => 6,
        };
        format!("{}-{digit}-{part}", Self::service_name(service))
    }

    /// Writes all objects into a store.
    pub(crate) fn put_into(&self, store: &Store, now: Timestamp) {
        let mut writer =
            Writer { cluster: self, created: seconds(now), now, parts: Texts::default() };
        store.write(|tx| {
            for node in 0..self.nodes {
                writer.node(tx, node);
            }
            for service in 0..self.services {
                writer.service(tx, service);
                let parts = self.endpoints.div_ceil(SLICE).max(1);
                for part in 0..parts {
                    writer.slice(tx, service, Family::Ipv4, part);
                    if self.dual_stack {
                        writer.slice(tx, service, Family::Ipv6, part);
                    }
                }
            }
        });
    }
}

/// Writes objects one after the other into the same buffers.
struct Writer<'c> {
    cluster: &'c Cluster,
    created: String,
    now: Timestamp,
    parts: Texts,
}

#[derive(Default)]
struct Texts {
    labels: String,
    metadata: String,
    body: String,
}

impl Writer<'_> {
    fn node(&mut self, tx: &mut Transaction<'_>, node: usize) {
        let name = Cluster::node_name(node);
        let zone = ZONES[node % ZONES.len()];
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(172, 16, 0, 1).to_bits() + small(node));
        self.begin(&name, None, 0, node);
        write(
            &mut self.parts.labels,
            format_args!(
                r#"{{"kubernetes.io/hostname":"{name}","kubernetes.io/os":"linux","topology.kubernetes.io/zone":"{zone}"}}"#
            ),
        );
        write(
            &mut self.parts.body,
            format_args!(
                r#"{{"spec":{{}},"status":{{"addresses":[{{"address":"{address}","type":"InternalIP"}},{{"address":"{name}","type":"Hostname"}}],"conditions":[{{"status":"True","type":"Ready"}}]}}}}"#
            ),
        );
        self.put(tx, Resource::Nodes, &name);
    }

    fn service(&mut self, tx: &mut Transaction<'_>, service: usize) {
        let cluster = self.cluster;
        let name = Cluster::service_name(service);
        let vip = Cluster::vip(service);
        self.begin(&name, Some(Cluster::NAMESPACE), 1, service);
        self.managed("kube-controller-manager", SERVICE_FIELDS);
        write(&mut self.parts.labels, format_args!(r#"{{"app":"{name}"}}"#));
        let (vips, families, policy) = if cluster.dual_stack {
            let vip6 = Cluster::vip6(service);
            (format!(r#""{vip}","{vip6}""#), r#""IPv4","IPv6""#, "RequireDualStack")
        } else {
            (format!(r#""{vip}""#), r#""IPv4""#, "SingleStack")
        };
        let (port, target) = (Cluster::PORT, Cluster::TARGET_PORT);
        write(
            &mut self.parts.body,
            format_args!(
                r#"{{"spec":{{"clusterIP":"{vip}","clusterIPs":[{vips}],"internalTrafficPolicy":"Cluster","ipFamilies":[{families}],"ipFamilyPolicy":"{policy}","ports":[{{"name":"http","port":{port},"protocol":"TCP","targetPort":{target}}}],"selector":{{"app":"{name}"}},"sessionAffinity":"None","type":"ClusterIP"}},"status":{{"loadBalancer":{{}}}}}}"#
            ),
        );
        self.put(tx, Resource::Services, &format!("{}/{name}", Cluster::NAMESPACE));
    }

    fn slice(&mut self, tx: &mut Transaction<'_>, service: usize, family: Family, part: usize) {
        let cluster = self.cluster;
        let namespace = Cluster::NAMESPACE;
        let owner = Cluster::service_name(service);
        let name = Cluster::slice_name(service, family, part);
        let (kind, address_type) = match family {
            Family::Ipv4 => (2, "IPv4"),
            Family::Ipv6 => (3, "IPv6"),
        };
        self.begin(&name, Some(namespace), kind, cluster.pod(service, part * SLICE));
        let owner_uid = object_uid(cluster.seed, 1, service);
        let now = self.now;
        // Before the closing brace.
        self.parts.metadata.pop();
        write(
            &mut self.parts.metadata,
            format_args!(
                r#","annotations":{{"{TRIGGER_TIME}":"{now:.9}"}},"generateName":"{owner}-","ownerReferences":[{{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Service","name":"{owner}","uid":"{owner_uid}"}}]}}"#
            ),
        );
        self.managed("kube-controller-manager", SLICE_FIELDS);
        write(
            &mut self.parts.labels,
            format_args!(
                r#"{{"app":"{owner}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"{owner}"}}"#
            ),
        );
        let body = &mut self.parts.body;
        write(body, format_args!(r#"{{"addressType":"{address_type}","endpoints":["#));
        let endpoints = part * SLICE..cluster.endpoints.min((part + 1) * SLICE);
        for (at, endpoint) in endpoints.enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let node = cluster.node_of(service, endpoint);
            let (node_name, zone) = (Cluster::node_name(node), ZONES[node % ZONES.len()]);
            let pod_uid = object_uid(cluster.seed, 4, cluster.pod(service, endpoint));
            write(body, format_args!(r#"{comma}{{"addresses":["#));
            match family {
                Family::Ipv4 => {
                    write(body, format_args!("\"{}\"", cluster.endpoint(service, endpoint)));
                }
                Family::Ipv6 => {
                    write(body, format_args!("\"{}\"", cluster.endpoint6(service, endpoint)));
                }
            }
            write(
                body,
                format_args!(
                    r#"],"conditions":{{"ready":true,"serving":true,"terminating":false}},"nodeName":"{node_name}","targetRef":{{"kind":"Pod","name":"{owner}-{endpoint:04}","namespace":"{namespace}","uid":"{pod_uid}"}},"zone":"{zone}"}}"#
                ),
            );
        }
        let target = Cluster::TARGET_PORT;
        write(
            body,
            format_args!(r#"],"ports":[{{"name":"http","port":{target},"protocol":"TCP"}}]}}"#),
        );
        self.put(tx, Resource::EndpointSlices, &format!("{namespace}/{name}"));
    }

    /// Starts an object: what all metadata has.
    fn begin(&mut self, name: &str, namespace: Option<&str>, kind: u64, number: usize) {
        let Texts { labels, metadata, body } = &mut self.parts;
        labels.clear();
        metadata.clear();
        body.clear();
        let created = &self.created;
        let uid = object_uid(self.cluster.seed, kind, number);
        write(
            metadata,
            format_args!(
                r#"{{"creationTimestamp":"{created}","generation":1,"name":"{name}","uid":"{uid}""#
            ),
        );
        if let Some(namespace) = namespace {
            write(metadata, format_args!(r#","namespace":"{namespace}""#));
        }
        metadata.push('}');
    }

    fn managed(&mut self, manager: &str, fields: &str) {
        if !self.cluster.managed_fields {
            return;
        }
        let (metadata, created) = (&mut self.parts.metadata, &self.created);
        metadata.pop();
        write(
            metadata,
            format_args!(
                r#","managedFields":[{{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{fields},"manager":"{manager}","operation":"Update","time":"{created}"}}]}}"#
            ),
        );
    }

    fn put(&self, tx: &mut Transaction<'_>, resource: Resource, key: &str) {
        let Texts { labels, metadata, body } = &self.parts;
        let (labels, metadata, body) = (labels.as_bytes(), metadata.as_bytes(), body.as_bytes());
        let revision = tx.advance();
        let parts = Parts { labels, metadata, body };
        tx.put(resource, key, Object::assemble(resource, revision, parts));
    }
}

/// What `kubectl create` leaves in a Service.
const SERVICE_FIELDS: &str = r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}"#;
/// What the EndpointSlice controller leaves in a slice.
const SLICE_FIELDS: &str = r#"{"f:addressType":{},"f:endpoints":{},"f:metadata":{"f:annotations":{".":{},"f:endpoints.kubernetes.io/last-change-trigger-time":{}},"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:endpointslice.kubernetes.io/managed-by":{},"f:kubernetes.io/service-name":{}},"f:ownerReferences":{".":{},"k:{\"uid\":\"00000000-0000-0000-0000-000000000000\"}":{}}},"f:ports":{}}"#;

fn object_uid(seed: u64, kind: u64, number: usize) -> String {
    uid(mix(seed ^ (kind << 56)), number as u64)
}

fn write(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(arguments);
}

/// The number of an address; there are fewer than 2^32 of them.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Map, Value};

    use super::*;

    fn objects(cluster: &Cluster, resource: Resource) -> Vec<Map<String, Value>> {
        let store = Store::new(10);
        cluster.put_into(&store, Timestamp::UNIX_EPOCH);
        store
            .read(|state| state.collection(resource).objects.values().map(|o| o.decode()).collect())
    }

    #[test]
    fn every_object_is_json_and_says_what_the_cluster_says() {
        let cluster = Cluster::synthetic(3, 250, 9).dual_stack().on_nodes(7).with_managed_fields();
        let services = objects(&cluster, Resource::Services);
        assert_eq!(services.len(), 3);
        assert_eq!(services[2]["spec"]["clusterIPs"][0], Cluster::vip(2).to_string());
        assert_eq!(services[2]["spec"]["clusterIPs"][1], Cluster::vip6(2).to_string());
        assert!(services[0]["metadata"]["managedFields"][0]["fieldsV1"].is_object());
        assert_eq!(objects(&cluster, Resource::Nodes).len(), 7);
        let slices = objects(&cluster, Resource::EndpointSlices);
        assert_eq!(slices.len(), 3 * 3 * 2);
        assert!(slices.iter().all(|s| s["endpoints"].as_array().unwrap().len() <= SLICE));
        let (key, index) = Cluster::slice(2, 249);
        let slice = slices.iter().find(|s| key.ends_with(s["metadata"]["name"].as_str().unwrap()));
        let endpoint = &slice.unwrap()["endpoints"][index];
        assert_eq!(endpoint["addresses"][0], cluster.endpoint(2, 249).to_string());
        assert_eq!(endpoint["nodeName"], Cluster::node_name(cluster.node_of(2, 249)));
    }

    #[test]
    fn the_same_seed_makes_the_same_cluster() {
        let of = |seed| objects(&Cluster::synthetic(2, 5, seed), Resource::EndpointSlices);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn no_two_objects_share_a_uid() {
        let cluster = Cluster::synthetic(20, 120, 0).dual_stack();
        let uids: BTreeSet<_> = [Resource::Services, Resource::EndpointSlices, Resource::Nodes]
            .into_iter()
            .flat_map(|resource| objects(&cluster, resource))
            .map(|object| object["metadata"]["uid"].to_string())
            .collect();
        assert_eq!(uids.len(), 20 + 20 * 2 * 2 + 100);
    }

    #[test]
    fn a_service_without_endpoints_has_an_empty_slice() {
        let slices = objects(&Cluster::synthetic(1, 0, 0), Resource::EndpointSlices);
        assert_eq!(slices[0]["endpoints"], Value::Array(vec![]));
    }
}
