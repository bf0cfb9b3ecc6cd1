//! The image and the DaemonSet's pod exactly as shipped, started by a container engine with runc.
//!
//! `cargo xtask test` runs these in a guest. Reading a manifest is not enough: a runtime may refuse
//! one that looks right.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually};
use trimtab_integration::pod::{Engine, Node, PodManifest, RunningPod, kubelet};
use trimtab_integration::topology::{Host, Layout};

/// Loading images takes longer than all else.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::start().unwrap());

/// The container that stays.
const MAIN: &str = "trimtab";

fn web() -> ServiceSpec {
    ServiceSpec::new("web", 1).port("http", Protocol::Tcp, 80, 8080)
}

/// What is shipped, for the API server of a cluster.
fn manifest(cluster: &Cluster) -> PodManifest {
    let mut manifest = kubelet::shipped().unwrap();
    // kubeadm leaves the address of the API server here. Ours speaks HTTP without TLS.
    manifest.add(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system"},
        "data": {"kubeconfig.conf": format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    \
             certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt\n    \
             server: {}\n  name: default\ncontexts:\n- context:\n    cluster: default\n    \
             namespace: default\n    user: default\n  name: default\ncurrent-context: default\n\
             users:\n- name: default\n  user:\n    \
             tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token\n",
            cluster.api.url()
        )},
    }));
    manifest
}

/// Makes the connection table as large as is wanted by default. On a node the init container does
/// it; ours is a network namespace, and the size is the whole machine's.
fn enlarge_connection_table() {
    let processors = std::thread::available_parallelism().unwrap().get();
    let wanted = (32_768 * processors).max(131_072);
    // Where tracking is a module, it need not be loaded yet.
    assert!(Command::new("modprobe").args(["-q", "nf_conntrack"]).status().is_ok());
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_max", wanted.to_string()).unwrap();
}

/// Has a kubelet of node 1 start the pod.
fn start(cluster: &Cluster, manifest: &PodManifest) -> anyhow::Result<RunningPod<'static>> {
    enlarge_connection_table();
    let host = cluster.topology.node(1);
    let folder = cluster.path("kubelet");
    let node = Node { name: host.name(), address: host.address(Family::V4), folder: &folder };
    ENGINE.play(host, &manifest.pod(&node)?)
}

/// Asks as the kubelet does, first until it has started, then whether it lives and is ready.
fn wait_until_ready(cluster: &Cluster, manifest: &mut PodManifest, pod: &RunningPod<'_>) {
    let node = cluster.topology.node(1);
    for kind in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let probe = manifest.probe(MAIN, kind).unwrap();
        // The first of a node's addresses is that of the pods in its network.
        let asked = probe.passes(node, node.address(Family::V4));
        asked.unwrap_or_else(|error| panic!("{kind}: {error:?}\n{}", pod.log(MAIN).unwrap()));
    }
}

