//! Who answers whom, for every policy, kind of frontend and place of the client: the table in the
//! book is what is found here, and `trimtab trace` has to say the same of every packet.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use serde_json::json;
use trimtab_core::{Family, Protocol};
use trimtab_integration::cluster::traffic::{names, refusal, until_answered_by};
use trimtab_integration::cluster::{Cluster, ServiceSpec};
use trimtab_integration::topology::{
    Answer, Host, Layout, PodNetwork, Topology, Unanswered, address,
};

use crate::tracer::{Fate, Seen, Tracer};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/concepts/traffic-policies.md");
const BEGIN: &str =
    "<!-- The test who_answers found this; integration/README.md says how to renew it. -->";
const END: &str = "<!-- end -->";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Policy {
    Cluster,
    Local,
}

const POLICIES: [Policy; 2] = [Policy::Cluster, Policy::Local];

/// On which nodes a Service has endpoints, one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Endpoints {
    Both,
    Only(u8),
}

impl Endpoints {
    const ALL: [Self; 3] = [Self::Both, Self::Only(1), Self::Only(2)];

    /// None on this node of the two.
    const fn elsewhere(node: u8) -> Self {
        Self::Only(if node == 1 { 2 } else { 1 })
    }

    fn pods(self) -> Vec<(u8, u8)> {
        match self {
            Self::Both => vec![(1, 1), (2, 1)],
            Self::Only(node) => vec![(node, 1)],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    ClusterIp,
    LoadBalancer,
    ExternalIp,
    NodePort,
}

impl Kind {
    const ALL: [Self; 4] = [Self::ClusterIp, Self::LoadBalancer, Self::ExternalIp, Self::NodePort];

    const fn words(self) -> &'static str {
        match self {
            Self::ClusterIp => "cluster IP",
            Self::LoadBalancer => "load-balancer VIP",
            Self::ExternalIp => "external IP",
            Self::NodePort => "node port",
        }
    }
}

/// Where a client is, as seen from node 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Pod,
    Node,
    OtherPod,
    OtherNode,
    Outside,
}

impl Place {
    const ALL: [Self; 5] = [Self::Pod, Self::Node, Self::OtherPod, Self::OtherNode, Self::Outside];

    fn host(self, topology: &Topology) -> &Host {
        match self {
            Self::Pod => topology.pod(1, 2),
            Self::Node => topology.node(1),
            Self::OtherPod => topology.pod(2, 2),
            Self::OtherNode => topology.node(2),
            Self::Outside => topology.client(1),
        }
    }

    /// The node that serves it: a VIP is served by the node where the client is, a node port by the
    /// one that is asked.
    fn served_by(self, kind: Kind) -> u8 {
        match self {
            Self::OtherPod | Self::OtherNode if kind != Kind::NodePort => 2,
            _ => 1,
        }
    }
}

/// What a Service is like.
type Variant = (Policy, Policy, Endpoints);

fn variants() -> Vec<Variant> {
    let policies = POLICIES.iter().flat_map(|one| POLICIES.map(|other| (*one, other)));
    policies.flat_map(|(one, other)| Endpoints::ALL.map(|all| (one, other, all))).collect()
}

/// The Service of a variant, by the variant's number.
struct Served {
    spec: ServiceSpec,
    number: u8,
}

impl Served {
    fn new(number: u8, (internal, external, _): Variant) -> Self {
        let spec = ServiceSpec::new(&format!("variant-{number}"), number)
            .every_protocol(80, 8080)
            .external_ips(&[40 + number])
            .load_balancer(&[80 + number])
            .node_port(30_080 + u16::from(number))
            .spec(&json!({
                "internalTrafficPolicy": format!("{internal:?}"),
                "externalTrafficPolicy": format!("{external:?}"),
            }));
        Self { spec, number }
    }

    fn at(&self, kind: Kind, family: Family) -> SocketAddr {
        match kind {
            Kind::ClusterIp => self.spec.at(family, 80),
            Kind::LoadBalancer => SocketAddr::new(address::vip(80 + self.number, family), 80),
            Kind::ExternalIp => SocketAddr::new(address::vip(40 + self.number, family), 80),
            Kind::NodePort => {
                SocketAddr::new(address::node(1, family), 30_080 + u16::from(self.number))
            }
        }
    }
}

