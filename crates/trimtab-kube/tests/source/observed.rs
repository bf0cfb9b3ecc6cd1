//! A source of changes whose requests are recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use kube::Client;
use kube::client::Body;
use test_api::ApiServer;
use tokio::sync::mpsc;
use trimtab_kube::contact::Contact;
use trimtab_kube::watch::{self, Timing};
use trimtab_kube::{Arrival, Change, Kind};

/// Longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// The node.
pub(crate) const NODE: &str = "node-00000";

/// A request: its path, its `Accept` header and the parameters of its query.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) accept: String,
    pub(crate) parameters: BTreeMap<String, String>,
}

impl Asked {
    fn new(request: &Request<Body>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let parameters = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let accept = request.headers()[http::header::ACCEPT].to_str().unwrap().to_owned();
        Self { path: request.uri().path().to_owned(), accept, parameters }
    }

    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.parameter("watch") == "true"
    }
}

/// The requests of a source, and what it hands on.
pub(crate) struct Observed {
    asked: Arc<Mutex<Vec<Asked>>>,
    changes: mpsc::Receiver<Arrival>,
}

impl Observed {
    /// Follows every kind of object.
    pub(crate) fn start(api: &ApiServer, timing: &Timing) -> Self {
        let server = Client::try_from(kube::Config::new(api.url().parse().unwrap())).unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let record = Arc::clone(&asked);
        let observe = move |request: Request<Body>| {
            record.lock().unwrap().push(Asked::new(&request));
            let server = server.clone();
            async move { server.send(request).await }
        };
        let client = Client::new(tower::service_fn(observe), "default");
        let (sender, changes) = mpsc::channel(16);
        let contact = Arc::new(Contact::default());
        for is_weights in [false, true] {
            let (client, sender, timing) = (client.clone(), sender.clone(), timing.clone());
            let contact = Arc::clone(&contact);
            tokio::spawn(async move {
                if is_weights {
                    watch::watch_node_weights(client, sender, &contact, &timing).await;
                } else {
                    watch::watch(client, NODE, sender, &contact, &timing).await;
                }
            });
        }
        Self { asked, changes }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }

    /// Waits until every kind is listed; returns how many changes that took.
    pub(crate) async fn until_listed(&mut self) -> usize {
        let mut missing: BTreeSet<Kind> = Kind::ALL.into_iter().collect();
        let mut count = 0;
        while !missing.is_empty() {
            for change in self.next().await.changes {
                match change {
                    Change::End(kind) => drop(missing.remove(&kind)),
                    Change::Begin(_) => {}
                    _ => count += 1,
                }
            }
        }
        count
    }

    /// The next arrival.
    pub(crate) async fn next(&mut self) -> Arrival {
        let next = tokio::time::timeout(PATIENCE, self.changes.recv()).await;
        next.expect("an arrival in time").expect("the source goes on")
    }

    /// Waits until so many requests were sent.
    pub(crate) async fn until_asked(&self, count: usize) {
        let reached = tokio::time::timeout(PATIENCE, async {
            while self.asked().len() < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(reached.await.is_ok(), "never {count} requests: {:?}", self.asked());
    }
}
