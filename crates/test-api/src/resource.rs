//! The kinds that the server knows.

use serde_json::{Map, Value};

/// A kind of object, in one version.
///
/// The list is closed: these are what a service proxy, `kubectl` and the tests around them touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// `v1` Services.
    Services,
    /// `discovery.k8s.io/v1` EndpointSlices.
    EndpointSlices,
    /// `v1` Nodes.
    Nodes,
    /// `v1` Endpoints, which `kubectl describe service` still reads.
    Endpoints,
    /// `v1` Pods.
    Pods,
    /// `v1` Namespaces.
    Namespaces,
    /// `v1` ConfigMaps.
    ConfigMaps,
    /// `v1` Events; the same objects as [`Resource::EventsV1`], in the older spelling.
    Events,
    /// `events.k8s.io/v1` Events.
    EventsV1,
    /// `networking.k8s.io/v1` ServiceCIDRs.
    ServiceCidrs,
}

/// What distinguishes one [`Resource`] from another on the wire.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) short_names: &'static [&'static str],
    pub(crate) namespaced: bool,
    pub(crate) has_status: bool,
    /// Field labels that select, besides `metadata.name` and `metadata.namespace`, with the value
    /// an object has that does not say. Others are refused, as by an API server
    /// (`AddFieldLabelConversionFunc` in Kubernetes' pkg/apis/*/v1/conversion.go).
    pub(crate) fields: &'static [(&'static str, &'static str)],
    /// What an object of this kind serialises to when nothing is set: the body of a bookmark.
    pub(crate) blank: &'static str,
}

const INVOLVED_OBJECT: &[(&str, &str)] = &[
    ("involvedObject.kind", ""),
    ("involvedObject.namespace", ""),
    ("involvedObject.name", ""),
    ("involvedObject.uid", ""),
    ("involvedObject.apiVersion", ""),
    ("involvedObject.resourceVersion", ""),
    ("involvedObject.fieldPath", ""),
    ("reason", ""),
    ("reportingComponent", ""),
    ("source", ""),
    ("type", ""),
];

const REGARDING: &[(&str, &str)] = &[
    ("regarding.kind", ""),
    ("regarding.namespace", ""),
    ("regarding.name", ""),
    ("regarding.uid", ""),
    ("regarding.apiVersion", ""),
    ("regarding.resourceVersion", ""),
    ("regarding.fieldPath", ""),
    ("reason", ""),
    ("reportingController", ""),
    ("type", ""),
];

static DEFINITIONS: [Definition; Resource::ALL.len()] = [
    Definition {
        group: "",
        version: "v1",
        plural: "services",
        singular: "service",
        kind: "Service",
        short_names: &["svc"],
        namespaced: true,
        has_status: true,
        fields: &[("spec.clusterIP", ""), ("spec.type", "ClusterIP")],
        blank: r#""spec":{},"status":{"loadBalancer":{}}"#,
    },
    Definition {
        group: "discovery.k8s.io",
        version: "v1",
        plural: "endpointslices",
        singular: "endpointslice",
        kind: "EndpointSlice",
        short_names: &[],
        namespaced: true,
        has_status: false,
        fields: &[],
        blank: r#""addressType":"","endpoints":null,"ports":null"#,
    },
    Definition {
        group: "",
        version: "v1",
        plural: "nodes",
        singular: "node",
        kind: "Node",
        short_names: &["no"],
        namespaced: false,
        has_status: true,
        fields: &[("spec.unschedulable", "false")],
        blank: r#""spec":{},"status":{}"#,
    },
    Definition {
        group: "",
        version: "v1",
        plural: "endpoints",
        singular: "endpoints",
        kind: "Endpoints",
        short_names: &["ep"],
        namespaced: true,
        has_status: false,
        fields: &[],
        blank: "",
    },
    Definition {
        group: "",
        version: "v1",
        plural: "pods",
        singular: "pod",
        kind: "Pod",
        short_names: &["po"],
        namespaced: true,
        has_status: true,
        fields: &[
            ("spec.nodeName", ""),
            ("spec.restartPolicy", "Always"),
            ("spec.hostNetwork", "false"),
            ("status.phase", ""),
            ("status.podIP", ""),
        ],
        blank: r#""spec":{"containers":null},"status":{}"#,
    },
    Definition {
        group: "",
        version: "v1",
        plural: "namespaces",
        singular: "namespace",
        kind: "Namespace",
        short_names: &["ns"],
        namespaced: false,
        has_status: true,
        fields: &[("status.phase", "Active")],
        blank: r#""spec":{},"status":{}"#,
    },
    Definition {
        group: "",
        version: "v1",
        plural: "configmaps",
        singular: "configmap",
        kind: "ConfigMap",
        short_names: &["cm"],
        namespaced: true,
        has_status: false,
        fields: &[],
        blank: "",
    },
    Definition {
        group: "",
        version: "v1",
        plural: "events",
        singular: "event",
        kind: "Event",
        short_names: &["ev"],
        namespaced: true,
        has_status: false,
        fields: INVOLVED_OBJECT,
        blank: r#""involvedObject":{},"source":{}"#,
    },
    Definition {
        group: "events.k8s.io",
        version: "v1",
        plural: "events",
        singular: "event",
        kind: "Event",
        short_names: &["ev"],
        namespaced: true,
        has_status: false,
        fields: REGARDING,
        blank: r#""eventTime":null,"regarding":{}"#,
    },
    Definition {
        group: "networking.k8s.io",
        version: "v1",
        plural: "servicecidrs",
        singular: "servicecidr",
        kind: "ServiceCIDR",
        short_names: &[],
        namespaced: false,
        has_status: true,
        fields: &[],
        blank: r#""spec":{},"status":{}"#,
    },
];