/// What a client finds, in words: `all, own address`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell(String);

impl Cell {
    fn of(answers: &[Result<Answer, Unanswered>], from: &Host, served_by: u8) -> Self {
        let local = format!("node{served_by}-pod1");
        let who: BTreeSet<bool> =
            answers.iter().flatten().map(|answer| answer.name == local).collect();
        let mut words = match (who.contains(&true), who.contains(&false)) {
            (true, true) => "all".to_owned(),
            (true, false) => "local".to_owned(),
            (false, true) => "remote".to_owned(),
            (false, false) => return Self(Self::unanswered(answers)),
        };
        let is_own = |answer: &Answer| {
            let seen = answer.seen_peer.ip();
            from.address(Family::of(seen)) == seen
        };
        if is_not_a_node(from) {
            let own = answers.iter().flatten().map(is_own).collect::<BTreeSet<_>>();
            words += match (own.contains(&true), own.contains(&false)) {
                (true, false) => ", own address",
                (false, _) => ", a node's address",
                (true, true) => ", own or a node's address",
            };
        }
        if answers.iter().any(Result::is_err) {
            words += ", not always";
        }
        Self(words)
    }

    /// What a client is to find, as `trimtab trace` says.
    fn traced(fate: &Fate, from: &Host, served_by: u8) -> Self {
        let Fate::Answered(answers) = fate else {
            return Self(
                match fate {
                    Fate::Refused => "refused",
                    Fate::Silence => "no answer",
                    _ => "not a Service",
                }
                .to_owned(),
            );
        };
        let is_local = |to: &SocketAddr| address::pod(served_by, 1, Family::of(to.ip())) == to.ip();
        let who: BTreeSet<bool> = answers.iter().map(|(to, _)| is_local(to)).collect();
        let mut words = match (who.contains(&true), who.contains(&false)) {
            (true, true) => "all",
            (true, false) => "local",
            _ => "remote",
        }
        .to_owned();
        if is_not_a_node(from) {
            let seen: BTreeSet<Seen> = answers.iter().map(|(_, seen)| *seen).collect();
            words += match (seen.contains(&Seen::Itself), seen.contains(&Seen::ThisNode)) {
                (true, false) => ", own address",
                (false, _) => ", a node's address",
                (true, true) => ", own or a node's address",
            };
        }
        Self(words)
    }

    fn unanswered(answers: &[Result<Answer, Unanswered>]) -> String {
        match answers.first() {
            Some(Err(Unanswered::Refused)) => "refused".to_owned(),
            Some(Err(Unanswered::TimedOut)) => "no answer".to_owned(),
            // EPERM: what IPVS drops of this node's own, it refuses to whoever sends it.
            Some(Err(Unanswered::Other(why))) if why.contains("os error 1)") => {
                "refused".to_owned()
            }
            other => format!("{other:?}"),
        }
    }

    /// How nobody answers differs by protocol: a refusal is a hint only to SCTP, and ICMP errors for
    /// UDP are limited in number.
    fn agrees(&self, other: &Self) -> bool {
        let is_unanswered = |cell: &Self| ["refused", "no answer"].contains(&cell.0.as_str());
        self == other || (is_unanswered(self) && is_unanswered(other))
    }
}

/// Whether it matters which address of a host is seen. What a node sends has one of its addresses
/// anyway, so long as an answer comes back.
fn is_not_a_node(host: &Host) -> bool {
    !host.name().starts_with("node") || host.name().contains("pod")
}

/// By which protocols and families is asked. SCTP is slow: that nobody answers takes long to find.
const WAYS: [(Protocol, Family); 5] = [
    (Protocol::Tcp, Family::V4),
    (Protocol::Tcp, Family::V6),
    (Protocol::Udp, Family::V4),
    (Protocol::Udp, Family::V6),
    (Protocol::Sctp, Family::V4),
];

type Key = (Variant, Kind, Place);
type Found = BTreeMap<Key, Vec<(String, Cell)>>;

