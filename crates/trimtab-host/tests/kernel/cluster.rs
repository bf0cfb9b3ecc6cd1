//! A node with pods and an outsider, as network namespaces joined by veth pairs.

use std::io::{ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use trimtab_core::{DUMMY_INTERFACE, Family, SetElement, SetId, SetKind};
use trimtab_host::ipset::{Change, Client, Repeat};
use trimtab_host::kernel_version::KernelVersion;
use trimtab_host::local_route::{self, LocalRoute};
use trimtab_host::rules::{PacketFilter, RuleOptions, RuleSet};
use trimtab_host::{dummy, sysctl};
use trimtab_netlink::Socket;

use crate::namespace::{Namespace, run};
use crate::rules::make_sets;
use crate::traced::{self, Expected};

/// Longer than a lost first packet takes to be sent again, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was accepted, and the server saw this client address.
    From(IpAddr),
    /// It was refused at once.
    Refused,
    /// Nobody answered.
    Silence,
}

/// The addresses of one family.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) family: Family,
    pub(crate) node: &'static str,
    pub(crate) outside: &'static str,
    pub(crate) pods: [&'static str; 2],
    pub(crate) pod_net: &'static str,
    /// Where the node and the pods meet: the node's address on that side.
    node_pods: &'static str,
    pub(crate) vip: &'static str,
    length: u8,
}

const V4: Plan = Plan {
    family: Family::V4,
    node: "10.0.0.10",
    outside: "10.0.0.20",
    pods: ["10.244.0.5", "10.244.0.6"],
    pod_net: "10.244.0.0/24",
    node_pods: "10.244.0.1",
    vip: "203.0.113.1",
    length: 24,
};

const V6: Plan = Plan {
    family: Family::V6,
    node: "fd00:10::10",
    outside: "fd00:10::20",
    pods: ["fd00:244::5", "fd00:244::6"],
    pod_net: "fd00:244::/64",
    node_pods: "fd00:244::1",
    vip: "2001:db8::1",
    length: 64,
};

/// One node, two pods that answer on port 8080 with the address they see, and an outsider. The
/// node is programmed with this crate but for the virtual servers, which `ipvsadm` makes.
pub(crate) struct Cluster {
    pub(crate) plan: Plan,
    pub(crate) node: Namespace,
    pub(crate) pods: [Namespace; 2],
    pub(crate) outside: Namespace,
    rules: RuleSet,
    /// VIPs bound by an address, and by a route.
    bound: Mutex<[Vec<IpAddr>; 2]>,
}

impl Plan {
    /// The node's interfaces, each with its address.
    pub(crate) fn interfaces(&self) -> [(&'static str, IpAddr); 4] {
        let lo = if self.family == Family::V4 { "127.0.0.1" } else { "::1" };
        [("lo", lo), ("eth0", self.node), ("veth0", self.node_pods), ("veth1", self.node_pods)]
            .map(|(name, address)| (name, address.parse().unwrap()))
    }
}

impl Cluster {
    pub(crate) fn new(family: Family, kind: &'static str, options: &RuleOptions) -> Self {
        let plan = if family == Family::V4 { V4 } else { V6 };
        let cluster = Self {
            plan,
            node: Namespace::new("node"),
            pods: [Namespace::new("pod0"), Namespace::new("pod1")],
            outside: Namespace::new("outside"),
            rules: RuleSet::new(options, family).unwrap(),
            bound: Mutex::default(),
        };
        cluster.wire();
        for pod in &cluster.pods {
            serve(pod, 8080);
        }
        let rules = cluster.rules.clone();
        cluster.node.run(move || {
            run("ipvsadm -C");
            let kernel = KernelVersion::read("/proc".as_ref()).unwrap();
            let wanted = sysctl::wanted(kernel, &sysctl::Options::default());
            assert!(sysctl::apply("/proc/sys".as_ref(), &wanted).failed.is_empty());
            make_sets();
            let six = if family == Family::V6 { "6" } else { "" };
            let program = |what: &str| format!("ip{six}tables-{kind}-{what}");
            PacketFilter::with_programs(program("save"), program("restore"))
                .ensure(&rules)
                .unwrap();
        });
        cluster
    }

