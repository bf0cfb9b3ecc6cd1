//! The metrics of the loop.

use std::collections::BTreeMap;
use std::time::Duration;

use trimtab_core::Family;
use trimtab_kube::Change;
use trimtab_metrics as metric;
use trimtab_reconcile::{Drift, Plan, Reconciler, Report};

/// Changes arrived together.
pub(crate) fn arrived(changes: &[Change]) {
    let count = |is: fn(&Change) -> bool| changes.iter().filter(|change| is(change)).count();
    let services = count(|change| matches!(change, Change::Service(_) | Change::ServiceGone(_)));
    let slices = count(|change| matches!(change, Change::Slice(..) | Change::SliceGone(_)));
    metric::arrived(services, slices);
}

/// A plan was carried out.
pub(crate) fn round(plan: &Plan, report: &Report, took: Duration) {
    metric::round(took);
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for operation in plan.operations() {
        *counts.entry(operation.action.verb()).or_default() += 1;
    }
    for (verb, count) in counts {
        metric::operations(verb, count);
        // A counter that begins at zero has a rate from its first failure on.
        metric::operations_failed(verb, 0);
    }
    for (operation, _) in &report.failed {
        metric::operations_failed(operation.action.verb(), 1);
    }
}

/// The number of objects that another program had changed.
pub(crate) fn drifted(drift: &Drift, reconciler: &Reconciler) {
    metric::drift("virtual_server", drift.virtual_servers);
    metric::drift("real_server", drift.real_servers);
    metric::drift("element", drift.elements);
    metric::drift("address", drift.addresses);
    metric::draining(reconciler.draining_servers());
    for family in Family::ALL {
        let lacking = reconciler.without_local_endpoints(family);
        metric::without_local_endpoints(family, "internal", lacking.internal);
        metric::without_local_endpoints(family, "external", lacking.external);
    }
    metric::retrying(reconciler.retrying());
}