/// Asks a Service in every way that is of interest at this place.
fn ask(topology: &Topology, place: Place, variant: Variant, service: &Served) -> Found {
    let from = place.host(topology);
    // Endpoints have their turns one after the other.
    let turns = variant.2.pods().len();
    let cell = |kind: Kind, protocol, family| {
        let to = service.at(kind, family);
        // Only SCTP has to be left waiting: the others are refused. On a busy machine a datagram may
        // be lost, so silence is asked again.
        let ask = || match protocol {
            Protocol::Sctp => from.ask_within(protocol, to, refusal()),
            _ => from.ask(protocol, to),
        };
        let answers: Vec<_> = (0..turns)
            .map(|_| match ask() {
                Err(Unanswered::TimedOut) => ask(),
                answer => answer,
            })
            .collect();
        let found = Cell::of(&answers, from, place.served_by(kind));
        ((variant, kind, place), (format!("{protocol}, {family}"), found))
    };
    let kinds = Kind::ALL.into_iter().filter(|kind| {
        variant.2 == Endpoints::Both || variant.2 == Endpoints::elsewhere(place.served_by(*kind))
    });
    let kinds: Vec<Kind> = kinds.collect();
    let mut found = Found::new();
    thread::scope(|scope| {
        let asked = WAYS.map(|(protocol, family)| {
            let kinds = &kinds;
            let ask =
                move || kinds.iter().map(|kind| cell(*kind, protocol, family)).collect::<Vec<_>>();
            scope.spawn(ask)
        });
        for (key, cell) in asked.into_iter().flat_map(joined) {
            found.entry(key).or_default().push(cell);
        }
    });
    found
}

/// Asks everything. A virtual server with several endpoints is asked by one client at a time.
fn find(cluster: &Cluster, services: &[(Variant, Served)]) -> Found {
    let mut found = Found::new();
    let topology = &cluster.topology;
    let mut ask_at_once = |places: &[Place], is_both: bool| {
        thread::scope(|scope| {
            let wanted = |variant: &Variant| (variant.2 == Endpoints::Both) == is_both;
            let mut asked = Vec::new();
            for place in places {
                for (variant, service) in services.iter().filter(|(variant, _)| wanted(variant)) {
                    asked.push(scope.spawn(move || ask(topology, *place, *variant, service)));
                }
            }
            found.extend(asked.into_iter().flat_map(joined));
        });
    };
    for place in Place::ALL {
        ask_at_once(&[place], true);
    }
    ask_at_once(&Place::ALL, false);
    found
}

fn joined<T>(asked: thread::ScopedJoinHandle<'_, T>) -> T {
    asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// One text for what all protocols and families find; what differs is said.
fn merged<'a>(cells: impl Iterator<Item = &'a (String, Cell)>) -> String {
    let cells: Vec<_> = cells.collect();
    let (_, first) = cells[0];
    let mut text = first.0.clone();
    for (how, cell) in cells.iter().filter(|(_, cell)| !cell.agrees(first)) {
        let other = format!(" ({how}: {})", cell.0);
        if !text.contains(&other) {
            text += &other;
        }
    }
    text
}

/// What Kubernetes says of a row, in its concept pages and the API reference of a Service.
const fn documented(kind: Kind, policy: Policy, has_local: bool) -> &'static str {
    match (kind, policy, has_local) {
        (_, Policy::Cluster, _) => "all endpoints",
        (Kind::ClusterIp, Policy::Local, true) => "local endpoints",
        (Kind::ClusterIp, Policy::Local, false) => "dropped",
        (Kind::NodePort, Policy::Local, true) => {
            "outside: local endpoints, source kept; inside: may follow the policy"
        }
        (Kind::NodePort, Policy::Local, false) => "outside: dropped; inside: may follow the policy",
        (_, Policy::Local, true) => "outside: local endpoints, source kept; inside: all endpoints",
        (_, Policy::Local, false) => "outside: dropped; inside: all endpoints",
    }
}

