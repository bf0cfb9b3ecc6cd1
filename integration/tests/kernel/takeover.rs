//! Trimtab takes over a node that a real kube-proxy programmed, as recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::soon;
use trimtab_integration::cluster::witness::{self, Lines, difference, uncommented};
use trimtab_integration::cluster::{Cluster, Proxy, ProxyBuilder, eventually};
use trimtab_integration::topology::{Connection, Layout, Namespace, NodeLayout, Server};

const NAME: &str = "node-a";

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../crates/trimtab/tests/kube-proxy-state/", $name))
    };
}

const OBJECTS: &str = recorded!("objects.yaml");
const CONFIG: &str = recorded!("config.yaml");

/// Objects of other programs on the node: each line as another program prints it.
pub(crate) const FOREIGN_SERVERS: &str = "-A -t 198.51.100.9:80 -s wlc\n\
    -a -t 198.51.100.9:80 -r 198.51.100.10:80 -m -w 3\n-A -f 7 -s wrr -p 60\n";
const FOREIGN_RULES: &str = "*filter\n:MINE - [0:0]\n-A MINE -j RETURN\n\
    -I INPUT 1 -p udp -m comment --comment mine -j MINE\n-A INPUT -j MINE\nCOMMIT\n\
    *nat\n-I POSTROUTING 1 -p udp -m comment --comment mine -j ACCEPT\nCOMMIT\n";
pub(crate) const FOREIGN_SET: &str = "create MINE hash:ip family inet hashsize 1024 maxelem 65536\n\
    add MINE 192.0.2.1\n";

/// The recorded node with one pod, which has the addresses of two recorded endpoints on it, and a
/// neighbour of the node as client.
pub(crate) struct Recorded {
    cluster: Cluster,
    manifests: PathBuf,
    _server: Server,
}

/// Everything that shows whether an object was touched.
struct Seen {
    servers: Lines,
    sets: Lines,
    /// Packets of each rule, by family and the rule with its table.
    packets: BTreeMap<(Family, String), u64>,
    /// Rules of others, in their order.
    foreign_rules: Vec<String>,
    /// Connections that each virtual server and real server has had.
    connections: BTreeMap<String, u64>,
}

impl Recorded {
    pub(crate) fn lay() -> Self {
        let node = NodeLayout { pods: 1, ..NodeLayout::default() };
        let cluster = Cluster::start(&Layout { nodes: vec![node], clients: 1 }).unwrap();
        let topology = &cluster.topology;
        // Others' addresses on the node would serve node ports, too.
        let node = topology.node(1).namespace();
        node.ip_batch(&[
            "address flush dev eth0 scope global",
            "address flush dev veth1 scope global",
            "address add 10.0.0.10/24 dev eth0",
            "address add fd00:10::10/64 dev eth0 nodad",
            "address add fe80::1/64 dev veth1 nodad",
            "route add 10.244.0.10 dev veth1",
            "route add fd00:244::5 dev veth1",
        ])
        .unwrap();
        let pod = topology.pod(1, 1).namespace();
        pod.ip_batch(&[
            "address flush dev eth0 scope global",
            "address add 10.244.0.10/32 dev eth0",
            "address add fd00:244::5/128 dev eth0 nodad",
            "route replace 10.0.0.10 dev eth0",
            "route replace 0.0.0.0/0 via 10.0.0.10 dev eth0",
            "route replace ::/0 via fe80::1 dev eth0",
        ])
        .unwrap();
        topology
            .client(1)
            .namespace()
            .ip_batch(&[
                "address flush dev eth0 scope global",
                "address add 10.0.0.1/24 dev eth0",
                "address add fd00:10::1/64 dev eth0 nodad",
                "route add 10.96.0.0/12 via 10.0.0.10",
                "route add fd00:96::/112 via fd00:10::10",
            ])
            .unwrap();
        let listen = ["10.244.0.10:8080", "[fd00:244::5]:8080"]
            .map(|address| (Protocol::Tcp, address.parse().unwrap()));
        let server = Server::start(pod, "pod", &listen).unwrap();
        restore(node);
        let manifests = cluster.path("manifests");
        std::fs::create_dir(&manifests).unwrap();
        Self { cluster, manifests, _server: server }
    }

