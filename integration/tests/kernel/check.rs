//! `trimtab check`: what it finds on a node, and that it changes nothing.

use std::process::Command;

use trimtab_integration::cluster::proxy::program;
use trimtab_integration::cluster::{Cluster, ServiceSpec, witness};
use trimtab_integration::topology::{Layout, Namespace, NodeLayout};

fn cluster() -> Cluster {
    let node = NodeLayout { pods: 1, ..NodeLayout::default() };
    Cluster::start(&Layout { nodes: vec![node], clients: 0 }).unwrap()
}

/// What `trimtab check` prints on the node when `under` starts it, and its exit status.
fn check(cluster: &Cluster, under: &[&str]) -> (String, Option<i32>) {
    let node = cluster.topology.node(1).namespace();
    let config = cluster.proxy(1).write_config().unwrap();
    let program = program().unwrap();
    let mut words = under.to_vec();
    words.push(program.to_str().unwrap());
    words.extend(["check", "--config", config.to_str().unwrap()]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    let output = node.run(|| command.output()).unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (text, output.status.code())
}

/// Everything that Trimtab would change on a node.
fn state(node: &Namespace) -> Vec<String> {
    let mut all: Vec<String> = witness::ipset(node).unwrap().into_iter().collect();
    for program in ["iptables-save", "ip6tables-save"] {
        let text = node.command::<&str>(program, []).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        all.extend(lines.map(|line| line.split(" [").next().unwrap().to_owned()));
    }
    all.push(node.command("ip", ["-j", "address"]).unwrap());
    all.push(node.command("sysctl", ["net.ipv4.vs.conntrack", "net.ipv4.ip_forward"]).unwrap());
    all
}

/// The findings of a level, each as the word for what was looked at.
fn of<'a>(text: &'a str, level: &str) -> Vec<&'a str> {
    let lines = text.lines().filter(|line| line.starts_with(level));
    lines.map(|line| line.split_whitespace().nth(1).unwrap()).collect()
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_node_is_judged_and_left_as_it_is() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    let before = state(node);
    let (text, status) = check(&cluster, &[]);
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(of(&text, "problem"), [""; 0], "{text}");
    // IPVS does not track its connections unless told.
    assert!(text.contains("will set net/ipv4/vs/conntrack = 1 (now 0)"), "{text}");
    assert_eq!(state(node), before);

    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    cluster.publish(&web, &[(1, 1)]).unwrap();
    let _proxy = cluster.proxy(1).start().unwrap();
    let (text, status) = check(&cluster, &[]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("all have the required values"), "{text}");
    assert!(text.contains("another program listens on"), "{text}");
    let servers = witness::ipvsadm(node).unwrap();
    let virtual_servers = servers.iter().filter(|line| line.starts_with("-A")).count();
    assert!(text.contains(&format!("{virtual_servers} exist; those")), "{text}");
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_is_in_the_way_is_named_with_its_remedy() {
    let cluster = cluster();
    let node = cluster.topology.node(1).namespace();
    node.command("nft", ["add", "table", "ip", "kube-proxy"]).unwrap();
    node.command("sysctl", ["-w", "net.ipv4.ip_forward=0"]).unwrap();
    let (text, status) = check(&cluster, &[]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("the nftables table kube-proxy of IPv4"), "{text}");
    assert!(text.contains("trimtab cleanup --of kube-proxy"), "{text}");
    assert!(text.contains("net/ipv4/ip_forward = 1 (now 0)"), "{text}");
    assert!(node.command("nft", ["list", "tables"]).unwrap().contains("table ip kube-proxy"));

    let (text, status) =
        check(&cluster, &["setpriv", "--bounding-set=-all,+net_admin", "--no-new-privs"]);
    assert_eq!(status, Some(1), "{text}");
    assert!(of(&text, "problem").contains(&"capabilities"), "{text}");
    assert!(text.contains("lacks CAP_NET_RAW"), "{text}");
}