fn answers(from: &Host, of: &ServiceSpec) {
    for family in Family::ALL {
        eventually(format!("an answer over {family}"), || {
            Ok(from.ask(Protocol::Tcp, of.at(family, 80)).ok())
        })
        .unwrap();
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn as_shipped_it_becomes_ready_and_a_request_through_a_vip_is_answered() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    cluster.publish(&web(), &[(2, 1)]).unwrap();
    let _servers = cluster.serve(&[(2, 1)], &[Protocol::Tcp], 8080).unwrap();
    let mut manifest = manifest(&cluster);
    let pod = start(&cluster, &manifest).unwrap();
    wait_until_ready(&cluster, &mut manifest, &pod);
    answers(cluster.topology.pod(1, 2), &web());

    // Root on the node asks the pod, by the directory that both have.
    let program = program().unwrap().display().to_string();
    let status = cluster.topology.node(1).namespace().command(&program, ["status", "-o", "json"]);
    let status: Value = serde_json::from_str(&status.unwrap()).unwrap();
    assert_eq!(
        (&status["summary"]["ready"], &status["summary"]["services"]),
        (&true.into(), &1.into())
    );

    // runc's configuration matches the manifest.
    let config = pod.runtime_config(MAIN).unwrap();
    let context = manifest.container(MAIN)["securityContext"].clone();
    assert_eq!(capabilities(&config), wanted_capabilities(&context));
    assert_eq!(config["process"]["noNewPrivileges"], true);
    assert_eq!(config["root"]["readonly"], true);
    assert!(!config["linux"]["seccomp"]["syscalls"].as_array().unwrap().is_empty());
    let mounts = config["mounts"].as_array().unwrap();
    let mut writable: Vec<_> = mounts
        .iter()
        .filter(|mount| mount["type"] == "bind" && !options(mount).contains(&"ro"))
        .filter_map(|mount| mount["destination"].as_str())
        .filter(|path| !PODMANS_OWN.contains(path))
        .collect();
    writable.sort_unstable();
    let wanted = ["/run/trimtab", "/run/xtables.lock"];
    assert_eq!(writable, wanted, "all that it can write to on the node");
}

/// What every container of podman has, as every container of containerd.
const PODMANS_OWN: [&str; 5] =
    ["/dev/shm", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"];

fn options(mount: &Value) -> Vec<&str> {
    mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn capabilities(config: &Value) -> Vec<String> {
    let bounding = config["process"]["capabilities"]["bounding"].as_array();
    let mut all: Vec<_> =
        bounding.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    all.sort();
    all
}

fn wanted_capabilities(context: &Value) -> Vec<String> {
    assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
    let add = context["capabilities"]["add"].as_array();
    let mut all: Vec<_> = add
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|name| format!("CAP_{name}"))
        .collect();
    all.sort();
    all
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn both_kinds_of_iptables_in_the_image_see_their_own_rules() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let node = cluster.topology.node(1);
    let mut manifest = manifest(&cluster);
    let image = manifest.container(MAIN)["image"].as_str().unwrap().to_owned();
    let kinds = ["nft", "legacy"];
    for kind in kinds {
        // Rules as others on a node have them, by extensions that we do not use ourselves.
        let rule = format!(
            "-A FORWARD -p tcp -m multiport --dports 80,443 -m comment --comment {kind} -m \
             statistic --mode random --probability 0.5 -j LOG\n"
        );
        let input = format!("*filter\n{rule}COMMIT\n");
        for family in ["iptables", "ip6tables"] {
            let restore = format!("{family}-{kind}-restore");
            node.namespace().command_with_input(&restore, ["--noflush"], &input).unwrap();
        }
    }
    for kind in kinds {
        for family in ["iptables", "ip6tables"] {
            let save = format!("/usr/sbin/{family}-{kind}-save");
            let saved = ENGINE.run(node, &image, &save, &["NET_ADMIN", "NET_RAW"]).unwrap();
            let seen = kinds.map(|kind| saved.contains(&format!("--comment {kind} ")));
            assert_eq!(seen, kinds.map(|other| other == kind), "{save}:\n{saved}");
        }
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn runc_refuses_a_mount_inside_proc() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let mut manifest = manifest(&cluster);
    let volume = json!({"name": "sysctls", "hostPath": {"path": "/proc/sys/net"}});
    let mount = json!({"name": "sysctls", "mountPath": "/proc/sys/net"});
    manifest.spec()["volumes"].as_array_mut().unwrap().push(volume);
    manifest.container(MAIN)["volumeMounts"].as_array_mut().unwrap().push(mount);
    let error = format!("{:?}", start(&cluster, &manifest).map(drop).unwrap_err());
    assert!(error.contains("cannot be mounted because it is inside /proc"), "{error}");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn without_net_raw_iptables_cannot_ask_for_sets() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    cluster.publish(&web(), &[(2, 1)]).unwrap();
    let mut manifest = manifest(&cluster);
    let added = &mut manifest.container(MAIN)["securityContext"]["capabilities"]["add"];
    added.as_array_mut().unwrap().retain(|name| name != "NET_RAW");
    let pod = start(&cluster, &manifest).unwrap();
    pod.wait_for(MAIN, "this process lacks CAP_NET_RAW").unwrap();
    let node = cluster.topology.node(1);
    let readiness = manifest.probe(MAIN, "readinessProbe").unwrap();
    let once = trimtab_integration::pod::Probe { failures: 1, ..readiness };
    assert!(once.passes(node, node.address(Family::V4)).is_err());
}
