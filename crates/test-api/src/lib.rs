//! A Kubernetes API server for tests, the demo and the benchmark: Services, EndpointSlices, Nodes
//! and a few more kinds, in memory, over plain HTTP/1.1, in JSON and protobuf.
//!
//! For listing, watching and writing these kinds, it behaves like a real one: `kubectl`, client-go
//! informers and kube-rs watchers run unmodified. It validates only what the protocol needs, so
//! that a test can serve any invalid `spec`.
//!
//! ```
//! use serde_json::json;
//! use test_api::{ApiServer, Config, Fault, Resource, Verb};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let api = ApiServer::start(Config::default()).await?;
//! api.create(json!({
//!     "apiVersion": "v1", "kind": "Service",
//!     "metadata": {"name": "web", "namespace": "default"},
//!     "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]},
//! }))?;
//! assert_eq!(api.list(Resource::Services).len(), 1);
//!
//! // The next two watches of Services end in 410 Gone.
//! api.inject(Fault::gone().of(Resource::Services).times(2));
//! println!("kubectl --server={} get services", api.url());
//! # api.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does, and what it does not
//!
//! * Lists in pages that all show one moment, with `resourceVersion` and `resourceVersionMatch`;
//!   `resourceVersion=0` ignores `limit`, as the watch cache does.
//! * Watches from a revision or with the state first, `sendInitialEvents` included; bookmarks;
//!   410 for what is compacted or no longer remembered ([`Config::history`]). A bookmark closes a
//!   watch that ends by `timeoutSeconds`; without that parameter a watch has no end.
//! * Label selectors (but `<` and `>`) and the field selectors that a real server has.
//! * Create, update, delete, deletecollection, merge patch, strategic merge patch (lists are merged
//!   by key where `kubectl` needs it: ports, conditions, addresses, containers, owners; others are
//!   replaced), `/status`, preconditions, finalizers. An update that changes nothing writes
//!   nothing. JSON Patch, server-side apply and `dryRun` are refused. Nothing is deleted with its
//!   owner: there are no controllers.
//! * `PartialObjectMetadata` and `Table` for clients that ask for them.
//! * Services, EndpointSlices, Nodes and `PartialObjectMetadata` in protobuf, byte for byte as by a
//!   real server; other kinds are answered with JSON where `Accept` allows. Bodies in protobuf are
//!   refused with 415.
//! * Services are completed as by an API server: defaults, addresses, node ports. Namespaces need
//!   not exist. `v1` and `events.k8s.io/v1` Events are the same objects.
//! * There is no authentication, and nothing is validated in `spec`.
//!
//! What the library writes ([`ApiServer::create`], [`ApiServer::apply`]) keeps its `uid`,
//! `creationTimestamp` and `status`; what clients write over HTTP does not.
//!
//! # Over HTTP
//!
//! Faults can be had without the library, as when the server runs on its own:
//!
//! * `GET`, `PUT`, `DELETE /_fixture/faults`:
//!   `{"faults":[{"verb":"watch","resource":"services","times":2,"effect":"gone"}]}`; see [`Fault`]
//!   and [`Effect`]. `"staleWatches":"status"` makes 410s of watches an HTTP status ([`Gone`]).
//! * `POST /_fixture/actions`: `{"dropWatches":"clean"}` or `"abort"`, `{"compact":true}` or a
//!   revision, `{"refuseConnectionsMs":500}`.
//! * `GET /_fixture/counters`.
//!
//! # Cost
//!
//! An object is kept as the JSON that goes out, and as protobuf once a client has asked for that
//! ([`ApiServer::encode_all`]), so a list or an event is a copy of bytes, and a
//! [synthetic cluster](Cluster) of 50,000 Services is there in a second. See [`ApiServer::load`] and
//! [`ApiServer::change_endpoint`].

mod control;
mod counters;
mod defaults;
mod discovery;
mod endpoints;
mod error;
mod event_views;
mod faults;
mod field;
mod history;
mod kubeconfig;
mod list;
mod manifests;
mod metadata;
mod object;
mod options;
mod patch;
mod protobuf;
mod refusal;
mod representation;
mod request;
mod resource;
mod response;
mod route;
mod selector;
mod server;
mod shared;
mod store;
mod synthetic;
mod table;
mod watch;
mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

pub use counters::{Counters, Verb};
pub use endpoints::{ChangedSlice, EndpointChange};
pub use error::Error;
pub use faults::{Cut, Effect, Fault, Gone};
pub use manifests::Loaded;
pub use protobuf::{protobuf_frame, whole as protobuf_message};
pub use refusal::Refusal;
pub use resource::Resource;
pub use synthetic::Cluster;

use metadata::Author;
use shared::Shared;
use write::{Context, Half, Target};

