//! Views of their own for clients inside the cluster.
//!
//! A frontend with external traffic policy Local has two sets of endpoints: those on this node for
//! clients outside, and those that the policy Cluster gives for clients inside, as in kube-proxy. A
//! virtual server has one set, so there is a second one, whose frontend is a firewall mark that packets
//! from inside are given. All frontends of one Service port and family share it.

use hashbrown::HashMap;
use trimtab_core::objects::{ObjectName, TrafficPolicy};
use trimtab_core::{Family, Frontend, Protocol};

use super::{ClaimKind, FrontendSpec, NodeView};

/// What has a mark of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct View {
    pub(crate) service: ObjectName,
    /// Name of the Service port.
    pub(crate) port: Box<str>,
    pub(crate) protocol: Protocol,
    pub(crate) family: Family,
}

impl View {
    /// The view that clients inside have of a frontend.
    pub(crate) fn of(service: &ObjectName, spec: &FrontendSpec) -> Self {
        Self {
            service: service.clone(),
            port: spec.port.clone(),
            protocol: spec.protocol,
            family: spec.frontend.family(),
        }
    }
}

/// Which view clients inside the cluster have of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// The same as everybody.
    Same,
    /// One of their own, for which no mark has been chosen yet.
    Unmarked,
    /// The one behind this mark.
    Mark(u32),
}

impl Inside {
    pub(crate) const fn mark(self) -> Option<u32> {
        match self {
            Self::Mark(mark) => Some(mark),
            Self::Same | Self::Unmarked => None,
        }
    }
}

/// Completes what a Service asks for by its views, as far as they have marks by `mark_of`; in order of
/// frontend again. Whether all of them have.
pub(crate) fn complete(
    service: &ObjectName,
    specs: &mut Vec<FrontendSpec>,
    node: &NodeView,
    mark_of: impl Fn(&View) -> Option<u32>,
) -> bool {
    if specs.iter().all(|spec| spec.inside == Inside::Same) {
        return true;
    }
    let mut marks: HashMap<(Family, Protocol, Box<str>), Option<u32>> = HashMap::new();
    let mut views: Vec<FrontendSpec> = Vec::new();
    for spec in specs.iter_mut().filter(|spec| spec.inside != Inside::Same) {
        let family = spec.frontend.family();
        let key = (family, spec.protocol, spec.port.clone());
        let mark = *marks.entry(key).or_insert_with(|| {
            let mark = mark_of(&View::of(service, spec));
            views.extend(mark.map(|mark| FrontendSpec {
                frontend: Frontend::Mark { mark, family },
                kind: ClaimKind::View,
                port: spec.port.clone(),
                policy: TrafficPolicy::Cluster,
                inside: Inside::Same,
                options: spec.options.of_view(node),
                elements: Vec::new(),
                bind: false,
                ..*spec
            }));
            mark
        });
        spec.inside = mark.map_or(Inside::Unmarked, Inside::Mark);
    }
    specs.append(&mut views);
    specs.sort_unstable_by_key(|spec| spec.frontend);
    marks.values().all(Option::is_some)
}