fn table(found: &Found) -> String {
    let mut text = "\
| frontend, policy | endpoints | pod | the node itself | pod of another node | another node \
| outside | Kubernetes documents |\n|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for kind in Kind::ALL {
        for policy in POLICIES {
            for has_local in [true, false] {
                let cell = |place: Place| {
                    let endpoints = if has_local {
                        Endpoints::Both
                    } else {
                        Endpoints::elsewhere(place.served_by(kind))
                    };
                    // The policy that is not this frontend's must make no difference.
                    let variants = POLICIES.map(|other| match kind {
                        Kind::ClusterIp => (policy, other, endpoints),
                        _ => (other, policy, endpoints),
                    });
                    let cells = variants.iter().flat_map(|v| &found[&(*v, kind, place)]);
                    merged(cells)
                };
                let cells = Place::ALL.map(cell).join(" | ");
                let endpoints = if has_local { "here and elsewhere" } else { "elsewhere" };
                let _ = writeln!(
                    text,
                    "| {}, {policy:?} | {endpoints} | {cells} | {} |",
                    kind.words(),
                    documented(kind, policy, has_local),
                );
            }
        }
    }
    text
}

/// Where `trimtab trace` says something else than what was found, and how many cases there were.
fn disagreements(
    cluster: &Cluster,
    services: &[(Variant, Served)],
    found: &Found,
) -> (Vec<String>, usize) {
    let objects: Vec<_> = services
        .iter()
        .flat_map(|((.., endpoints), service)| {
            let slices = service.spec.slices(&endpoints.pods());
            std::iter::once(service.spec.service()).chain(slices)
        })
        .collect();
    let tracers =
        [1, 2].map(|node| Tracer::new(node, PodNetwork::Routed, &cluster.proxy(node), &objects));
    let (mut wrong, mut count) = (Vec::new(), 0);
    for ((variant, kind, place), cells) in found {
        let (_, service) = services.iter().find(|(it, _)| it == variant).unwrap();
        let (from, served_by) = (place.host(&cluster.topology), place.served_by(*kind));
        let tracer = &tracers[usize::from(served_by) - 1];
        for ((protocol, family), (how, cell)) in WAYS.into_iter().zip(cells) {
            assert_eq!(*how, format!("{protocol}, {family}"));
            let fate = tracer.fate(from, protocol, service.at(*kind, family));
            let wanted = Cell::traced(&fate, from, served_by);
            count += 1;
            if !cell.agrees(&wanted) {
                let what = format!("{variant:?} {kind:?} {place:?} {how}");
                wrong.push(format!("{what}: found {:?}, traced {:?}", cell.0, wanted.0));
            }
        }
    }
    (wrong, count)
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn who_answers_whom_is_as_the_book_has_it() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let topology = &cluster.topology;
    let services: Vec<(Variant, Served)> = (1..)
        .zip(variants())
        .map(|(number, variant)| (variant, Served::new(number, variant)))
        .collect();
    for ((.., endpoints), service) in &services {
        cluster.publish(&service.spec, &endpoints.pods()).unwrap();
    }
    let _servers = cluster.serve(&[(1, 1), (2, 1)], &Protocol::ALL, 8080).unwrap();
    // All refusals come at once.
    for node in [1, 2] {
        let node = topology.node(node).namespace();
        for setting in ["net/ipv4/icmp_ratelimit", "net/ipv6/icmp/ratelimit"] {
            node.set_sysctl(setting, "0").unwrap();
        }
    }
    let _proxies = [1, 2].map(|node| cluster.proxy(node).start().unwrap());
    topology.client(1).route_services_via(topology.node(1)).unwrap();
    let all = names(["node1-pod1", "node2-pod1"]);
    until_answered_by(
        topology.pod(1, 2),
        Protocol::Tcp,
        services[0].1.at(Kind::ClusterIp, Family::V6),
        &all,
    )
    .unwrap();
    let found = find(&cluster, &services);
    let (wrong, count) = disagreements(&cluster, &services, &found);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    // 16 rows and 5 places, each by 5 ways, for either value of the policy that must not matter.
    assert_eq!(count, 16 * 5 * 5 * 2);
    let found = table(&found);
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (written, after) = rest.split_once(END).expect("the table in the page has an end");
    if written.trim() == found.trim() {
        return;
    }
    if std::env::var_os("TRIMTAB_WRITE_REFERENCE").is_some() {
        let page = format!("{before}{BEGIN}\n\n{found}\n{END}{after}");
        std::fs::write(Path::new(PAGE), page).unwrap();
        return;
    }
    panic!("{PAGE} is out of date; what was found:\n\n{found}");
}
