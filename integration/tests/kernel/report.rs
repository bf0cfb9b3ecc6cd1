//! `trimtab report`: what is in the archive of a node that serves, and of one that does not.

use std::collections::BTreeMap;
use std::process::Command;

use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::{Cluster, ServiceSpec, witness};
use trimtab_integration::topology::{Layout, NodeLayout};

/// The files of the archive that `trimtab report` writes on the node, by name.
fn report(cluster: &Cluster, log: &str) -> BTreeMap<String, String> {
    let node = cluster.topology.node(1).namespace();
    let config = cluster.proxy(1).write_config().unwrap();
    let (archive, log_file) = (cluster.path("report.tar.gz"), cluster.path("trimtab.log"));
    std::fs::write(&log_file, log).unwrap();
    let mut command = Command::new(program().unwrap());
    command.args(["report", "--output"]).arg(&archive).arg("--config").arg(&config);
    command.arg("--log").arg(&log_file).arg("--socket").arg(cluster.proxy(1).admin_socket());
    let output = node.run(|| command.output()).unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n", archive.display()));
    let folder = cluster.path("report");
    std::fs::create_dir_all(&folder).unwrap();
    let (archive, to) = (archive.display().to_string(), folder.display().to_string());
    let unpacked = ["-xzf", &archive, "--strip-components=1", "-C", &to];
    node.command("tar", unpacked).unwrap();
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().display().to_string();
        (name, std::fs::read_to_string(&path).unwrap())
    });
    files.collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_report_has_what_the_kernel_holds_and_what_the_daemon_answers_and_no_secret() {
    let node = NodeLayout { pods: 1, ..NodeLayout::default() };
    let cluster = Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap();
    let node = cluster.topology.node(1).namespace();
    let log = "request with Bearer abcdef0123 refused\n";

    let idle = report(&cluster, log);
    assert!(idle["metrics.txt"].contains("not available: http://"), "{}", idle["metrics.txt"]);
    assert!(idle["sets.txt"].contains("KUBE-CLUSTER-IP: missing"), "{}", idle["sets.txt"]);
    assert_eq!(idle["log.txt"], "request with Bearer [removed] refused\n");

    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    node.command("iptables", ["-A", "INPUT", "-s", "192.0.2.77", "-j", "ACCEPT"]).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let files = report(&cluster, log);
    for line in witness::ipvsadm(node).unwrap() {
        assert!(files["ipvs.txt"].lines().any(|one| one == line), "{line}: {}", files["ipvs.txt"]);
    }
    for (file, content) in [
        ("README.txt", "bytes  version.txt: versions of Trimtab"),
        ("version.txt", "Linux"),
        ("configuration.yaml", "kind: KubeProxyConfiguration"),
        ("check.txt", "problems, "),
        ("ipvs-counters.txt", "TCP 10.96.0.1:80 (IPv4) connections=0"),
        ("ipvs-counters.txt", "  -> 10.244.1.11:8080 weight=1 active=0"),
        ("sets.txt", "  10.96.0.1,tcp:80"),
        ("rules.txt", ":KUBE-SERVICES"),
        ("sysctls.txt", "net/ipv4/vs/conntrack = 1"),
        ("addresses.txt", "## VIPs on kube-ipvs0: 2\n10.96.0.1\n"),
        ("metrics.txt", "kubeproxy_sync_proxy_rules_duration_seconds_bucket"),
        ("health.txt", "## /readyz: 200 OK"),
        ("admin.txt", "\"name\":\"web\""),
    ] {
        assert!(files[file].contains(content), "{file}: {content}\n{}", files[file]);
    }
    assert!(!files["rules.txt"].contains("192.0.2.77"), "{}", files["rules.txt"]);
    assert!(files.values().all(|content| !content.contains("abcdef0123")));
}
