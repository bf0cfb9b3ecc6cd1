//! Invalid objects, on a real kernel and under traffic.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use serde_json::{Value, json};
use trimtab_core::Protocol;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Layout, NodeLayout};

/// More pods than any real Service has; 20,000, for which the kernel takes quadratic time, are
/// tested with the fake kernel (crates/trimtab-agent/tests/daemon).
const ENDPOINTS: u32 = 5_000;

fn service(name: &str, spec: &Value) -> Value {
    let metadata =
        json!({"name": name, "namespace": "bad", "creationTimestamp": "2030-01-01T00:00:00Z"});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
}

fn slice(name: &str, of: &str, more: &Value) -> Value {
    let labels = json!({"kubernetes.io/service-name": of});
    let mut slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "bad", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 80}],
    });
    for (key, value) in more.as_object().unwrap() {
        slice[key] = value.clone();
    }
    slice
}

/// The errors, and what the message about each must contain.
fn bad_objects() -> (Vec<Value>, Vec<[&'static str; 2]>) {
    let http = json!([{"name": "http", "port": 80}]);
    let long = "x".repeat(5000);
    let mut tuned = service("tuned", &json!({"clusterIP": "10.96.9.1", "ports": http}));
    tuned["metadata"]["annotations"] = json!({"trimtab.dev/scheduler": long});
    let objects = vec![
        service("address", &json!({"clusterIP": "10.96.0.300", "ports": http})),
        service("zero", &json!({"clusterIP": "10.96.9.2", "ports": [{"port": 0}]})),
        service("huge", &json!({"clusterIP": "10.96.9.3", "ports": [{"port": 70000}]})),
        service(
            "icmp",
            &json!({"clusterIP": "10.96.9.4", "ports": [{"port": 1, "protocol": "ICMP"}]}),
        ),
        service("loop", &json!({"clusterIP": "127.0.0.1", "ports": http})),
        service("thief", &json!({"clusterIP": "10.96.0.1", "ports": http})),
        tuned,
        slice("six", "tuned", &json!({"endpoints": [{"addresses": ["fd44::1"]}]})),
        slice("none", "tuned", &json!({"endpoints": [{}]})),
        slice("port", "tuned", &json!({"ports": [{"name": "http", "port": 70000}]})),
        slice("type", "tuned", &json!({"addressType": "MAC"})),
    ];
    let named = vec![
        ["bad/address", "spec.clusterIP[0]"],
        ["bad/zero", "spec.ports[0].port"],
        ["bad/huge", "spec.ports[0].port"],
        ["bad/icmp", "spec.ports[0].protocol"],
        ["bad/loop", "127.0.0.1"],
        ["bad/thief", "10.96.0.1:80"],
        ["bad/tuned", "metadata.annotations[trimtab.dev/scheduler]"],
        ["bad/six", "endpoints[0].addresses[0]"],
        ["bad/none", "endpoints[0].addresses[0]"],
        ["bad/port", "ports[0].port"],
        ["bad/type", "addressType"],
    ];
    (objects, named)
}

/// A Service of as many endpoints as nobody should have, in slices of a thousand.
fn enormous() -> Vec<Value> {
    let mut objects = vec![service(
        "enormous",
        &json!({"clusterIP": "10.96.9.9", "ports": [{"name": "http", "port": 80}]}),
    )];
    for number in 0..ENDPOINTS / 1000 {
        let endpoints: Vec<Value> = (0..1000)
            .map(|n| json!({"addresses": [format!("10.{}.{}.{}", 200 + number, n / 250, n % 250)]}))
            .collect();
        let name = format!("enormous-{number}");
        objects.push(slice(&name, "enormous", &json!({"endpoints": endpoints})));
    }
    objects
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn bad_objects_are_named_and_a_good_service_answers_all_the_while() {
    let node = NodeLayout { pods: 2, ..NodeLayout::default() };
    let cluster = Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap();
    let topology = &cluster.topology;
    let folder = cluster.path("manifests");
    std::fs::create_dir(&folder).unwrap();
    // Written elsewhere and renamed, so that it appears complete.
    let write = |name: &str, objects: &[Value]| {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        std::fs::write(cluster.path(name), list).unwrap();
        std::fs::rename(cluster.path(name), folder.join(name)).unwrap();
    };
    let web = ServiceSpec::new("web", 1)
        .port("http", Protocol::Tcp, 80, 8080)
        .metadata(&json!({"creationTimestamp": "2020-01-01T00:00:00Z"}));
    let mut good = vec![web.service()];
    good.extend(web.slices(&[(1, 1)]));
    write("good.json", &good);
    let _server = topology.pod(1, 1).serve(&[Protocol::Tcp], 8080).unwrap();
    let proxy = cluster.proxy(1).manifests(&folder).start().unwrap();
    let namespace = topology.node(1).namespace();
    let before = witness::ipvsadm(namespace).unwrap();

    let stop = AtomicBool::new(false);
    let asked = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let answer = topology.pod(1, 2).ask(Protocol::Tcp, web.at_v4(80));
                assert_eq!(answer.map(|answer| answer.name).as_deref(), Ok("node1-pod1"));
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        let checks = || -> anyhow::Result<()> {
            let (bad, named) = bad_objects();
            write("bad.json", &bad);
            for words in named {
                eventually(format!("{words:?} in a warning"), || {
                    let log = proxy.log();
                    let line =
                        log.lines().find(|line| words.iter().all(|word| line.contains(word)));
                    Ok(line.map(|line| assert!(line.len() < 600, "{line}")))
                })?;
            }
            write("enormous.json", &enormous());
            // Asking the program is cheap; ipvsadm prints thousands of lines. An emulated processor takes
            // minutes: each thousand more is a step.
            for step in 1..=u64::from(ENDPOINTS / 1000) {
                eventually(format!("{step},000 real servers"), || {
                    let added = proxy.count("trimtab_operations_total", "add_real_server")?;
                    Ok((added >= step * 1000).then_some(()))
                })?;
            }
            let wanted = usize::try_from(ENDPOINTS)?;
            eventually("its real servers", || {
                let lines = witness::ipvsadm(namespace)?;
                anyhow::ensure!(before.is_subset(&lines), "the good Service lost something");
                let count = lines.iter().filter(|line| line.contains("-r 10.20")).count();
                Ok((count >= wanted).then_some(()))
            })?;
            for name in ["bad.json", "enormous.json"] {
                std::fs::remove_file(folder.join(name))?;
            }
            eventually("as before", || Ok((witness::ipvsadm(namespace)? == before).then_some(())))
        };
        let outcome = checks();
        stop.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    assert!(asked.load(Ordering::Relaxed) > 10);
    let log = proxy.log();
    let of_web =
        log.lines().filter(|line| line.contains("delete") && line.contains("10.96.0.1:80"));
    assert_eq!(of_web.count(), 0, "nothing of the good Service was ever deleted");
}
