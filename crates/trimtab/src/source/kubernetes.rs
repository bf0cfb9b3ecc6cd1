//! Objects from the Kubernetes API: a list in pages, then a watch, for each kind.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{Config as WatchConfig, Event};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Arrival, Change, Kind};
use crate::objects::{EndpointSliceObject, NodeObject, NodeWeightObject, ServiceObject};

/// Objects a page: client-go's choice, some hundred kilobytes of JSON.
const PAGE: u32 = 500;
/// Changes that are handed on together at most: a wake-up each would take longer than the change.
const TOGETHER: usize = 256;
/// The shortest time between two lists that expired watches lead to.
const EXPIRY_PAUSE: Duration = Duration::from_secs(5);

/// Connects to the API server, through a kubeconfig or as the pod's own account; `master` goes
/// before the address that either gives.
///
/// # Errors
/// A kubeconfig that cannot be read, or neither a kubeconfig nor an account.
pub async fn connect(kubeconfig: Option<&Path>, master: Option<&str>) -> anyhow::Result<Client> {
    use anyhow::Context as _;
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("cannot use the kubeconfig {}", path.display()))?
        }
        None => kube::Config::incluster().context(
            "no kubeconfig is given (--kubeconfig, or clientConnection.kubeconfig in the \
             configuration) and this is not a pod with a service account",
        )?,
    };
    if let Some(master) = master {
        config.cluster_url =
            master.parse().with_context(|| format!("--master: {master:?} is not a URL"))?;
    }
    if config.cluster_url.scheme_str() == Some("http") && config.root_cert.is_none() {
        // Nothing to trust: else all certificates of the host would be read for it.
        config.root_cert = Some(Vec::new());
    }
    info!(server = %config.cluster_url, "using the API server");
    Client::try_from(config).context("cannot set up the connection to the API server")
}

/// Lists and watches all kinds until the receiver is gone.
pub async fn watch(client: Client, node_name: &str, changes: Sender<Arrival>) {
    // Services with the label are another proxy's, headless ones are nobody's: not even sent here.
    let services = WatchConfig::default()
        .labels("!service.kubernetes.io/service-proxy-name")
        .fields("spec.clusterIP!=None")
        .page_size(PAGE);
    let slices = WatchConfig::default().labels("!service.kubernetes.io/headless").page_size(PAGE);
    let node = WatchConfig::default().fields(&format!("metadata.name={node_name}"));
    tokio::join!(
        follow(Api::<ServiceObject>::all(client.clone()), services, Kind::Services, &changes),
        follow(Api::<EndpointSliceObject>::all(client.clone()), slices, Kind::Slices, &changes),
        follow(Api::<NodeObject>::all(client), node, Kind::Node, &changes),
    );
}

/// Lists and watches the metadata of all Nodes until the receiver is gone. Every heartbeat of a node
/// that writes its status is an event here.
pub async fn watch_node_weights(client: Client, changes: Sender<Arrival>) {
    let nodes = WatchConfig::default().page_size(PAGE);
    follow(Api::<NodeWeightObject>::all(client), nodes, Kind::NodeWeights, &changes).await;
}

/// An object that a [`Change`] can be made of.
trait Watched: kube::Resource<DynamicType = ()> + Sized {
    fn change(self) -> Change;
    fn gone(self) -> Change;
}

impl Watched for ServiceObject {
    fn change(self) -> Change {
        Change::Service(Box::new(self.decoded))
    }

    fn gone(self) -> Change {
        Change::ServiceGone(self.decoded.name)
    }
}

impl Watched for EndpointSliceObject {
    fn change(self) -> Change {
        Change::Slice(Box::new(self.decoded), self.changed)
    }

    fn gone(self) -> Change {
        Change::SliceGone(self.decoded.name)
    }
}

impl Watched for NodeObject {
    fn change(self) -> Change {
        Change::Node(self.decoded.value)
    }

    fn gone(self) -> Change {
        Change::Node(None)
    }
}

impl Watched for NodeWeightObject {
    fn change(self) -> Change {
        Change::NodeWeight(self.decoded)
    }

    fn gone(self) -> Change {
        Change::NodeWeightGone(self.decoded.name)
    }
}

async fn follow<K>(api: Api<K>, config: WatchConfig, kind: Kind, changes: &Sender<Arrival>)
where
    K: Watched + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let mut failing = false;
    let mut last_expiry = None;
    loop {
        let mut events = pin!(watcher(api.clone(), config.clone()).default_backoff());
        let mut has_expired = false;
        while !has_expired && let Some(first) = events.next().await {
            let mut known = Vec::new();
            let mut next = Some(first);
            while let Some(event) = next {
                match event {
                    Ok(event) => {
                        if std::mem::take(&mut failing) {
                            info!(kind = kind.as_str(), "the API server answers again");
                        }
                        known.push(change(event, kind));
                    }
                    Err(error) if is_expired(&error) => {
                        has_expired = true;
                        break;
                    }
                    Err(error) => {
                        note_failure(kind, &error, failing);
                        failing = true;
                    }
                }
                // Whatever else is ready now goes with it.
                let full = known.len() == TOGETHER;
                next = if full { None } else { events.next().now_or_never().flatten() };
            }
            if !known.is_empty() && changes.send(Arrival::now(known)).await.is_err() {
                return;
            }
        }
        info!(kind = kind.as_str(), "the watch fell behind: listing again");
        // The watcher asks for the same revision again unless the word comes inside a watch, so it
        // is replaced by one that begins with a list; at once the first time, and without haste if
        // that does not help.
        if last_expiry.is_some_and(|last: Instant| last.elapsed() < EXPIRY_PAUSE) {
            tokio::time::sleep(EXPIRY_PAUSE).await;
        }
        last_expiry = Some(Instant::now());
    }
}

fn change<K: Watched>(event: Event<K>, kind: Kind) -> Change {
    match event {
        Event::Init => Change::Begin(kind),
        Event::InitApply(object) | Event::Apply(object) => object.change(),
        Event::Delete(object) => object.gone(),
        Event::InitDone => Change::End(kind),
    }
}

/// Whether the API server no longer has the revision that a watch was to go on from.
fn is_expired(error: &watcher::Error) -> bool {
    let (watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return false;
    };
    status.code == 410
}

/// A watch that ends is daily business; an API server that does not answer is not, but once said it
/// need not be repeated at every attempt.
fn note_failure(kind: Kind, error: &watcher::Error, failing: bool) {
    metrics::counter!("trimtab_watch_errors_total", "kind" => kind.as_str()).increment(1);
    let kind = kind.as_str();
    if failing {
        debug!(kind, %error, "the API server still does not answer");
    } else {
        warn!(kind, %error, "cannot follow the API server, trying again");
    }
}