/// The server's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes any. Default: `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Time between bookmarks; `None` for none. Default: a minute, as in a real server.
    pub bookmark_interval: Option<Duration>,
    /// Writes of each kind that are remembered for watches. Default: 16,384.
    pub history: usize,
    /// How `sendInitialEvents` is answered. Default: as by Kubernetes 1.34 and later.
    pub streaming_lists: StreamingLists,
    /// What clients get that ask for protobuf. Default: protobuf, or JSON with the environment
    /// variable `FIXTURE_API_JSON`, by which all tests run with JSON.
    pub protobuf: Protobuf,
}

/// What clients get that ask for protobuf first, and for JSON second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protobuf {
    /// Protobuf.
    Served,
    /// JSON.
    Missing,
    /// JSON with the `Content-Type` of protobuf.
    Mislabelled,
}

/// How watches that ask for the state first (`sendInitialEvents`) are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamingLists {
    /// With the state, and a bookmark where it ends.
    Served,
    /// With this HTTP status: 422 by a Kubernetes without the feature gate, 400 by other servers.
    Refused(u16),
    /// With the state but no mark of its end: by servers that ignore the parameter.
    Unmarked,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            bookmark_interval: Some(Duration::from_secs(60)),
            history: 16_384,
            streaming_lists: StreamingLists::Served,
            protobuf: if std::env::var_os("FIXTURE_API_JSON").is_some() {
                Protobuf::Missing
            } else {
                Protobuf::Served
            },
        }
    }
}

/// A running server; it stops when dropped, or, waiting for answers under way, with
/// [`ApiServer::stop`].
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    done: Option<oneshot::Receiver<()>>,
}

