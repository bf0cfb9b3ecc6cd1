//! Objects from the Kubernetes API: for each kind a watch that begins with the state, then watches
//! that continue it.
//!
//! Servers that do not stream the state are asked for a list. Nothing makes an API server read etcd:
//! the module `place` decides what is asked.

mod backoff;
mod batch;
mod buffer;
mod connection;
mod encoding;
mod ended;
mod event;
mod follow;
mod frames;
mod items;
mod lines;
mod place;
mod request;
#[cfg(test)]
mod samples;
mod timing;
mod watched;

use kube::Client;
use tokio::sync::mpsc::Sender;

use self::follow::Follower;
use self::request::Selection;
use crate::Arrival;
use crate::contact::Contact;
use crate::objects::{EndpointSliceObject, NodeObject, NodeWeightObject, ServiceObject};

pub use connection::{Role, connect};
pub use timing::Timing;

/// Lists and watches Services, EndpointSlices and our Node until the receiver is gone.
pub async fn watch(
    client: Client,
    node_name: &str,
    changes: Sender<Arrival>,
    contact: &Contact,
    timing: &Timing,
) {
    let follower = Follower { client: &client, contact, timing, changes: &changes };
    // Services with the label belong to another proxy, and headless ones need none, so selectors
    // exclude both.
    let services = Selection {
        labels: "!service.kubernetes.io/service-proxy-name",
        fields: "spec.clusterIP!=None".to_owned(),
    };
    let slices = Selection { labels: "!service.kubernetes.io/headless", fields: String::new() };
    let node = Selection { labels: "", fields: format!("metadata.name={node_name}") };
    // Boxed, or all that each decodes would be part of the caller's future.
    tokio::join!(
        Box::pin(follower.follow::<ServiceObject>(&services)),
        Box::pin(follower.follow::<EndpointSliceObject>(&slices)),
        Box::pin(follower.follow::<NodeObject>(&node)),
    );
}

/// Lists and watches the metadata of all Nodes until the receiver is gone. Every heartbeat of a node
/// that writes its status is an event here.
pub async fn watch_node_weights(
    client: Client,
    changes: Sender<Arrival>,
    contact: &Contact,
    timing: &Timing,
) {
    let follower = Follower { client: &client, contact, timing, changes: &changes };
    Box::pin(follower.follow::<NodeWeightObject>(&Selection::default())).await;
}