impl Resource {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 10] = [
        Self::Services,
        Self::EndpointSlices,
        Self::Nodes,
        Self::Endpoints,
        Self::Pods,
        Self::Namespaces,
        Self::ConfigMaps,
        Self::Events,
        Self::EventsV1,
        Self::ServiceCidrs,
    ];

    /// The API group; empty for the core group.
    pub fn group(self) -> &'static str {
        self.definition().group
    }

    /// The version.
    pub fn version(self) -> &'static str {
        self.definition().version
    }

    /// `v1`, or `group/v1`.
    pub fn api_version(self) -> String {
        group_version(self.group(), self.version())
    }

    /// The name in paths: `endpointslices`.
    pub fn plural(self) -> &'static str {
        self.definition().plural
    }

    /// The name in objects: `EndpointSlice`.
    pub fn kind(self) -> &'static str {
        self.definition().kind
    }

    /// Whether objects of this kind live in namespaces.
    pub fn is_namespaced(self) -> bool {
        self.definition().namespaced
    }

    /// The kind served at `/apis/{group}/{version}/{plural}`.
    pub fn find(group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|r| (r.group(), r.version(), r.plural()) == (group, version, plural))
    }

    /// The kind that an object says it is.
    pub fn of(object: &Map<String, Value>) -> Option<Self> {
        let text = |key| object.get(key).and_then(Value::as_str);
        let (api_version, kind) = (text("apiVersion")?, text("kind")?);
        Self::ALL.into_iter().find(|r| r.kind() == kind && r.api_version() == api_version)
    }

    pub(crate) fn definition(self) -> &'static Definition {
        &DEFINITIONS[self as usize]
    }

    /// `services`, or `endpointslices.discovery.k8s.io`, as in messages of an API server.
    pub(crate) fn qualified(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    /// The key of an object in the store, and in etcd.
    pub(crate) fn key(self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(namespace) if self.is_namespaced() => format!("{namespace}/{name}"),
            _ => name.to_owned(),
        }
    }
}

/// `v1` for the core group, `group/v1` for others.
pub(crate) fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_own_path() {
        for resource in Resource::ALL {
            let found = Resource::find(resource.group(), resource.version(), resource.plural());
            assert_eq!(found, Some(resource));
        }
    }

    #[test]
    fn an_object_names_its_kind() {
        let object = serde_json::json!({"apiVersion": "events.k8s.io/v1", "kind": "Event"});
        assert_eq!(Resource::of(object.as_object().unwrap()), Some(Resource::EventsV1));
    }
}