    pub(crate) fn node(&self) -> &Namespace {
        self.cluster.topology.node(1).namespace()
    }

    fn proxy(&self) -> ProxyBuilder {
        // The size of the connection table is not a namespace's to set.
        let config = format!("{CONFIG}conntrack: {{maxPerCore: 0, min: 0}}\n");
        self.cluster.proxy(1).named(NAME).whole_config(&config).manifests(&self.manifests)
    }

    fn ask_for(&self, objects: &Value) {
        std::fs::write(self.manifests.join("objects.json"), objects.to_string()).unwrap();
    }

    /// Connections from the client by way of a VIP of each family.
    fn connect(&self) -> [Connection; 2] {
        let connections = ["10.96.1.5:80", "[fd00:96::101]:80"].map(|vip| {
            let client = self.cluster.topology.client(1);
            let mut connection = client.connect(Protocol::Tcp, vip.parse().unwrap()).unwrap();
            assert_eq!(connection.ask().unwrap().name, "pod");
            connection
        });
        // The kernel adds up every two seconds.
        eventually("connections are counted", || {
            let counted = self.connections();
            Ok((counted.values().filter(|count| **count > 0).count() >= 4).then_some(()))
        })
        .unwrap();
        connections
    }

    /// How many connections each virtual server and each of its real servers has had.
    fn connections(&self) -> BTreeMap<String, u64> {
        let stats = self.node().command("ipvsadm", ["-Ln", "--stats", "--exact"]).unwrap();
        let mut server = String::new();
        let mut connections = BTreeMap::new();
        for line in stats.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(count) = words.get(2).and_then(|word| word.parse().ok()) else { continue };
            let key = if words[0] == "->" {
                format!("{server} -> {}", words[1])
            } else {
                server = words[..2].join(" ");
                server.clone()
            };
            connections.insert(key, count);
        }
        connections
    }

    fn see(&self) -> Seen {
        let node = self.node();
        let mut packets = BTreeMap::new();
        let mut foreign_rules = Vec::new();
        for family in Family::ALL {
            let program = if family == Family::V4 { "iptables-save" } else { "ip6tables-save" };
            let text = node.command(program, ["-c"]).unwrap();
            let mut table = "";
            for line in text.lines() {
                if let Some(name) = line.strip_prefix('*') {
                    table = name;
                }
                let Some((count, rule)) =
                    line.strip_prefix('[').and_then(|rest| rest.split_once("] "))
                else {
                    continue;
                };
                if rule.contains("KUBE-") || rule.contains("TRIMTAB-") {
                    let count = count.split(':').next().unwrap().parse().unwrap();
                    // A second copy would not be seen in a map.
                    let rule = format!("{table} {}", uncommented(rule));
                    assert!(packets.insert((family, rule.clone()), count).is_none(), "{rule}");
                } else {
                    foreign_rules.push(rule.to_owned());
                }
            }
        }
        Seen {
            servers: witness::ipvsadm(node).unwrap(),
            sets: node.command("ipset", ["save"]).unwrap().lines().map(str::to_owned).collect(),
            packets,
            foreign_rules,
            connections: self.connections(),
        }
    }

    /// That the kernel holds what `trimtab plan` says, and what others had.
    fn assert_as_planned(&self) {
        let node = self.node();
        let config = self.proxy().write_config().unwrap();
        let foreign = |text: &str| text.lines().map(str::to_owned).collect::<Lines>();
        for (output, others) in
            [("ipvsadm", FOREIGN_SERVERS), ("ipset", FOREIGN_SET), ("addresses", "")]
        {
            let mut wanted = witness::plan(node, &self.manifests, &config, NAME, output).unwrap();
            let others: Lines = foreign(&others.replace(" hashsize 1024", ""));
            wanted.extend(others);
            let mut differing = String::new();
            let agreed = eventually(output, || {
                let found = match output {
                    "ipvsadm" => witness::ipvsadm(node)?,
                    "ipset" => witness::ipset(node)?,
                    _ => witness::addresses(node)?,
                };
                differing = difference(&found, &wanted);
                Ok(differing.is_empty().then_some(()))
            });
            assert!(agreed.is_ok(), "{output}:\n{differing}");
        }
        for family in Family::ALL {
            let wanted =
                witness::planned_rules(node, &self.manifests, &config, NAME, family).unwrap();
            assert_eq!(witness::rules(node, family).unwrap(), wanted, "{family}");
        }
    }
}

