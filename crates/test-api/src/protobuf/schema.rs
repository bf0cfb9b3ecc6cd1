//! The fields of messages: names as in JSON, numbers as in Kubernetes' generated.proto files
//! (api: core/v1, discovery/v1; apimachinery: meta/v1). Fields that no test has are left out.

use super::super::Resource;

/// A message: its fields by number.
#[derive(Debug)]
pub(super) struct Message(pub(super) &'static [Field]);

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether it is there when it is empty: Go's fields that are neither pointers nor lists.
    pub(super) is_always: bool,
}

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    Truth,
    Time,
    IntOrString,
    /// Texts by texts.
    Map,
    /// `FieldsV1`: JSON as it is.
    Fields,
    Message(&'static Message),
}

use Kind::{Fields, IntOrString, Map, Number, Text, Time, Truth};

/// A field that is always there.
const fn always(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_always: true }
}

/// A field that is there if it is set, or a list.
const fn set(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind, is_always: false }
}

/// The message of a kind.
pub(super) fn of(resource: Resource) -> Option<&'static Message> {
    match resource {
        Resource::Services => Some(&SERVICE),
        Resource::EndpointSlices => Some(&SLICE),
        Resource::Nodes => Some(&NODE),
        _ => None,
    }
}

static OWNER: Message = Message(&[
    always(1, "kind", Text),
    always(3, "name", Text),
    always(4, "uid", Text),
    always(5, "apiVersion", Text),
    set(6, "controller", Truth),
    set(7, "blockOwnerDeletion", Truth),
]);

static MANAGED: Message = Message(&[
    always(1, "manager", Text),
    always(2, "operation", Text),
    always(3, "apiVersion", Text),
    set(4, "time", Time),
    always(6, "fieldsType", Text),
    set(7, "fieldsV1", Fields),
    always(8, "subresource", Text),
]);

static METADATA: Message = Message(&[
    always(1, "name", Text),
    always(2, "generateName", Text),
    always(3, "namespace", Text),
    always(4, "selfLink", Text),
    always(5, "uid", Text),
    always(6, "resourceVersion", Text),
    always(7, "generation", Number),
    always(8, "creationTimestamp", Time),
    set(9, "deletionTimestamp", Time),
    set(10, "deletionGracePeriodSeconds", Number),
    set(11, "labels", Map),
    set(12, "annotations", Map),
    set(13, "ownerReferences", Kind::Message(&OWNER)),
    set(14, "finalizers", Text),
    set(17, "managedFields", Kind::Message(&MANAGED)),
]);

pub(super) static LIST_METADATA: Message = Message(&[
    always(1, "selfLink", Text),
    always(2, "resourceVersion", Text),
    always(3, "continue", Text),
    set(4, "remainingItemCount", Number),
]);

pub(super) static PARTIAL: Message = Message(&[always(1, "metadata", Kind::Message(&METADATA))]);

static CAUSE: Message =
    Message(&[always(1, "reason", Text), always(2, "message", Text), always(3, "field", Text)]);

static DETAILS: Message = Message(&[
    always(1, "name", Text),
    always(2, "group", Text),
    always(3, "kind", Text),
    set(4, "causes", Kind::Message(&CAUSE)),
    always(5, "retryAfterSeconds", Number),
    always(6, "uid", Text),
]);

pub(super) static STATUS: Message = Message(&[
    always(1, "metadata", Kind::Message(&LIST_METADATA)),
    always(2, "status", Text),
    always(3, "message", Text),
    always(4, "reason", Text),
    set(5, "details", Kind::Message(&DETAILS)),
    always(6, "code", Number),
]);

static SERVICE_PORT: Message = Message(&[
    always(1, "name", Text),
    always(2, "protocol", Text),
    always(3, "port", Number),
    always(4, "targetPort", IntOrString),
    always(5, "nodePort", Number),
    set(6, "appProtocol", Text),
]);

static CLIENT_IP: Message = Message(&[set(1, "timeoutSeconds", Number)]);

static AFFINITY: Message = Message(&[set(1, "clientIP", Kind::Message(&CLIENT_IP))]);

static SERVICE_SPEC: Message = Message(&[
    set(1, "ports", Kind::Message(&SERVICE_PORT)),
    set(2, "selector", Map),
    always(3, "clusterIP", Text),
    always(4, "type", Text),
    set(5, "externalIPs", Text),
    always(7, "sessionAffinity", Text),
    always(8, "loadBalancerIP", Text),
    set(9, "loadBalancerSourceRanges", Text),
    always(10, "externalName", Text),
    always(11, "externalTrafficPolicy", Text),
    always(12, "healthCheckNodePort", Number),
    always(13, "publishNotReadyAddresses", Truth),
    set(14, "sessionAffinityConfig", Kind::Message(&AFFINITY)),
    set(17, "ipFamilyPolicy", Text),
    set(18, "clusterIPs", Text),
    set(19, "ipFamilies", Text),
    set(20, "allocateLoadBalancerNodePorts", Truth),
    set(21, "loadBalancerClass", Text),
    set(22, "internalTrafficPolicy", Text),
    set(23, "trafficDistribution", Text),
]);