    /// veth pairs from the node to everybody, the pods' ends on a bridge-less point-to-point net.
    fn wire(&self) {
        let Plan { node, outside, pods, node_pods, length, family, .. } = self.plan;
        let six = family == Family::V6;
        let nodad = if six { "nodad" } else { "" };
        let (host, any) = if six { (128, "::/0") } else { (32, "0.0.0.0/0") };
        // Neighbours find each other by link-local addresses, which take two seconds to be usable
        // unless nobody asks whether they are taken.
        for namespace in [&self.node, &self.outside].into_iter().chain(&self.pods) {
            namespace.sh("sysctl -qw net.ipv6.conf.default.accept_dad=0");
        }
        let name = self.node.name();
        let other = self.outside.name();
        run(&format!(
            "ip link add eth0 netns {name} type veth peer name eth0 netns {other} && \
             ip -n {name} addr add {node}/{length} dev eth0 {nodad} && \
             ip -n {name} link set eth0 up && \
             ip -n {other} addr add {outside}/{length} dev eth0 {nodad} && \
             ip -n {other} link set eth0 up && \
             ip -n {other} route add {any} via {node}"
        ));
        for (number, (pod, ip)) in self.pods.iter().zip(pods).enumerate() {
            let pod = pod.name();
            run(&format!(
                "ip link add veth{number} netns {name} type veth peer name eth0 netns {pod} && \
                 ip -n {name} addr add {node_pods}/{host} dev veth{number} {nodad} && \
                 ip -n {name} link set veth{number} up && \
                 ip -n {name} route add {ip}/{host} dev veth{number} && \
                 ip -n {pod} addr add {ip}/{host} dev eth0 {nodad} && \
                 ip -n {pod} link set eth0 up && \
                 ip -n {pod} route add {node_pods}/{host} dev eth0 && \
                 ip -n {pod} route add {any} via {node_pods}"
            ));
        }
        if six {
            self.node.sh("sysctl -qw net.ipv6.conf.all.forwarding=1");
        }
    }

    /// Makes a virtual server to port 8080 of these pods.
    pub(crate) fn virtual_server(&self, ip: &'static str, port: u16, pods: &[usize]) {
        let frontend = bracketed(ip, port);
        let mut commands = vec![format!("ipvsadm -A -t {frontend} -s rr")];
        commands.extend(pods.iter().map(|&pod| {
            let server = bracketed(self.plan.pods[pod], 8080);
            format!("ipvsadm -a -t {frontend} -r {server} -m")
        }));
        let commands = commands.join(" && ");
        self.node.run(move || {
            run(&commands);
        });
    }

    /// Binds an address to the dummy interface, as kube-proxy does.
    pub(crate) fn bind(&self, ip: &'static str) {
        let element = SetElement::Ip(ip.parse().unwrap());
        self.node.run(move || {
            let mut socket = Socket::open(trimtab_netlink::Family::Route).unwrap();
            let dummy = dummy::ensure(&mut socket, DUMMY_INTERFACE).unwrap();
            assert!(dummy.add(&mut socket, &[ip.parse().unwrap()]).unwrap().is_success());
        });
        self.bound.lock().unwrap()[0].push(ip.parse().unwrap());
        self.add(SetKind::IpvsIps, element);
    }

    /// Binds an address by a route instead.
    pub(crate) fn route(&self, ip: &'static str) {
        let source = self.plan.node.parse().ok();
        self.node.run(move || {
            let mut socket = Socket::open(trimtab_netlink::Family::Route).unwrap();
            let vip = ip.parse().unwrap();
            let routes = [LocalRoute { vip, source }];
            assert!(local_route::add(&mut socket, &routes).unwrap().is_success());
        });
        self.bound.lock().unwrap()[1].push(ip.parse().unwrap());
        self.add(SetKind::IpvsIps, SetElement::Ip(ip.parse().unwrap()));
    }

