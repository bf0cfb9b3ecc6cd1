//! One change in a table of any size: `cargo bench -p trimtab-bench --bench diff`.
//!
//! The time of each must not depend on the number of Services.

mod cluster;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use test_api::Cluster;
use trimtab_core::objects::Conditions;

use cluster::{program, service, slice};

const SIZES: [usize; 3] = [1000, 10_000, 50_000];

fn changes(criterion: &mut Criterion) {
    let mut endpoint = criterion.benchmark_group("an endpoint is ready, and is not");
    let mut tables = SIZES.map(|services| {
        let cluster = Cluster::synthetic(services, 10, 1);
        let mut reconciler = cluster::reconciler(&cluster);
        program(&mut reconciler);
        (cluster, reconciler)
    });
    for (cluster, reconciler) in &mut tables {
        let services = cluster.services();
        // Slices from all over the table, so that not only cached entries are used.
        let states: Vec<_> = (0..1000)
            .map(|number| {
                let all = slice(cluster, number * 7919 % services);
                let mut fewer = all.clone();
                fewer.endpoints[3].conditions =
                    Conditions { ready: false, serving: false, terminating: false };
                [fewer, all]
            })
            .collect();
        let mut next = states.iter().cycle();
        endpoint.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            bencher.iter(|| {
                for state in next.next().expect("a cycle") {
                    reconciler.apply_slice(state);
                    assert_eq!(program(reconciler), 1);
                }
            });
        });
    }
    endpoint.finish();

    let mut coming = criterion.benchmark_group("a Service with 10 endpoints comes, and goes");
    for (cluster, reconciler) in &mut tables {
        let services = cluster.services();
        let larger = Cluster::synthetic(services + 1, 10, 1);
        let (new, endpoints) = (service(services), slice(&larger, services));
        coming.bench_function(BenchmarkId::from_parameter(services), |bencher| {
            bencher.iter(|| {
                reconciler.apply_service(new.clone());
                reconciler.apply_slice(&endpoints);
                let came = program(reconciler);
                reconciler.delete_service(&new.name);
                reconciler.delete_slice(&endpoints.name);
                assert!(came >= 14 && program(reconciler) >= 4);
            });
        });
    }
    coming.finish();
}

criterion_group!(diff, changes);
criterion_main!(diff);
