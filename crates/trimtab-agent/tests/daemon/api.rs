//! The daemon as a client of the Kubernetes API, faults included.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use test_api::{
    ApiServer, Cluster, Config, Cut, EndpointChange, Fault, Gone, Resource, StreamingLists, Verb,
};
use trimtab_kube::watch::{self as source, Role, Timing};

use crate::kernel::{FakeKernel, Inside};
use crate::rig::Rig;

/// Longer than any of this takes, so that a test that waits in vain fails with a message.
const PATIENCE: Duration = Duration::from_secs(60);

struct Linked {
    api: ApiServer,
    rig: Rig,
    _folder: Folder,
}

/// A folder for a kubeconfig, deleted when dropped.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn linked(test: &str, services: usize, endpoints: usize) -> Linked {
    linked_to(Config::default(), test, services, endpoints).await
}

async fn linked_to(config: Config, test: &str, services: usize, endpoints: usize) -> Linked {
    // A server that does not mark the end of the state is noticed soon, others have time.
    let is_unmarked = config.streaming_lists == StreamingLists::Unmarked;
    let quiet_state = if is_unmarked { Duration::from_millis(300) } else { PATIENCE };
    let api = ApiServer::start(config).await.unwrap();
    api.load(&Cluster::synthetic(services, endpoints, 1));
    let folder = std::env::temp_dir().join(format!("trimtab-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let kubeconfig = folder.join("kubeconfig");
    api.write_kubeconfig(&kubeconfig).unwrap();
    let rig = Rig::start(FakeKernel::default(), "");
    let client = source::connect(Some(&kubeconfig), None, Role::NodeProxy).await.unwrap();
    rig.follow(client, Timing { quiet_state, ..Timing::default() });
    Linked { api, rig, _folder: Folder(folder) }
}

impl Linked {
    /// Waits until the kernel is as `wanted` says.
    async fn until(&self, what: &str, wanted: impl Fn(&Inside) -> bool) {
        let reached = tokio::time::timeout(PATIENCE, async {
            while !wanted(&self.rig.kernel.inside()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(reached.await.is_ok(), "never: {what}");
    }

    /// Waits until the kernel has these VIPs.
    async fn until_vips(&self, wanted: &[&str]) {
        let wanted: BTreeSet<std::net::IpAddr> =
            wanted.iter().map(|address| address.parse().unwrap()).collect();
        self.until(&format!("{wanted:?}"), |inside| inside.state.addresses == wanted).await;
    }

    fn create(&self, name: &str, ip: &str) {
        self.api
            .apply(json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"clusterIP": ip, "ports": [{"port": 80, "protocol": "TCP"}]},
            }))
            .unwrap();
    }
}

#[tokio::test]
async fn everything_listed_is_programmed() {
    use StreamingLists::{Refused, Served, Unmarked};
    for streaming_lists in [Served, Refused(422), Refused(400), Unmarked] {
        let config = Config { streaming_lists, ..Config::default() };
        let linked = linked_to(config, "all", 1200, 3).await;
        linked.until("all", |inside| inside.state.virtual_servers.len() == 1200).await;
        linked
            .until("all real servers", |inside| {
                inside.state.virtual_servers.values().all(|server| server.real_servers.len() == 3)
            })
            .await;
        let lists = linked.api.counters().requests(Verb::List, Resource::Services);
        assert_eq!(lists, u64::from(streaming_lists != Served), "{streaming_lists:?}");
        // What was listed is watched.
        linked.create("late", "10.96.7.1");
        linked.until("late", |inside| inside.state.virtual_servers.len() == 1201).await;
    }
}

#[tokio::test]
async fn one_changed_endpoint_among_1000_services_is_one_operation() {
    let linked = linked("one", 1000, 3).await;
    linked.until("all", |inside| inside.state.virtual_servers.len() == 1000).await;
    linked.until("ready", |_| linked.rig.health.readyz().ok).await;
    linked.rig.kernel.take_log();
    let (slice, index) = Cluster::slice(500, 1);
    linked.api.change_endpoint(&slice, &EndpointChange::Remove { index }).unwrap();
    linked.until("one operation", |inside| !inside.log.is_empty()).await;
    linked.rig.settle().await;
    let log = linked.rig.kernel.take_log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].starts_with("drain real server"), "{log:?}");
}