/// What kube-proxy left, and what others have.
fn restore(node: &Namespace) {
    let feed = |program: &str, arguments: &[&str], input: &str| {
        node.command_with_input(program, arguments, input).unwrap();
    };
    feed("ipset", &["restore"], recorded!("ipset.txt"));
    feed("iptables-restore", &[], recorded!("iptables.txt"));
    feed("ip6tables-restore", &[], recorded!("ip6tables.txt"));
    let addresses = recorded!("addresses.txt").lines().map(|address| {
        if address.contains(':') {
            format!("address add {address}/128 dev kube-ipvs0 nodad")
        } else {
            format!("address add {address}/32 dev kube-ipvs0")
        }
    });
    let lines: Vec<String> =
        std::iter::once("link add kube-ipvs0 type dummy".to_owned()).chain(addresses).collect();
    node.ip_batch(&lines).unwrap();
    feed("ipvsadm", &["-R"], recorded!("ipvsadm.txt"));
    feed("ipvsadm", &["-R"], FOREIGN_SERVERS);
    for setting in ["conntrack", "expire_nodest_conn", "expire_quiescent_template"] {
        node.set_sysctl(&format!("net/ipv4/vs/{setting}"), "1").unwrap();
    }
    feed("iptables-restore", &["--noflush"], FOREIGN_RULES);
    feed("ip6tables-restore", &["--noflush"], FOREIGN_RULES);
    feed("ipset", &["restore"], FOREIGN_SET);
}

/// `ip monitor`, from when it hears until it is asked.
struct Monitor {
    child: Child,
    output: PathBuf,
}

impl Monitor {
    fn start(recorded: &Recorded) -> Self {
        let output = recorded.cluster.path("monitor");
        let file = std::fs::File::create(&output).unwrap();
        let mut command = Command::new("ip");
        command.args(["-o", "monitor", "address", "link"]).stdin(Stdio::null()).stdout(file);
        let child = recorded.node().spawn(&mut command).unwrap();
        let monitor = Self { child, output };
        let mut number = 0;
        eventually("ip monitor hears", || {
            number += 1;
            let lines =
                ["add", "del"].map(|what| format!("address {what} 127.9.9.{number} dev lo"));
            recorded.node().ip_batch(&lines)?;
            Ok(monitor.text().contains("127.9.9").then_some(()))
        })
        .unwrap();
        monitor
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap()
    }

    /// The addresses, and links, that were deleted.
    fn deleted(mut self, recorded: &Recorded) -> BTreeSet<String> {
        let end = ["add", "del"].map(|what| format!("address {what} 127.8.8.8 dev lo"));
        recorded.node().ip_batch(&end).unwrap();
        eventually("the last line", || {
            Ok(self.text().contains("Deleted 1: lo    inet 127.8.8.8").then_some(()))
        })
        .unwrap();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let text = self.text();
        let deleted = text.lines().filter(|line| line.starts_with("Deleted"));
        let what = deleted.map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.iter().position(|word| matches!(*word, "inet" | "inet6"));
            at.map_or_else(
                || line.to_owned(),
                |at| words[at + 1].split('/').next().unwrap().to_owned(),
            )
        });
        what.filter(|what| !what.starts_with("127.")).collect()
    }
}

fn recorded_objects() -> Value {
    serde_saphyr::from_str(OBJECTS).unwrap()
}

