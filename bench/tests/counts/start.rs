//! Everything is listed and programmed.

use test_api::Cluster;

use crate::daemon::{Daemon, HERE};

const ENDPOINTS: usize = 10;
/// Bytes that stay for each endpoint, its tenth of a Service included: measured, and 15 % more.
const BYTES: usize = 425;

#[test]
fn a_start_costs_each_service_alike_and_keeps_few_bytes_of_an_endpoint() {
    let [small, large] = [1000, 10_000].map(|services| {
        let cluster = Cluster::synthetic(services, ENDPOINTS, 1);
        let daemon = Daemon::start(&cluster, "");
        let tally = daemon.kernel.tally();
        let all = (0..services).flat_map(|service| (0..ENDPOINTS).map(move |e| (service, e)));
        let here = all.filter(|(service, e)| cluster.node_of(*service, *e) == HERE).count();
        // A virtual server and its real servers; two elements each, and one for an endpoint here.
        assert_eq!(tally.ipvs, services * (1 + ENDPOINTS));
        assert_eq!(tally.added, services * ENDPOINTS);
        assert_eq!(tally.elements, services * 2 + here);
        assert_eq!(tally.addresses, services);
        let kept = usize::try_from(daemon.start.live).unwrap() / (services * ENDPOINTS);
        println!(
            "{services} x {ENDPOINTS}: {kept} bytes kept of an endpoint; for a Service {} \
             allocations, {} bytes",
            daemon.start.allocations / services,
            daemon.start.bytes / services,
        );
        (daemon.start.allocations / services, kept)
    });
    let ((small, _), (large, kept)) = (small, large);
    assert!(kept <= BYTES, "{kept} bytes an endpoint");
    // Including the API server's own, which writes some objects at a time.
    assert!(large <= small + small / 10, "{small} and {large}");
}
