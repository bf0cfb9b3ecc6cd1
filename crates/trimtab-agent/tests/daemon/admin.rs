//! The admin socket of a running daemon, asked by the client of `trimtab-admin`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};
use trimtab_admin::{
    Client, Error, Explanation, Kind, Policy, Reason, Selection, Service, Stage, Topology,
};
use trimtab_agent::admin::{Desk, serve};

use crate::kernel::FakeKernel;
use crate::rig::{Rig, service, slice};

/// A daemon with its admin socket.
struct Served {
    rig: Rig,
    path: PathBuf,
    serving: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Served {
    async fn start(yaml: &str) -> Self {
        let rig = Rig::start(FakeKernel::default(), yaml);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trimtab.sock");
        let mut served = Self { rig, path, serving: None, _folder: folder };
        served.listen().await;
        served
    }

    async fn listen(&mut self) {
        let (health, warnings) = (Arc::clone(&self.rig.health), Arc::clone(&self.rig.warnings));
        let config = Arc::clone(&self.rig.config);
        let desk = Desk::new(self.rig.asker.clone(), health, warnings, config);
        let socket = self.path.clone();
        self.serving = Some(tokio::spawn(async move { serve(&socket, desk).await }));
        while !self.path.exists() {
            tokio::task::yield_now().await;
        }
    }

    /// The daemon ends.
    async fn stop(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
    }

    /// Asks from another thread, as the client blocks.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Client) -> T + Send + 'static,
    ) -> T {
        let path = self.path.clone();
        spawn_blocking(move || question(&mut connect(&path))).await.unwrap()
    }

    async fn services(&self, selection: Selection) -> Vec<Service> {
        self.ask(move |client| all(client, &selection).unwrap()).await
    }
}

fn connect(path: &Path) -> Client {
    Client::connect(path).unwrap()
}

fn all(client: &mut Client, selection: &Selection) -> Result<Vec<Service>, Error> {
    let mut services = Vec::new();
    client.services(selection, |service| services.push(service))?;
    Ok(services)
}

fn numbered(count: u8) -> String {
    let one = |number: u8| {
        let name = format!("web-{number}");
        let endpoints: Vec<String> =
            (1..=number).map(|it| format!("10.244.{number}.{it}")).collect();
        let endpoints: Vec<&str> = endpoints.iter().map(String::as_str).collect();
        service(&name, &format!("10.96.0.{number}")) + &slice(&name, &endpoints)
    };
    (1..=count).map(one).collect()
}

#[tokio::test]
async fn the_summary_counts_what_the_loop_has() {
    let served = Served::start("ipvs: {syncPeriod: 20s}").await;
    let before = served.ask(|client| client.summary().unwrap()).await;
    assert_eq!((before.stage, before.ready, before.services), (Stage::Listing, false, 0));
    served.rig.list(&numbered(3)).await;
    let summary = served.ask(|client| client.summary().unwrap()).await;
    assert_eq!((summary.stage, summary.ready, summary.healthy), (Stage::Ready, true, true));
    assert_eq!((summary.services, summary.virtual_servers, summary.real_servers), (3, 3, 6));
    assert_eq!((summary.pending, summary.retrying, summary.warnings), (0, 0, 0));
    assert_eq!((&*summary.node, summary.comparison.period_seconds), ("node-a", 20.0));
    assert_eq!((summary.lag_seconds, summary.api_server), (None, None));
    assert_eq!(summary.comparison.drift.total(), 0);
}

#[tokio::test]
async fn services_are_told_page_by_page_as_in_one() {
    let served = Served::start("").await;
    served.rig.list(&numbered(9)).await;
    let whole = served.services(Selection::default()).await;
    let names: Vec<_> = whole.iter().map(|service| service.name.clone()).collect();
    assert_eq!(names, (1..=9).map(|number| format!("web-{number}")).collect::<Vec<_>>());
    for limit in [3, 4, 7] {
        let selection = Selection { limit: Some(limit), ..Selection::default() };
        let pages = served.services(selection).await;
        let without_times = |services: &[Service]| {
            services
                .iter()
                .cloned()
                .map(|it| Service { last_change: None, ..it })
                .collect::<Vec<_>>()
        };
        assert_eq!(without_times(&pages), without_times(&whole), "{limit}");
    }
    let [service] = &served
        .services(Selection {
            namespace: Some("n".to_owned()),
            name: Some("web-2".to_owned()),
            ..Selection::default()
        })
        .await[..]
    else {
        panic!()
    };
    assert!(!service.pending && service.last_change.is_some() && service.last_error.is_none());
    let [frontend] = &service.frontends[..] else { panic!("{service:?}") };
    assert_eq!((frontend.address, frontend.port), (Some([10, 96, 0, 2].into()), Some(80)));
    assert_eq!((frontend.kind, frontend.policy), (Kind::ClusterIp, Policy::Cluster));
    assert_eq!((&*frontend.port_name, &*frontend.scheduler), ("http", "rr"));
    assert!(frontend.programmed && frontend.mark.is_none() && !frontend.ipv6);
    let real = frontend.real_servers[0];
    assert_eq!((real.wanted_weight, real.weight, real.port), (Some(1), Some(1), 8080));
    let found = served
        .services(Selection { address: Some([10, 96, 0, 7].into()), ..Selection::default() })
        .await;
    assert_eq!(found.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["web-7"]);
}