/// The words of all operations that a run has done.
fn operations(proxy: &Proxy) -> Vec<String> {
    let verbs = ["add ", "bind ", "unbind ", "delete ", "drain ", "change "];
    let log = proxy.log();
    let found = log.lines().filter_map(|line| {
        let at = verbs.iter().filter_map(|verb| line.find(&format!(" {verb}"))).min()?;
        line.contains("DEBUG").then(|| line[at + 1..].to_owned())
    });
    found.collect()
}

/// Unchanged objects keep their counters: packets of rules, connections of virtual servers, sets.
fn assert_kept(before: &Seen, after: &Seen, gone: &[&str]) {
    let is_gone = |text: &str| gone.iter().any(|gone| text.contains(gone));
    for (rule, packets) in &before.packets {
        // The two that Trimtab has not, on purpose.
        let on_purpose = ["--physdev-is-in", "-m ipvs"].iter().any(|word| rule.1.contains(word));
        match after.packets.get(rule) {
            Some(now) => assert!(now >= packets, "{rule:?}: {packets} packets, then {now}"),
            None => assert!(on_purpose, "{rule:?} is gone"),
        }
    }
    assert!(before.packets.values().filter(|packets| **packets > 0).count() > 5);
    for (server, connections) in before.connections.iter().filter(|(name, _)| !is_gone(name)) {
        let now = after.connections.get(server);
        assert!(now >= Some(connections), "{server}: {connections} connections, then {now:?}");
    }
    assert!(before.connections.values().any(|connections| *connections > 0));
    // With the random number of each set, which a new one would not have. kube-proxy has not those
    // that are Trimtab's alone.
    let sets = |seen: &Seen| {
        let made = seen.sets.iter().filter(|line| line.starts_with("create"));
        made.filter(|line| !line.starts_with("create TRIMTAB-")).cloned().collect::<Lines>()
    };
    assert_eq!(sets(after), sets(before));
    for line in before.servers.iter().filter(|line| !is_gone(line)) {
        assert!(after.servers.contains(line), "{line}");
    }
    assert_eq!(after.foreign_rules, before.foreign_rules);
}

