//! Synthetic objects for the reconciler, and a kernel that accepts everything.

use std::time::Duration;

use test_api::Cluster;
use trimtab_bench::objects;
use trimtab_core::objects::{EndpointSlice, Service};
use trimtab_kube::objects::{EndpointSliceObject, ServiceObject};
use trimtab_reconcile::{Reconciler, Report, Settings};

/// Operations in one of the program's rounds.
const ROUND: usize = 4096;

/// A Service.
pub(crate) fn service(number: usize) -> Service {
    let text = objects::service(&Cluster::service_name(number), Cluster::vip(number));
    let object: ServiceObject = serde_json::from_str(&text).expect("a Service");
    object.decoded.value.expect("a Service to proxy")
}

/// Its endpoints.
pub(crate) fn slice(cluster: &Cluster, number: usize) -> EndpointSlice {
    let endpoints = objects::endpoints(cluster, number);
    let text = objects::slice(&Cluster::service_name(number), 0, &endpoints);
    let object: EndpointSliceObject = serde_json::from_str(&text).expect("a slice");
    object.decoded.value.expect("a slice to proxy")
}

/// An empty reconciler on the first node, without draining.
pub(crate) fn empty() -> Reconciler {
    let settings = Settings::new(&Cluster::node_name(0));
    Reconciler::new(Settings { drain_timeout: Duration::ZERO, ..settings })
}

/// A reconciler that has processed a cluster's objects and planned nothing yet.
pub(crate) fn reconciler(cluster: &Cluster) -> Reconciler {
    let mut reconciler = empty();
    for number in 0..cluster.services() {
        reconciler.apply_service(service(number));
        reconciler.apply_slice(&slice(cluster, number));
    }
    reconciler
}

/// Plans everything that is due, as if the kernel accepted it; returns the number of operations.
pub(crate) fn program(reconciler: &mut Reconciler) -> usize {
    let mut operations = 0;
    loop {
        let plan = reconciler.plan(Duration::ZERO, ROUND);
        if plan.is_empty() && reconciler.is_idle() {
            return operations;
        }
        operations += plan.len();
        let report = Report { done: plan.len(), ..Report::default() };
        reconciler.take_report(&plan, &report, Duration::ZERO);
    }
}