    /// Connects from a namespace; `trimtab trace` has to expect what is found.
    pub(crate) fn connect(&self, from: &Namespace, ip: &'static str, port: u16) -> Outcome {
        let [found] = self.connect_each([from], ip, port);
        found
    }

    /// Connects from all of them at once, so that silence is waited for once; `trimtab trace` has to
    /// expect what is found.
    pub(crate) fn connect_each<const COUNT: usize>(
        &self,
        from: [&Namespace; COUNT],
        ip: &'static str,
        port: u16,
    ) -> [Outcome; COUNT] {
        let expected = from.map(|from| self.traced(from, ip, port));
        let found = connect_each(from, ip, port);
        for ((from, expected), found) in from.iter().zip(&expected).zip(found) {
            let what = format!("{} to {ip}:{port}", from.name());
            assert!(expected.allows(found), "{what}: found {found:?}, traced {expected:?}");
        }
        found
    }

    fn traced(&self, from: &Namespace, ip: &str, port: u16) -> Expected {
        let to: IpAddr = ip.parse().unwrap();
        let Plan { node, outside, pods, .. } = self.plan;
        let bound = self.bound.lock().unwrap().clone();
        let source = if from.name() == self.node.name() {
            // What the kernel chooses.
            let is_own = self.plan.interfaces().iter().any(|(_, address)| *address == to);
            if is_own || bound[0].contains(&to) { ip } else { node }
        } else if from.name() == self.outside.name() {
            outside
        } else if from.name() == self.pods[0].name() {
            pods[0]
        } else {
            pods[1]
        };
        let source = source.parse().unwrap();
        let to = SocketAddr::new(to, port);
        traced::follow(&self.node, &self.plan, &self.rules, &bound.concat(), source, to)
    }

    pub(crate) fn add(&self, kind: SetKind, element: SetElement) {
        self.change(kind, element, true);
    }

    pub(crate) fn delete(&self, kind: SetKind, element: SetElement) {
        self.change(kind, element, false);
    }

    fn change(&self, kind: SetKind, element: SetElement, add: bool) {
        let set = SetId::new(kind, self.plan.family).name();
        self.node.run(move || {
            let change = Change { set, element, add };
            let applied = Client::open().unwrap().change(&[change], Repeat::Refuse).unwrap();
            assert!(applied.is_success(), "{applied:?}");
        });
    }
}

/// An address and a port as `ipvsadm` wants them.
fn bracketed(ip: &str, port: u16) -> String {
    SocketAddr::new(ip.parse().unwrap(), port).to_string()
}

/// Answers every connection with the client's address, for as long as the test lasts.
pub(crate) fn serve(at: &Namespace, port: u16) {
    let (sender, ready) = std::sync::mpsc::channel();
    at.spawn(move || {
        let listener = TcpListener::bind(("::", port)).unwrap();
        sender.send(()).unwrap();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let peer = stream.peer_addr().map(|peer| peer.ip().to_canonical().to_string());
            let _ = std::io::Write::write_all(&mut stream, peer.unwrap_or_default().as_bytes());
        }
    });
    ready.recv().unwrap();
}

/// Connects from all of them at once, where rules of others count too.
pub(crate) fn connect_each<const COUNT: usize>(
    from: [&Namespace; COUNT],
    ip: &'static str,
    port: u16,
) -> [Outcome; COUNT] {
    thread::scope(|scope| {
        from.map(|from| scope.spawn(move || connect(from, ip, port)))
            .map(|outcome| outcome.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Connects from a namespace, where rules of others count too.
pub(crate) fn connect(from: &Namespace, ip: &'static str, port: u16) -> Outcome {
    from.run(move || {
        let address = SocketAddr::new(ip.parse().unwrap(), port);
        let mut stream = match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Outcome::Refused,
            Err(error) if error.kind() == ErrorKind::TimedOut => return Outcome::Silence,
            Err(error) => panic!("{ip}:{port}: {error}"),
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer = String::new();
        stream.read_to_string(&mut peer).unwrap();
        Outcome::From(peer.parse().unwrap())
    })
}
