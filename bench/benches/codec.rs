//! Decoding and encoding of netlink messages and of objects: `cargo bench -p trimtab-bench --bench
//! codec`.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use test_api::{Cluster, Resource};
use trimtab_bench::objects::{self, Endpoint};
use trimtab_core::{
    Family, Frontend, Protocol, RealServer, RealServerKey, Scheduler, SetElement, SetId, SetKind,
    VirtualServer,
};
use trimtab_host::ipset::{self, Change, Repeat};
use trimtab_ipvs::{Batch, wire};
use trimtab_kube::objects::{EndpointSliceObject, ServiceObject};

/// Linux 7.2's message about a masqueraded real server, without the netlink header; in four-byte
/// words.
const REAL_SERVER: &str = "\
     05010000 50010200 14000100 0a090909 00000000 00000000 00000000 06000200 14e90000 08000300 \
     00000000 08000400 03000000 05000d00 00000000 06000e00 00000000 06000f00 00000000 08000500 \
     64000000 08000600 32000000 08000700 00000000 08000800 03000000 08000900 00000000 06000b00 \
     02000000 5c000a00 08000100 03000000 08000200 03000000 08000300 00000000 0c000400 66000000 \
     00000000 0c000500 00000000 00000000 08000600 00000000 08000700 00000000 08000800 00000000 \
     08000900 0a000000 08000a00 00000000 7c000c00 0c000100 03000000 00000000 0c000200 03000000 \
     00000000 0c000300 00000000 00000000 0c000400 66000000 00000000 0c000500 00000000 00000000 \
     0c000600 00000000 00000000 0c000700 00000000 00000000 0c000800 00000000 00000000 0c000900 \
     0a000000 00000000 0c000a00 00000000 00000000";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    digits.chunks(2).map(|pair| byte(pair).expect("hexadecimal digits")).collect()
}

fn servers(criterion: &mut Criterion) {
    const SERVICES: usize = 100;
    let cluster = Cluster::synthetic(SERVICES, 10, 1);
    let table: Vec<(VirtualServer, Vec<RealServer>)> = (0..SERVICES)
        .map(|service| {
            let vip = IpAddr::from(Cluster::vip(service));
            let frontend = Frontend::new(Protocol::Tcp, vip, Cluster::PORT);
            let server = |number| {
                let address = IpAddr::from(cluster.endpoint(service, number));
                RealServer::masqueraded(RealServerKey::new(address, Cluster::TARGET_PORT))
            };
            let server_of = VirtualServer::new(frontend, Scheduler::RoundRobin);
            (server_of, (0..10).map(server).collect())
        })
        .collect();
    let mut batch = Batch::new();
    let mut group = criterion.benchmark_group("ipvs");
    group.throughput(Throughput::Elements(1100));
    group.bench_function("encode 100 virtual servers with 10 real servers each", |bencher| {
        bencher.iter(|| {
            batch.clear();
            for (server, real_servers) in black_box(&table) {
                batch.add_virtual_server(server);
                for real_server in real_servers {
                    batch.add_real_server(&server.frontend, real_server);
                }
            }
            batch.as_bytes().len()
        });
    });
    let answer = bytes(REAL_SERVER);
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode a real server", |bencher| {
        bencher.iter(|| wire::decode_real_server(black_box(&answer), Family::V4));
    });
    group.finish();
}

fn elements(criterion: &mut Criterion) {
    const ELEMENTS: usize = 1000;
    let set = SetId::new(SetKind::ClusterIp, Family::V4).name();
    let changes: Vec<Change<'_>> = (0..ELEMENTS)
        .map(|number| {
            let vip = IpAddr::from(Cluster::vip(number));
            Change::add(set, SetElement::IpPort(vip, Protocol::Tcp, Cluster::PORT))
        })
        .collect();
    let mut group = criterion.benchmark_group("ipset");
    group.throughput(Throughput::Elements(ELEMENTS as u64));
    group.bench_function("encode 1,000 elements", |bencher| {
        bencher.iter(|| ipset::messages(black_box(&changes), Repeat::Allow).len());
    });
    group.finish();
}

/// Objects, decoded as in the client from both encodings.
fn objects_of_the_api(criterion: &mut Criterion) {
    let name = Cluster::service_name(7);
    let mut group = criterion.benchmark_group("a Service");
    let json = objects::service(&name, Cluster::vip(7));
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("JSON", |bencher| {
        bencher
            .iter(|| serde_json::from_str::<ServiceObject>(black_box(&json)).expect("a Service"));
    });
    let encoded = message(Resource::Services, &json);
    group.throughput(Throughput::Bytes(encoded.len() as u64));
    group.bench_function("protobuf", |bencher| {
        bencher.iter(|| ServiceObject::from_protobuf(black_box(&encoded)).expect("a Service"));
    });
    group.finish();

    let mut group = criterion.benchmark_group("an EndpointSlice");
    for count in [10u8, 100] {
        let endpoints: Vec<Endpoint> = (0..count)
            .map(|number| Endpoint {
                address: Ipv4Addr::new(10, 128, 7, number),
                node: number.into(),
                ready: true,
                hint: false,
            })
            .collect();
        let json = objects::slice(&name, 0, &endpoints);
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_with_input(BenchmarkId::new("JSON", count), &json, |bencher, json| {
            bencher.iter(|| serde_json::from_str::<EndpointSliceObject>(json).expect("a slice"));
        });
        let encoded = message(Resource::EndpointSlices, &json);
        group.throughput(Throughput::Bytes(encoded.len() as u64));
        group.bench_with_input(BenchmarkId::new("protobuf", count), &encoded, |bencher, bytes| {
            bencher.iter(|| EndpointSliceObject::from_protobuf(bytes).expect("a slice"));
        });
    }
    group.finish();
}

/// An object in protobuf, without an envelope.
fn message(resource: Resource, json: &str) -> Vec<u8> {
    let object = serde_json::from_str(json).expect("JSON");
    test_api::protobuf_message(resource, &object).expect("a kind that has messages")
}

criterion_group!(codec, servers, elements, objects_of_the_api);
criterion_main!(codec);