#[tokio::test]
async fn objects_come_and_go() {
    let linked = linked("come", 0, 0).await;
    linked.create("web", "10.96.7.1");
    linked.until_vips(&["10.96.7.1"]).await;
    linked.create("shop", "10.96.7.2");
    linked.until_vips(&["10.96.7.1", "10.96.7.2"]).await;
    linked.api.delete(Resource::Services, "default/web").unwrap();
    linked.until_vips(&["10.96.7.2"]).await;
    // Handing a Service to another proxy takes it out of the watch.
    linked
        .api
        .apply(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "shop",
                "namespace": "default",
                "labels": {"service.kubernetes.io/service-proxy-name": "other"},
            },
            "spec": {"clusterIP": "10.96.7.2", "ports": [{"port": 80, "protocol": "TCP"}]},
        }))
        .unwrap();
    linked.until_vips(&[]).await;
}

#[tokio::test]
async fn a_deletion_missed_while_the_watch_was_down_is_learned_from_the_next_list() {
    for gone in [Gone::Status, Gone::Event] {
        let linked = linked("missed", 0, 0).await;
        linked.create("web", "10.96.7.1");
        linked.create("shop", "10.96.7.2");
        linked.until_vips(&["10.96.7.1", "10.96.7.2"]).await;
        linked.api.answer_stale_watches_by(gone);
        linked.api.inject(Fault::status(500).on(Verb::Watch).times(2));
        linked.api.drop_watches(Cut::Abort);
        linked.api.delete(Resource::Services, "default/web").unwrap();
        linked.create("new", "10.96.7.3");
        linked.api.compact(linked.api.revision());
        linked.until_vips(&["10.96.7.2", "10.96.7.3"]).await;
    }
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_changes_nothing() {
    let linked = linked("outage", 10, 2).await;
    linked.until("ready", |_| linked.rig.health.readyz().ok).await;
    linked.rig.kernel.take_log();
    linked.api.inject(Fault::status(500).times(6));
    linked.api.drop_watches(Cut::Clean);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(linked.rig.kernel.take_log().is_empty());
    linked.create("web", "10.96.7.1");
    let vip: std::net::IpAddr = "10.96.7.1".parse().unwrap();
    linked.until("the new VIP", |inside| inside.state.addresses.contains(&vip)).await;
    assert_eq!(linked.rig.kernel.inside().state.virtual_servers.len(), 11);
}

/// A relay in front of an API server that can silently drop all data, like a network whose other
/// end has disappeared.
struct Relay {
    address: std::net::SocketAddr,
    /// Connections with a number below this are silent.
    silent_below: tokio::sync::watch::Sender<usize>,
    opened: Arc<AtomicUsize>,
}

impl Relay {
    async fn start(server: String, silent_below: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (silent_below, silent) = tokio::sync::watch::channel(silent_below);
        let opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&opened);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::Relaxed);
                let (server, mut silent) = (server.clone(), silent.clone());
                tokio::spawn(async move {
                    let mut far = tokio::net::TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
                        _ = silent.wait_for(|below| number < *below) => {}
                    }
                    // Neither closed nor read.
                    std::future::pending::<()>().await;
                });
            }
        });
        Self { address, silent_below, opened }
    }

    fn client(&self) -> kube::Client {
        let url = format!("http://{}", self.address).parse().unwrap();
        kube::Client::try_from(kube::Config::new(url)).unwrap()
    }

    fn silence_what_is_open(&self) {
        self.silent_below.send(self.opened.load(Ordering::Relaxed)).unwrap();
    }
}