fn assert_writes_nothing(recorded: &Recorded) {
    let before = recorded.see();
    let proxy = recorded.proxy().start().unwrap();
    assert_eq!(operations(&proxy), Vec::<String>::new());
    for what in ["ipvs", "ipset", "route"] {
        assert_eq!(proxy.count("trimtab_netlink_messages_total", what).unwrap(), 0, "{what}");
    }
    assert!(!proxy.log().contains("packet-filter rules"), "{}", proxy.log());
    let after = recorded.see();
    assert_eq!((after.servers, after.sets), (before.servers, before.sets));
    let rules = |packets: &BTreeMap<(Family, String), u64>| {
        packets.keys().cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(rules(&after.packets), rules(&before.packets));
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn a_node_of_a_real_kube_proxy_is_taken_over_without_touching_what_stays() {
    let recorded = Recorded::lay();
    recorded.ask_for(&recorded_objects());
    let mut connections = recorded.connect();
    let before = recorded.see();
    let monitor = Monitor::start(&recorded);

    let proxy = recorded.proxy().start().unwrap();
    // But for rules, only what clients inside see is new.
    let done = operations(&proxy);
    let is_of_a_mark = |what: &String| what.contains("FWM ") || what.contains("TRIMTAB-");
    assert!(!done.is_empty() && done.iter().all(is_of_a_mark), "{done:?}");
    assert!(proxy.log().contains("packet-filter rules"), "{}", proxy.log());
    recorded.assert_as_planned();
    assert_eq!(monitor.deleted(&recorded), BTreeSet::new());
    assert_kept(&before, &recorded.see(), &[]);
    for connection in &mut connections {
        assert_eq!(connection.ask().unwrap().name, "pod");
    }
    proxy.kill().unwrap();
    assert_writes_nothing(&recorded);
    for mut connection in connections {
        assert_eq!(connection.ask().unwrap().name, "pod");
    }
    recorded.connect();
}

/// kube-proxy writes its chains anew, adopts the sets that it knows, and cannot delete virtual servers
/// without an address. Those of marks stay behind with endpoints that nobody keeps up to date.
#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn nobody_is_sent_to_a_mark_once_kube_proxy_has_written_its_rules_again() {
    let recorded = Recorded::lay();
    recorded.ask_for(&recorded_objects());
    let proxy = recorded.proxy().start().unwrap();
    recorded.assert_as_planned();
    proxy.kill().unwrap();
    let node = recorded.node();
    let topology = &recorded.cluster.topology;
    // Nobody answers at the endpoints of this Service; IPVS counts who was sent to them all the same.
    let node_port = "10.0.0.10:30443".parse().unwrap();
    let sent = || {
        for from in [topology.pod(1, 1), topology.node(1)] {
            let _ = from.ask_within(Protocol::Tcp, node_port, soon());
        }
        marked_connections(node)
    };
    let by_mark = sent();
    assert!(by_mark > 0);
    let chains: String = recorded!("iptables.txt")
        .lines()
        .filter(|line| !line.starts_with("-A ") || line.starts_with("-A KUBE-"))
        .flat_map(|line| [line, "\n"])
        .collect();
    node.command_with_input("iptables-restore", ["--noflush"], &chains).unwrap();
    assert_eq!(sent(), by_mark);
    // And Trimtab comes back.
    let proxy = recorded.proxy().start().unwrap();
    assert_eq!(operations(&proxy), Vec::<String>::new());
    recorded.assert_as_planned();
    assert!(sent() > by_mark);
}

/// How many connections the virtual servers of marks have.
fn marked_connections(node: &Namespace) -> u64 {
    let text = node.command("ipvsadm", ["-Ln"]).unwrap();
    let (mut is_marked, mut count) = (false, 0);
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["->", _, _, _, active, inactive] if is_marked => {
                count += active.parse::<u64>().unwrap() + inactive.parse::<u64>().unwrap();
            }
            ["->", ..] => {}
            _ => is_marked = line.starts_with("FWM"),
        }
    }
    count
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn what_the_objects_no_longer_ask_for_is_removed_and_nothing_else() {
    let recorded = Recorded::lay();
    let mut objects = recorded_objects();
    let items = objects["items"].as_array_mut().unwrap();
    // A load balancer with source ranges and an SCTP node port are gone, and an endpoint is.
    items.retain(|item| {
        let name = item["metadata"]["name"].as_str().unwrap();
        !["edge", "signal", "edge-4", "signal-4"].contains(&name)
    });
    let web = items.iter_mut().find(|item| item["metadata"]["name"] == "web-4").unwrap();
    web["endpoints"]
        .as_array_mut()
        .unwrap()
        .retain(|endpoint| endpoint["addresses"][0] != "10.244.1.5");
    recorded.ask_for(&objects);
    let mut connections = recorded.connect();
    let before = recorded.see();
    let monitor = Monitor::start(&recorded);

    let proxy = recorded.proxy().start().unwrap();
    recorded.assert_as_planned();
    let vips = ["10.96.1.2", "10.96.1.4", "203.0.113.1"];
    assert_eq!(monitor.deleted(&recorded), vips.map(str::to_owned).into());
    // A port of the node, or a VIP, that only what is gone had; and the endpoint.
    let gone = [
        "10.96.1.2",
        "10.96.1.4",
        "203.0.113.1",
        ":30443",
        ":30905",
        "10.244.1.5",
        "10.244.0.7",
        "10.244.0.9",
        "30443",
        "30905",
        "32000",
    ];
    let done = operations(&proxy);
    assert!(!done.is_empty());
    for operation in done {
        let removes =
            ["unbind ", "delete ", "drain "].iter().any(|verb| operation.starts_with(verb));
        assert!(removes && gone.iter().any(|gone| operation.contains(gone)), "{operation}");
    }
    assert_kept(&before, &recorded.see(), &gone);
    for connection in &mut connections {
        assert_eq!(connection.ask().unwrap().name, "pod");
    }
    proxy.kill().unwrap();
    assert_writes_nothing(&recorded);
}
