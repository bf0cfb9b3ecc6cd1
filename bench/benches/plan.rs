//! The plan for everything: `cargo bench -p trimtab-bench --bench plan`.

mod cluster;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use test_api::Cluster;

use cluster::{program, service, slice};

fn whole(criterion: &mut Criterion) {
    for services in [1000, 10_000] {
        let cluster = Cluster::synthetic(services, 10, 1);
        let mut group = criterion.benchmark_group("everything");
        group.sample_size(10).throughput(Throughput::Elements(services as u64));
        let objects: Vec<_> =
            (0..services).map(|number| (service(number), slice(&cluster, number))).collect();
        group.bench_function(BenchmarkId::new("take in", services), |bencher| {
            bencher.iter_batched(
                || objects.clone(),
                |objects| {
                    let mut reconciler = cluster::empty();
                    for (service, slice) in objects {
                        reconciler.apply_service(service);
                        reconciler.apply_slice(&slice);
                    }
                    reconciler
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("plan", services), |bencher| {
            bencher.iter_batched(
                || cluster::reconciler(&cluster),
                |mut reconciler| {
                    // A virtual server, ten real servers, a VIP, two elements: without those of
                    // endpoints on this node.
                    assert!(program(&mut reconciler) >= 14 * services);
                    reconciler
                },
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(plan, whole);
criterion_main!(plan);