/// Short enough for a test, with the same proportions.
fn impatient() -> Timing {
    let millis = Duration::from_millis;
    Timing {
        answer: millis(400),
        quiet_watch: millis(900),
        quiet_state: millis(300),
        pause: millis(10)..=millis(100),
        proven: millis(30),
        ..Timing::default()
    }
}

async fn relayed(silent_below: usize) -> (ApiServer, Rig, Relay) {
    let api = ApiServer::start(Config::default()).await.unwrap();
    api.load(&Cluster::synthetic(3, 2, 1));
    let server = api.url().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let relay = Relay::start(server, silent_below).await;
    let rig = Rig::start(FakeKernel::default(), "");
    rig.follow(relay.client(), impatient());
    (api, rig, relay)
}

async fn until_servers(rig: &Rig, count: usize) {
    let reached = tokio::time::timeout(PATIENCE, async {
        while rig.kernel.inside().state.virtual_servers.len() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(reached.await.is_ok(), "never: {count} virtual servers");
}

#[tokio::test]
async fn a_list_that_is_never_answered_is_asked_for_again() {
    // The first connection of each kind gets no data.
    let (_api, rig, relay) = relayed(3).await;
    until_servers(&rig, 3).await;
    assert!(relay.opened.load(Ordering::Relaxed) > 3);
}

#[tokio::test]
async fn a_watch_that_falls_silent_is_replaced() {
    let (api, rig, relay) = relayed(0).await;
    until_servers(&rig, 3).await;
    let listed = api.counters().requests(Verb::List, Resource::Services);
    relay.silence_what_is_open();
    api.apply(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "new", "namespace": "default"},
        "spec": {"clusterIP": "10.96.7.1", "ports": [{"port": 80, "protocol": "TCP"}]},
    }))
    .unwrap();
    until_servers(&rig, 4).await;
    assert_eq!(api.counters().requests(Verb::List, Resource::Services), listed, "watched again");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_is_asked_ever_more_rarely() {
    let api = ApiServer::start(Config::default()).await.unwrap();
    api.inject(Fault::status(500));
    let rig = Rig::start(FakeKernel::default(), "");
    let client = kube::Client::try_from(kube::Config::new(api.url().parse().unwrap())).unwrap();
    // Paused time passes much faster than a socket answers.
    let day = Duration::from_secs(86_400);
    rig.follow(client, Timing { answer: day, ..Timing::default() });
    tokio::time::sleep(Duration::from_secs(1200)).await;
    let counters = api.counters();
    let asked = |verb, resource| counters.requests(verb, resource);
    for resource in [Resource::Services, Resource::EndpointSlices] {
        // About six requests while the pauses grow, then one every 15 to 30 s.
        let asked = asked(Verb::Watch, resource) + asked(Verb::List, resource);
        assert!((30..=90).contains(&asked), "{asked}");
    }
    assert!(!rig.health.contact().is_whole());
    assert!(rig.health.livez().ok, "what is programmed goes on");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_never_answered_is_asked_for_ever_more_rarely() {
    let watches = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&watches);
    // Lists are answered, watches never.
    let answer = move |request: http::Request<kube::client::Body>| {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        count.fetch_add(usize::from(is_watch), Ordering::Relaxed);
        async move {
            if is_watch {
                std::future::pending::<()>().await;
            }
            let list = br#"{"metadata":{"resourceVersion":"1"},"items":[]}"#;
            let body = http_body_util::Full::new(bytes::Bytes::from_static(list));
            Ok::<_, std::convert::Infallible>(http::Response::new(body))
        }
    };
    let client = kube::Client::new(tower::service_fn(answer), "default");
    let rig = Rig::start(FakeKernel::default(), "");
    rig.follow(client, Timing { answer: Duration::from_secs(10), ..Timing::default() });
    tokio::time::sleep(Duration::from_secs(1200)).await;
    // One for each kind every 25 to 40 s once the pauses have grown; if they did not grow, one
    // every 11 s.
    let asked = watches.load(Ordering::Relaxed);
    assert!((80..=170).contains(&asked), "{asked}");
}