#[tokio::test]
async fn an_explanation_has_every_endpoint_with_its_reason() {
    let served = Served::start("").await;
    let spoilt = slice("web-9", &["10.244.9.1", "10.244.9.2"]).replace(
        "{addresses: [10.244.9.2]}",
        "{addresses: [10.244.9.2], conditions: {ready: false}}",
    );
    served.rig.list(&(service("web-9", "10.96.0.9") + &spoilt)).await;
    let whole = served.ask(|client| client.explanation("n", "web-9").unwrap()).await;
    assert_eq!((&*whole.node, whole.next), ("node-a", None));
    let [port] = &whole.ports[..] else { panic!("{whole:?}") };
    assert_eq!((port.slices, port.endpoint_count, port.topology), (1, 2, Topology::NoHints));
    let reasons: Vec<_> = port.endpoints.iter().map(|it| it.cluster.reason).collect();
    assert_eq!(reasons, [Reason::Ready, Reason::NotReady]);
    let parts = served
        .ask(|client| {
            let mut parts: Vec<Explanation> = Vec::new();
            let mut from = Some(0);
            while let Some(place) = from {
                let query = format!("/v1/explanation?namespace=n&name=web-9&limit=1&from={place}");
                parts.push(client.get(&query).unwrap());
                from = parts.last().unwrap().next;
            }
            parts
        })
        .await;
    assert_eq!(parts.len(), 3, "a frontend and two endpoints");
    let joined = parts.into_iter().reduce(|mut all, part| {
        all.join(part);
        all
    });
    assert_eq!(joined, Some(whole));
}

#[tokio::test]
async fn warnings_and_draining_real_servers_are_told() {
    let served = Served::start("trimtab: {drainTimeout: 60s}").await;
    let annotated = service("odd", "10.96.0.1")
        .replace("namespace: n}", "namespace: n, annotations: {trimtab.dev/scheduler: fastest}}");
    served.rig.list(&(annotated + &slice("odd", &["10.244.0.1", "10.244.0.2"]))).await;
    served.rig.apply(&slice("odd", &["10.244.0.2"])).await;
    let [service] = &served.services(Selection::default()).await[..] else { panic!() };
    let [warning] = &service.warnings[..] else { panic!("{service:?}") };
    assert_eq!(warning.reason, "InvalidAnnotation");
    assert!(warning.message.contains("fastest"), "{warning:?}");
    let [leaving, staying] = &service.frontends[0].real_servers[..] else { panic!("{service:?}") };
    let time = leaving.draining.unwrap();
    assert_eq!(time.until.duration_since(time.since).as_secs(), 60);
    assert_eq!((leaving.wanted_weight, leaving.weight), (None, Some(0)));
    assert_eq!(staying.draining, None);
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_words() {
    let served = Served::start("").await;
    let refused = |path: &'static str| {
        served.ask(move |client| match client.get::<serde_json::Value>(path) {
            Err(Error::Refused { status, message, .. }) => (status.as_u16(), message),
            other => panic!("{path}: {other:?}"),
        })
    };
    for (path, status, words) in [
        ("/", 404, "no such path"),
        ("/v2/summary", 404, "no such path"),
        ("/v1/services?name=web", 400, "name: needs a namespace"),
        ("/v1/explanation?namespace=n", 400, "namespace and name: both are needed"),
        ("/v1/explanation?namespace=n&name=nobody", 404, "no such Service is proxied"),
        ("/v1/services?from=nowhere", 400, "from: expected the `next` of the page before"),
    ] {
        assert_eq!(refused(path).await, (status, words.to_owned()));
    }
}

#[tokio::test]
async fn a_question_is_answered_while_changes_keep_arriving() {
    let served = Served::start("").await;
    served.rig.list(&numbered(2)).await;
    let changes = served.rig.changes.clone();
    let busy = tokio::spawn(async move {
        loop {
            for change in crate::rig::changes(&slice("web-1", &["10.244.9.1"])) {
                let _ = changes.send(trimtab_kube::Arrival::now(vec![change])).await;
            }
        }
    });
    let answered = served.services(Selection::default()).await;
    busy.abort();
    assert_eq!(answered.len(), 2);
}

#[tokio::test]
async fn a_client_outlives_a_daemon_that_starts_again() {
    let mut served = Served::start("").await;
    let path = served.path.clone();
    let other = path.with_extension("other");
    let nobody = spawn_blocking(move || Client::connect(&other).map(drop)).await.unwrap();
    assert!(nobody.unwrap_err().is_no_daemon());
    let asked = |mut client: Client| {
        spawn_blocking(move || {
            let summary = client.summary();
            (client, summary)
        })
    };
    let client = spawn_blocking(move || connect(&path)).await.unwrap();
    let (client, before) = asked(client).await.unwrap();
    served.stop().await;
    let (client, without) = asked(client).await.unwrap();
    assert!(without.unwrap_err().is_no_daemon());
    served.listen().await;
    let (client, after) = asked(client).await.unwrap();
    assert_eq!(before.unwrap().node, after.unwrap().node);
    // It has a runtime of its own, which must not end within another.
    spawn_blocking(move || drop(client)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_comparisons_find_is_counted_with_its_time() {
    let rig = Rig::start(FakeKernel::default(), "ipvs: {syncPeriod: 30s}");
    rig.list(&numbered(2)).await;
    rig.wait(100).await;
    let before = rig.asker.state().await.unwrap().compared;
    assert!(before.completed.is_some() && before.drift.is_none() && before.last_drift.is_none());
    rig.kernel.inside().state.addresses.clear();
    rig.wait(100).await;
    let after = rig.asker.state().await.unwrap();
    let (at, found) = after.compared.last_drift.unwrap();
    assert_eq!((found.addresses, after.compared.drift), (2, found));
    assert!(at > before.completed.unwrap() && after.compared.completed > before.completed);
}