static PORT_STATUS: Message =
    Message(&[always(1, "port", Number), always(2, "protocol", Text), set(3, "error", Text)]);

static INGRESS: Message = Message(&[
    always(1, "ip", Text),
    always(2, "hostname", Text),
    set(3, "ipMode", Text),
    set(4, "ports", Kind::Message(&PORT_STATUS)),
]);

static BALANCER: Message = Message(&[set(1, "ingress", Kind::Message(&INGRESS))]);

static SERVICE_STATUS: Message = Message(&[always(1, "loadBalancer", Kind::Message(&BALANCER))]);

static SERVICE: Message = Message(&[
    always(1, "metadata", Kind::Message(&METADATA)),
    always(2, "spec", Kind::Message(&SERVICE_SPEC)),
    always(3, "status", Kind::Message(&SERVICE_STATUS)),
]);

static REFERENCE: Message = Message(&[
    always(1, "kind", Text),
    always(2, "namespace", Text),
    always(3, "name", Text),
    always(4, "uid", Text),
    always(5, "apiVersion", Text),
    always(6, "resourceVersion", Text),
    always(7, "fieldPath", Text),
]);

static CONDITIONS: Message =
    Message(&[set(1, "ready", Truth), set(2, "serving", Truth), set(3, "terminating", Truth)]);

static NAMED: Message = Message(&[always(1, "name", Text)]);

static HINTS: Message = Message(&[
    set(1, "forZones", Kind::Message(&NAMED)),
    set(2, "forNodes", Kind::Message(&NAMED)),
]);

static ENDPOINT: Message = Message(&[
    set(1, "addresses", Text),
    always(2, "conditions", Kind::Message(&CONDITIONS)),
    set(3, "hostname", Text),
    set(4, "targetRef", Kind::Message(&REFERENCE)),
    set(5, "deprecatedTopology", Map),
    set(6, "nodeName", Text),
    set(7, "zone", Text),
    set(8, "hints", Kind::Message(&HINTS)),
]);

static SLICE_PORT: Message = Message(&[
    set(1, "name", Text),
    set(2, "protocol", Text),
    set(3, "port", Number),
    set(4, "appProtocol", Text),
]);

static SLICE: Message = Message(&[
    always(1, "metadata", Kind::Message(&METADATA)),
    set(2, "endpoints", Kind::Message(&ENDPOINT)),
    set(3, "ports", Kind::Message(&SLICE_PORT)),
    always(4, "addressType", Text),
]);

static TAINT: Message = Message(&[
    always(1, "key", Text),
    always(2, "value", Text),
    always(3, "effect", Text),
    set(4, "timeAdded", Time),
]);

static NODE_SPEC: Message = Message(&[
    always(1, "podCIDR", Text),
    always(2, "externalID", Text),
    always(3, "providerID", Text),
    always(4, "unschedulable", Truth),
    set(5, "taints", Kind::Message(&TAINT)),
    set(7, "podCIDRs", Text),
]);

static CONDITION: Message = Message(&[
    always(1, "type", Text),
    always(2, "status", Text),
    always(3, "lastHeartbeatTime", Time),
    always(4, "lastTransitionTime", Time),
    always(5, "reason", Text),
    always(6, "message", Text),
]);

static ADDRESS: Message = Message(&[always(1, "type", Text), always(2, "address", Text)]);

static ENDPOINT_PORT: Message = Message(&[always(1, "Port", Number)]);

static DAEMONS: Message = Message(&[always(1, "kubeletEndpoint", Kind::Message(&ENDPOINT_PORT))]);

static NODE_INFO: Message = Message(&[
    always(1, "machineID", Text),
    always(2, "systemUUID", Text),
    always(3, "bootID", Text),
    always(4, "kernelVersion", Text),
    always(5, "osImage", Text),
    always(6, "containerRuntimeVersion", Text),
    always(7, "kubeletVersion", Text),
    always(8, "kubeProxyVersion", Text),
    always(9, "operatingSystem", Text),
    always(10, "architecture", Text),
]);

static NODE_STATUS: Message = Message(&[
    always(3, "phase", Text),
    set(4, "conditions", Kind::Message(&CONDITION)),
    set(5, "addresses", Kind::Message(&ADDRESS)),
    always(6, "daemonEndpoints", Kind::Message(&DAEMONS)),
    always(7, "nodeInfo", Kind::Message(&NODE_INFO)),
]);

static NODE: Message = Message(&[
    always(1, "metadata", Kind::Message(&METADATA)),
    always(2, "spec", Kind::Message(&NODE_SPEC)),
    always(3, "status", Kind::Message(&NODE_STATUS)),
]);
