//! Health-check node ports, queried as load balancers do.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trimtab_core::objects::ObjectName;
use trimtab_kube::Change;

use crate::kernel::FakeKernel;
use crate::rig::Rig;

/// An unused port: above the kernel's ephemeral ports, and different for each call.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let free = |port: &u16| std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).is_ok();
    let ports = std::iter::repeat_with(|| {
        let number = std::process::id() * 31 + NEXT.fetch_add(1, Ordering::Relaxed);
        61_000 + u16::try_from(number % 4_500).unwrap()
    });
    ports.take(4_500).find(free).unwrap()
}

fn service(name: &str, port: u16) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: n, uid: u-{name}}}\n\
         spec:\n  type: LoadBalancer\n  externalTrafficPolicy: Local\n  \
         clusterIPs: [10.96.0.1, 'fd96::1']\n  healthCheckNodePort: {port}\n  \
         ports: [{{name: http, port: 80}}]\n"
    )
}

/// Endpoints of one family, each with the node it is on.
fn slice(service: &str, family: &str, endpoints: &[(&str, &str)]) -> String {
    let endpoints: Vec<String> = endpoints
        .iter()
        .map(|(address, node)| format!("{{addresses: ['{address}'], nodeName: {node}}}"))
        .collect();
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {service}-{}, \
         namespace: n, labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: {family}\n\
         ports: [{{name: http, port: 8080}}]\nendpoints: [{}]\n",
        family.to_lowercase(),
        endpoints.join(", ")
    )
}

/// The whole response except its date; `None` if nothing listens.
async fn ask(address: impl Into<SocketAddr>) -> Option<String> {
    let mut stream = TcpStream::connect(address.into()).await.ok()?;
    let request = b"GET /whatever HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let lines = text.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: "));
    Some(lines.collect())
}

fn answer(status: &str, count: usize, healthy: bool) -> String {
    let body = format!(
        "{{\n\t\"service\": {{\n\t\t\"namespace\": \"n\",\n\t\t\"name\": \"web\"\n\t}},\n\
         \t\"localEndpoints\": {count},\n\t\"serviceProxyHealthy\": {healthy}\n}}"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n\
         X-Load-Balancing-Endpoint-Weight: {count}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Header lines sorted by name, because their order has no meaning.
fn sorted(answer: &str) -> Vec<&str> {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    lines[1..].sort_unstable_by_key(|line| line.to_lowercase());
    lines.push(body);
    lines
}

#[tokio::test(start_paused = true)]
async fn each_family_says_how_many_endpoints_are_here() {
    let port = free_port();
    let (four, six) = ((Ipv4Addr::LOCALHOST, port), (Ipv6Addr::LOCALHOST, port));
    let rig = Rig::start(FakeKernel::default(), "");
    rig.list(&service("web", port)).await;
    let none = ask(four).await.unwrap();
    assert_eq!(sorted(&none), sorted(&answer("503 Service Unavailable", 0, true)));
    let here = [("10.244.0.1", "node-a"), ("10.244.0.2", "node-a"), ("10.244.1.1", "node-b")];
    rig.apply(&slice("web", "IPv4", &here)).await;
    rig.apply(&slice("web", "IPv6", &[("fd00:244::1", "node-a")])).await;
    let two = ask(four).await.unwrap();
    assert_eq!(sorted(&two), sorted(&answer("200 OK", 2, true)));
    let one = ask(six).await.unwrap();
    assert_eq!(sorted(&one), sorted(&answer("200 OK", 1, true)));
    rig.apply(&slice("web", "IPv4", &here[2..])).await;
    assert!(ask(four).await.unwrap().starts_with("HTTP/1.1 503 "));
    assert!(ask(six).await.unwrap().starts_with("HTTP/1.1 200 "));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_does_not_keep_up_says_so() {
    let port = free_port();
    let rig = Rig::start(FakeKernel::default(), "");
    let objects = service("web", port) + &slice("web", "IPv4", &[("10.244.0.1", "node-a")]);
    rig.list(&objects).await;
    rig.health.queued();
    rig.wait(60).await;
    let text = ask((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    assert_eq!(sorted(&text), sorted(&answer("503 Service Unavailable", 1, false)));
    // It does not matter here whether the node is about to be deleted.
    rig.health.updated();
    rig.health.set_node(false);
    let text = ask((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    assert_eq!(sorted(&text), sorted(&answer("200 OK", 1, true)));
}

#[tokio::test(start_paused = true)]
async fn a_listener_follows_its_port_and_goes_with_its_service() {
    let (first, second) = (free_port(), free_port());
    let at = |port| (Ipv4Addr::LOCALHOST, port);
    let rig = Rig::start(FakeKernel::default(), "");
    let endpoints = slice("web", "IPv4", &[("10.244.0.1", "node-a")]);
    rig.list(&(service("web", first) + &endpoints)).await;
    // A connection that is kept open also gets the current state.
    let mut kept = TcpStream::connect(SocketAddr::from(at(first))).await.unwrap();
    rig.apply(&service("web", second)).await;
    assert!(ask(at(second)).await.unwrap().contains("\"localEndpoints\": 1,"));
    assert_eq!(ask(at(first)).await, None);
    assert_eq!(kept.read(&mut [0; 16]).await.unwrap_or(0), 0);
    // Another Service takes the port over in the same arrival.
    let gone = Change::ServiceGone(ObjectName::new("n", "web"));
    rig.send(gone).await;
    rig.apply(&service("shop", second)).await;
    assert!(ask(at(second)).await.unwrap().contains("\"name\": \"shop\""));
    rig.send(Change::ServiceGone(ObjectName::new("n", "shop"))).await;
    rig.settle().await;
    assert_eq!(ask(at(second)).await, None);
    assert!(rig.warnings.standing_now().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_port_that_somebody_else_has_is_a_warning_and_tried_again() {
    let port = free_port();
    let blocker = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let rig = Rig::start(FakeKernel::default(), "");
    rig.list(&service("web", port)).await;
    let standing = rig.warnings.standing_now();
    assert_eq!(standing.len(), 1, "{standing:?}");
    let start = format!(
        "Service n/web: FailedToStartServiceHealthcheck: spec.healthCheckNodePort: cannot listen on \
         0.0.0.0:{port}: "
    );
    assert!(standing[0].starts_with(&start), "{standing:?}");
    // Neither the other family nor the kernel's state is affected.
    assert!(ask((Ipv6Addr::LOCALHOST, port)).await.is_some());
    assert!(rig.kernel.take_log().contains(&"bind 10.96.0.1".to_owned()));
    drop(blocker);
    rig.wait(5).await;
    assert!(ask((Ipv4Addr::LOCALHOST, port)).await.is_some());
    assert!(rig.warnings.standing_now().is_empty());
}
