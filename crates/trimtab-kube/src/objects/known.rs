//! The annotations and labels that Trimtab reads, for the reference.

use super::annotations as of_services;
use super::endpoint_slice::{HEADLESS, LAST_CHANGE, SERVICE_NAME, WEIGHT};
use super::node::ZONE;
use super::service::PROXY_NAME;

/// The description of an annotation or a label for the reference.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its key.
    pub key: &'static str,
    /// The kinds of objects on which it is read.
    pub on: &'static [&'static str],
    /// What values it takes.
    pub value: &'static str,
    /// The default for an object without it.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

/// The annotations, Trimtab's own first.
pub fn annotations() -> Vec<Known> {
    of_services::known()
        .chain([
            Known {
                key: WEIGHT,
                on: &["EndpointSlice"],
                value: "number from 0 to 65535",
                default: "the Node's weight, or `1`",
                meaning: "The weight of each endpoint of the slice, for schedulers that use \
                    weights, such as `wrr` and `wlc`. An endpoint of weight 0 gets no new \
                          connections.",
            },
            Known {
                key: WEIGHT,
                on: &["Node"],
                value: "number from 0 to 65535",
                default: "`1`",
                meaning: "The weight of each endpoint on this Node whose slice sets none. Used \
                    only with `trimtab.nodeWeights: true`.",
            },
            Known {
                key: LAST_CHANGE,
                on: &["EndpointSlice"],
                value: "time",
                default: "",
                meaning: "Set by Kubernetes. When the change of an endpoint began, for the metric \
                          `kubeproxy_network_programming_duration_seconds`.",
            },
        ])
        .collect()
}

/// The labels, all of them Kubernetes' own.
pub fn labels() -> Vec<Known> {
    vec![
        Known {
            key: PROXY_NAME,
            on: &["Service"],
            value: "any",
            default: "",
            meaning: "Another service proxy handles this Service; Trimtab ignores it.",
        },
        Known {
            key: SERVICE_NAME,
            on: &["EndpointSlice"],
            value: "name of a Service",
            default: "",
            meaning: "The Service that the slice belongs to. A slice without this label is \
                ignored.",
        },
        Known {
            key: HEADLESS,
            on: &["EndpointSlice"],
            value: "any",
            default: "",
            meaning: "The slice belongs to a headless Service and is ignored.",
        },
        Known {
            key: ZONE,
            on: &["Node"],
            value: "name of a zone",
            default: "",
            meaning: "The zone of this node, for endpoints with zone hints.",
        },
    ]
}
