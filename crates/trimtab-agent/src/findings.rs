//! The problems that the loop finds in objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashSet;
use trimtab_core::objects::{EndpointSlice, ObjectName, Service};
use trimtab_reconcile::{Reason, Reconciler, ServiceProblems};

use trimtab_kube::Kind;
use trimtab_kube::objects::{Decoded, FieldProblem, Severity};
use trimtab_kube::warning::{Finding, ObjectKind, Origin, Regarding, WarningReason, Warnings};

/// Records the problems of each object as it arrives.
#[derive(Debug)]
pub(super) struct Findings {
    warnings: Arc<Warnings>,
    /// Slices with problems that arrived before the Services were listed.
    early: Option<BTreeMap<ObjectName, WrongSlice>>,
}

/// The problems of a slice.
#[derive(Debug)]
struct WrongSlice {
    service: Option<ObjectName>,
    uid: Box<str>,
    found: Vec<Finding>,
}

impl Findings {
    pub(super) fn new(warnings: Arc<Warnings>) -> Self {
        Self { warnings, early: Some(BTreeMap::new()) }
    }

    pub(super) fn service(&self, decoded: &Decoded<Service>) {
        let found = findings(&decoded.problems, "");
        let regarding = || Regarding {
            kind: ObjectKind::Service,
            name: decoded.name.clone(),
            uid: decoded.uid.clone(),
        };
        self.warnings.set(&Origin::Service(decoded.name.clone()), regarding, &found);
    }

    pub(super) fn service_gone(&self, name: &ObjectName) {
        self.warnings.clear(&Origin::Service(name.clone()));
        self.warnings.clear(&Origin::Claims(name.clone()));
    }

    pub(super) fn slice(&mut self, decoded: &Decoded<EndpointSlice>, reconciler: &Reconciler) {
        // There is nearly always none.
        if decoded.problems.iter().all(|problem| !is_worth_a_warning(problem)) {
            self.slice_gone(&decoded.name);
            return;
        }
        let slice = WrongSlice {
            service: decoded.value.as_ref().map(|slice| slice.service.clone()),
            uid: decoded.uid.clone(),
            found: findings(&decoded.problems, &format!("EndpointSlice {}: ", decoded.name.name())),
        };
        match &mut self.early {
            Some(early) => drop(early.insert(decoded.name.clone(), slice)),
            None => self.wrong_slice(&decoded.name, &slice, reconciler),
        }
    }

    pub(super) fn slice_gone(&mut self, name: &ObjectName) {
        if let Some(early) = &mut self.early {
            early.remove(name);
        }
        self.warnings.clear(&Origin::Slice(name.clone()));
    }

    pub(super) fn node(&self, decoded: &Decoded<u16>) {
        let found = findings(&decoded.problems, "");
        let regarding = || Regarding {
            kind: ObjectKind::Node,
            name: decoded.name.clone(),
            uid: decoded.uid.clone(),
        };
        self.warnings.set(&Origin::Node(decoded.name.clone()), regarding, &found);
    }

    pub(super) fn node_gone(&self, name: &ObjectName) {
        self.warnings.clear(&Origin::Node(name.clone()));
    }

    /// The Services are known now, so problems of their slices can be reported on them.
    pub(super) fn all_is_listed(&mut self, reconciler: &Reconciler) {
        for (name, slice) in self.early.take().unwrap_or_default() {
            self.wrong_slice(&name, &slice, reconciler);
        }
    }

    /// What a Service requests but cannot get.
    pub(super) fn claims(&self, problems: ServiceProblems) {
        let found: Vec<Finding> = problems
            .found
            .into_iter()
            .map(|problem| Finding { reason: reason_of(problem.reason), message: problem.message })
            .collect();
        let ServiceProblems { service: name, uid, .. } = problems;
        let origin = Origin::Claims(name.clone());
        self.warnings.set(&origin, || Regarding { kind: ObjectKind::Service, name, uid }, &found);
    }

    /// A list is complete: objects missing from it have been deleted.
    pub(super) fn keep_only(&mut self, kind: Kind, seen: &HashSet<ObjectName>) {
        if let (Kind::Slices, Some(early)) = (kind, &mut self.early) {
            early.retain(|name, _| seen.contains(name));
        }
        self.warnings.retain(|origin| match (kind, origin) {
            (Kind::Services, Origin::Service(name) | Origin::Claims(name))
            | (Kind::Slices, Origin::Slice(name))
            | (Kind::NodeWeights, Origin::Node(name)) => seen.contains(name),
            _ => true,
        });
    }

    /// Users look at their Service, so a slice's problem is reported there.
    fn wrong_slice(&self, name: &ObjectName, slice: &WrongSlice, reconciler: &Reconciler) {
        let regarding = || {
            let service = slice.service.as_ref();
            let known = service.and_then(|name| Some((name, reconciler.service_uid(name)?)));
            match known {
                Some((service, uid)) => {
                    Regarding { kind: ObjectKind::Service, name: service.clone(), uid: uid.into() }
                }
                None => Regarding {
                    kind: ObjectKind::EndpointSlice,
                    name: name.clone(),
                    uid: slice.uid.clone(),
                },
            }
        };
        self.warnings.set(&Origin::Slice(name.clone()), regarding, &slice.found);
    }
}

/// That an object does not concern a service proxy is not a problem.
fn is_worth_a_warning(problem: &FieldProblem) -> bool {
    problem.severity != Severity::Skipped
}

fn findings(problems: &[FieldProblem], prefix: &str) -> Vec<Finding> {
    let finding = |problem: &FieldProblem| Finding {
        reason: problem.into(),
        message: format!("{prefix}{problem}"),
    };
    problems.iter().filter(|problem| is_worth_a_warning(problem)).map(finding).collect()
}

/// The kind of warning for a problem that the reconciler found.
const fn reason_of(reason: Reason) -> WarningReason {
    match reason {
        Reason::RefusedAddress => WarningReason::RefusedAddress,
        Reason::FrontendConflict => WarningReason::FrontendConflict,
        Reason::TooManyFrontends => WarningReason::TooManyFrontends,
        Reason::NoMarkLeft => WarningReason::NoMarkLeft,
        Reason::KernelRefused => WarningReason::KernelRefused,
    }
}