impl ApiServer {
    /// Starts on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] if the address cannot be had.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let (api, serving) = Self::bind(config).await?;
        tokio::spawn(serving);
        Ok(api)
    }

    /// Starts on a thread of its own, for callers without a runtime and for benchmarks that keep
    /// the server apart from what they measure.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`] if the address cannot be had, [`Error::Thread`] if there is no thread.
    pub fn start_on_thread(config: Config) -> Result<Self, Error> {
        let (report, started) = std::sync::mpsc::channel();
        let body = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    // Nobody listens only if the starter is gone.
                    let _ = report.send(Err(Error::Thread(error)));
                    return;
                }
            };
            runtime.block_on(async {
                let (result, serving) = match Self::bind(config).await {
                    Ok((api, serving)) => (Ok(api), Some(serving)),
                    Err(error) => (Err(error), None),
                };
                let _ = report.send(result);
                if let Some(serving) = serving {
                    serving.await;
                }
            });
        };
        std::thread::Builder::new()
            .name("fixture-api".into())
            .spawn(body)
            .map_err(Error::Thread)?;
        started.recv().map_err(|_| Error::Thread(std::io::ErrorKind::BrokenPipe.into()))?
    }

    async fn bind(config: Config) -> Result<(Self, impl Future<Output = ()>), Error> {
        let listen = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let started = Timestamp::now().as_nanosecond();
        let seed = u64::try_from(started & i128::from(u64::MAX)).unwrap_or_default();
        let shared = Arc::new(Shared::new(config, address, seed));
        let (finished, done) = oneshot::channel();
        let api = Self { shared: Arc::clone(&shared), done: Some(done) };
        let serving = async move {
            server::serve(shared, listener).await;
            // The owner may not care when.
            let _ = finished.send(());
        };
        Ok((api, serving))
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// `http://address`, with a loopback address where it listens on all.
    pub fn url(&self) -> String {
        let mut address = self.shared.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }

    /// A kubeconfig for this server.
    pub fn kubeconfig(&self) -> String {
        kubeconfig::text(&self.url())
    }

    /// Writes a kubeconfig for this server.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] if the file cannot be written.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<(), Error> {
        std::fs::write(path, self.kubeconfig())
            .map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    /// Adds an object; returns it as stored.
    ///
    /// # Errors
    ///
    /// As over HTTP, the name may be taken or the object be malformed.
    pub fn create(&self, object: Value) -> Result<Value, Refusal> {
        let (resource, object) = known(object)?;
        write::create(&self.shared.store, resource, None, object, self.context())
            .map(|object| Value::Object(object.decode()))
    }

    /// Adds an object, or puts it in the place of the one with its name, status included; returns
    /// it as stored.
    ///
    /// # Errors
    ///
    /// As over HTTP, the object may be malformed or meant for another resourceVersion.
    pub fn apply(&self, object: Value) -> Result<Value, Refusal> {
        let (resource, mut object) = known(object)?;
        let identity = metadata::identify(resource, None, None, &mut object, "")?;
        let namespace = identity.namespace.as_deref();
        let target = Target { resource, namespace, name: &identity.name };
        let replacement = object.clone();
        let store = &self.shared.store;
        let result =
            match write::update(store, target, Half::Main, self.context(), |_| Ok(replacement)) {
                Err(refusal) if refusal.is_not_found() => {
                    write::create(store, resource, namespace, object, self.context())
                }
                result => result,
            };
        result.map(|object| Value::Object(object.decode()))
    }

    /// Removes an object, given as `namespace/name` or, without namespaces, `name`.
    ///
    /// # Errors
    ///
    /// There may be no such object.
    pub fn delete(&self, resource: Resource, key: &str) -> Result<(), Refusal> {
        let (namespace, name) = match key.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, key),
        };
        let target = Target { resource, namespace, name };
        write::delete(&self.shared.store, target, &Map::new(), self.context()).map(drop)
    }

    /// An object, given as `namespace/name` or `name`.
    pub fn get(&self, resource: Resource, key: &str) -> Option<Value> {
        self.shared.store.get(resource, key).map(|object| Value::Object(object.decode()))
    }

    /// All objects of a kind, by namespace and name.
    pub fn list(&self, resource: Resource) -> Vec<Value> {
        let objects: Vec<_> = self
            .shared
            .store
            .read(|state| state.collection(resource).objects.values().cloned().collect());
        objects.iter().map(|object| Value::Object(object.decode())).collect()
    }

    /// The newest revision, which is the `resourceVersion` of the last write.
    pub fn revision(&self) -> u64 {
        self.shared.store.revision()
    }

    /// Reads YAML and JSON files, and all such files in directories, and applies what they hold.
    ///
    /// # Errors
    ///
    /// Names the file and, where it can, the object. What came before it stays applied.
    pub fn load_manifests<P: AsRef<Path>>(&self, paths: &[P]) -> Result<Loaded, Error> {
        manifests::load(self, paths)
    }

    /// Adds a synthetic cluster, without a request for each object.
    pub fn load(&self, cluster: &Cluster) {
        cluster.put_into(&self.shared.store, Timestamp::now());
    }

    /// Encodes all objects in protobuf, which happens otherwise when one is first asked for: so that
    /// a benchmark does not measure it.
    pub fn encode_all(&self) {
        self.shared.store.read(|state| {
            for resource in [Resource::Services, Resource::EndpointSlices, Resource::Nodes] {
                for object in state.collection(resource).objects.values() {
                    object.protobuf(resource);
                }
            }
        });
    }

    /// Changes one endpoint of the EndpointSlice `namespace/name`, at a cost of microseconds. The
    /// time is returned and written into the annotation
    /// `endpoints.kubernetes.io/last-change-trigger-time`, as the EndpointSlice controller does.
    ///
    /// # Errors
    ///
    /// There may be no such slice, or no such endpoint in it.
    pub fn change_endpoint(
        &self,
        slice: &str,
        change: &EndpointChange,
    ) -> Result<ChangedSlice, Refusal> {
        endpoints::change(&self.shared.store, slice, change, Timestamp::now(), Instant::now())
    }

    /// Puts a fault in force; of several that fit a request, the first one counts.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults().add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.faults().clear();
    }

    /// Sets how watches from a revision that is too old are answered from now on.
    pub fn answer_stale_watches_by(&self, gone: Gone) {
        self.shared.faults().stale_watches = gone;
    }

    /// Ends all open watches.
    pub fn drop_watches(&self, cut: Cut) {
        self.shared.drop_watches(cut);
    }

    /// Forgets the past up to a revision, so that watches and pages from before it get 410.
    pub fn compact(&self, revision: u64) {
        self.shared.store.compact(revision);
    }

    /// Breaks all connections and refuses new ones for a time.
    pub fn refuse_connections(&self, time: Duration) {
        self.shared.refuse_connections(time);
    }

    /// The counters so far.
    pub fn counters(&self) -> Counters {
        self.shared.counters.borrow().clone()
    }

    /// Waits until the counters are as wanted.
    ///
    /// ```no_run
    /// # use test_api::{ApiServer, Resource};
    /// # async fn example(api: ApiServer) {
    /// api.until(|counters| counters.watches_open(Resource::Services) == 1).await;
    /// # }
    /// ```
    pub async fn until(&self, wanted: impl FnMut(&Counters) -> bool) -> Counters {
        let mut counters = self.shared.counters.subscribe();
        // The sender lives in `self`, so waiting ends only by success.
        counters.wait_for(wanted).await.map(|counters| counters.clone()).unwrap_or_default()
    }

    /// Ends the watches, lets other answers finish, and stops.
    pub async fn stop(mut self) {
        self.shared.stop.send_replace(true);
        if let Some(done) = self.done.take() {
            // An error means that the runtime ended first, and the server with it.
            let _ = done.await;
        }
    }

    fn context(&self) -> Context {
        Context { author: Author::Fixture, now: Timestamp::now(), seed: self.shared.seed }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
    }
}

fn known(object: Value) -> Result<(Resource, Map<String, Value>), Refusal> {
    let Value::Object(object) = object else {
        return Err(Refusal::BadRequest(format!("not an object: {object}")));
    };
    let resource = Resource::of(&object).ok_or_else(|| {
        let (version, kind) = (object.get("apiVersion"), object.get("kind"));
        Refusal::BadRequest(format!("no such kind here: apiVersion {version:?}, kind {kind:?}"))
    })?;
    Ok((resource, object))
}
