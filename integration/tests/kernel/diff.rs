//! `trimtab diff`: it names what others changed, and changes nothing.

use std::process::Command;

use trimtab_core::Protocol;
use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::{Cluster, ServiceSpec, eventually, witness};
use trimtab_integration::topology::{Layout, Namespace, NodeLayout};

const FOREIGN: &str = "-A -t 198.51.100.9:80 -s wlc\n\
                       -a -t 198.51.100.9:80 -r 198.51.100.10:80 -m -w 3\n";

/// What `trimtab diff` prints on the node, and its exit status.
fn diff(cluster: &Cluster) -> (String, Option<i32>) {
    let node = cluster.topology.node(1).namespace();
    let config = cluster.proxy(1).config("ipvs: {syncPeriod: 1s}").write_config().unwrap();
    let mut command = Command::new(program().unwrap());
    command.arg("diff").arg("--config").arg(&config).arg("--kubeconfig").arg(cluster.kubeconfig());
    command.args(["--hostname-override", "node1"]);
    let output = node.run(|| command.output()).unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.is_empty(), "{said}");
    (text, output.status.code())
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn without_the_modules_everything_is_missing_and_nothing_is_asked_of_them() {
    let node = NodeLayout { pods: 1, ..NodeLayout::default() };
    let cluster = Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap();
    let node = cluster.topology.node(1).namespace();
    cluster.publish(&service(1), &[(1, 1)]).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    assert_eq!(diff(&cluster).1, Some(0));
    // A kernel that shows no modules is taken for one without IPVS and ipset, and asking it would
    // load them.
    let config = cluster.proxy(1).write_config().unwrap();
    let line = format!(
        "mount -t tmpfs none /sys/module && exec {} diff --config {} --kubeconfig {} \
         --hostname-override node1",
        program().unwrap().display(),
        config.display(),
        cluster.kubeconfig().display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &line]);
    let output = node.run(|| command.output()).unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    for line in ["! ipset KUBE-CLUSTER-IP is missing", "+ add virtual server TCP 10.96.0.1:80 (rr)"]
    {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
}

fn service(number: u8) -> ServiceSpec {
    ServiceSpec::new(&format!("s{number}"), number).port("http", Protocol::Tcp, 80, 8080)
}

fn run(node: &Namespace, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    node.command(words[0], &words[1..]).unwrap_or_else(|error| panic!("{line}: {error}"));
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn every_kind_of_tampering_is_named_and_then_repaired() {
    let node = NodeLayout { pods: 1, ..NodeLayout::default() };
    let cluster = Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap();
    let node = cluster.topology.node(1).namespace();
    node.command_with_input("ipvsadm", ["-R"], FOREIGN).unwrap();
    for number in 1..=8 {
        cluster.publish(&service(number), &[(1, 1)]).unwrap();
    }
    let (text, status) = diff(&cluster);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("+ add virtual server TCP 10.96.0.1:80 (rr)"), "{text}");
    let proxy = cluster.proxy(1).config("ipvs: {syncPeriod: 1s}").start().unwrap();
    let (text, status) = diff(&cluster);
    assert_eq!(status, Some(0), "{text}");
    let foreign = "0 differences\n\nof other programs, which Trimtab leaves alone:\n  \
                   virtual server TCP 198.51.100.9:80\n";
    assert_eq!(text, foreign);

    // With the program stopped, so that nothing is repaired before it is seen.
    proxy.pause().unwrap();
    let pod = "10.244.1.11:8080";
    let tampering = [
        (
            format!("ipvsadm -D -t {}", service(1).at_v4(80)),
            "+ add virtual server TCP 10.96.0.1:80",
        ),
        (
            format!("ipvsadm -E -t {} -s lc", service(2).at_v4(80)),
            "! change virtual server TCP 10.96.0.2:80",
        ),
        (
            format!("ipvsadm -d -t {} -r {pod}", service(3).at_v4(80)),
            "+ add real server 10.244.1.11:8080 to TCP 10.96.0.3:80",
        ),
        (
            format!("ipvsadm -e -t {} -r {pod} -m -w 5", service(4).at_v4(80)),
            "! change real server 10.244.1.11:8080 of TCP 10.96.0.4:80",
        ),
        (
            format!("ipvsadm -a -t {} -r 10.244.9.9:8080 -m", service(5).at_v4(80)),
            "- drain real server 10.244.9.9:8080 of TCP 10.96.0.5:80",
        ),
        ("ip address del 10.96.0.6/32 dev kube-ipvs0".to_owned(), "+ bind 10.96.0.6"),
        ("ip address add 10.96.0.99/32 dev kube-ipvs0".to_owned(), "- unbind 10.96.0.99"),
        (
            "ipset del KUBE-CLUSTER-IP 10.96.0.7,tcp:80".to_owned(),
            "+ add 10.96.0.7,tcp:80 to ipset KUBE-CLUSTER-IP",
        ),
        (
            "ipset add KUBE-CLUSTER-IP 10.96.0.88,tcp:80".to_owned(),
            "- delete 10.96.0.88,tcp:80 from ipset KUBE-CLUSTER-IP",
        ),
        ("iptables -t nat -F KUBE-SERVICES".to_owned(), "! the IPv4 packet-filter rules differ"),
        (
            "sysctl -w net.ipv4.vs.expire_nodest_conn=0".to_owned(),
            "! sysctl net/ipv4/vs/expire_nodest_conn is 0, not 1",
        ),
    ];
    for (command, _) in &tampering {
        run(node, command);
    }
    let before = witness::ipvsadm(node).unwrap();
    let (text, status) = diff(&cluster);
    assert_eq!(status, Some(1), "{text}");
    for (command, line) in &tampering {
        assert!(text.lines().any(|one| one.starts_with(line)), "{command}: {line}\n{text}");
    }
    assert!(text.contains("of other programs, which Trimtab leaves alone"), "{text}");
    assert_eq!(witness::ipvsadm(node).unwrap(), before, "it changes nothing");

    proxy.resume().unwrap();
    let mut last = String::new();
    let repaired = eventually("a kernel without differences", || {
        let (text, status) = diff(&cluster);
        last = text;
        Ok((status == Some(0)).then_some(()))
    });
    assert!(repaired.is_ok(), "{last}");
    assert!(witness::ipvsadm(node).unwrap().contains("-A -t 198.51.100.9:80 -s wlc"));

    // The dummy interface goes with all VIPs on it.
    proxy.pause().unwrap();
    run(node, "ip link delete kube-ipvs0");
    let (text, status) = diff(&cluster);
    assert_eq!(status, Some(1), "{text}");
    for line in ["! interface kube-ipvs0 is missing", "+ bind 10.96.0.1", "+ bind 10.96.0.8"] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    proxy.resume().unwrap();
    eventually("the interface and its VIPs", || Ok((diff(&cluster).1 == Some(0)).then_some(())))
        .unwrap();
}
