//! An API server that is a function: it answers the real client without a socket.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::{iter, poll_fn};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use kube::client::Body;
use test_api::Cluster;
use tokio::sync::mpsc;
use trimtab_bench::objects;

/// Objects of the state that are sent together.
const PIECE: usize = 50;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Services,
    Slices,
    Nodes,
}

impl Resource {
    fn kind(self) -> test_api::Resource {
        match self {
            Self::Services => test_api::Resource::Services,
            Self::Slices => test_api::Resource::EndpointSlices,
            Self::Nodes => test_api::Resource::Nodes,
        }
    }
}

/// How the server encodes objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Protobuf,
    Json,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A server with a cluster in it; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    cluster: Cluster,
    encoding: Encoding,
    /// Where the lines of each watch go, by [`Resource`].
    watches: Mutex<[Option<mpsc::Sender<Bytes>>; 3]>,
}

impl Api {
    pub(crate) fn new(cluster: Cluster, encoding: Encoding) -> Self {
        Self(Arc::new(Inside { cluster, encoding, watches: Mutex::default() }))
    }

    /// An event, given as its line in JSON, as this server sends it.
    pub(crate) fn encode(&self, resource: Resource, line: String) -> Bytes {
        match self.0.encoding {
            Encoding::Json => line.into(),
            Encoding::Protobuf => {
                let event = serde_json::from_str(&line).unwrap();
                test_api::protobuf_frame(resource.kind(), &event).unwrap().into()
            }
        }
    }

    /// A client of the usual kind.
    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        let answer = move |request: Request<Body>| {
            std::future::ready(Ok::<_, Infallible>(api.answer(&request)))
        };
        kube::Client::new(tower::service_fn(answer), "default")
    }

    /// Sends an event of a watch, encoded.
    pub(crate) async fn send(&self, resource: Resource, line: Bytes) {
        let watch = self.0.watches.lock().unwrap()[resource as usize].clone();
        watch.expect("a watch").send(line).await.unwrap();
    }

    fn answer(&self, request: &Request<Body>) -> Answer {
        let resource = match request.uri().path() {
            "/api/v1/services" => Resource::Services,
            "/apis/discovery.k8s.io/v1/endpointslices" => Resource::Slices,
            "/api/v1/nodes" => Resource::Nodes,
            other => panic!("{other}"),
        };
        let query = request.uri().query().unwrap_or_default();
        assert!(query.contains("watch=true"), "{query}");
        self.watch(resource, query.contains("sendInitialEvents=true"))
    }

    fn watch(&self, resource: Resource, begins_with_state: bool) -> Answer {
        let (lines, mut taken) = mpsc::channel(64);
        self.0.watches.lock().unwrap()[resource as usize] = Some(lines);
        let lines = poll_fn(move |context| taken.poll_recv(context));
        let api = self.clone();
        let pieces = if begins_with_state { self.count(resource).div_ceil(PIECE) + 1 } else { 0 };
        let state = iter(0..pieces).map(move |number| api.state(resource, number));
        let frames = state.chain(lines).map(|line| Ok(http_body::Frame::data(line)));
        let content_type = match self.0.encoding {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        };
        Response::builder()
            .header("Content-Type", content_type)
            .body(StreamBody::new(frames).boxed_unsync())
            .unwrap()
    }

    fn count(&self, resource: Resource) -> usize {
        match resource {
            Resource::Services | Resource::Slices => self.0.cluster.services(),
            Resource::Nodes => 0,
        }
    }

    /// A piece of the state: objects, and at last the mark of its end.
    fn state(&self, resource: Resource, piece: usize) -> Bytes {
        let cluster = &self.0.cluster;
        let numbers = piece * PIECE..self.count(resource).min((piece + 1) * PIECE);
        if numbers.is_empty() {
            let mark = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1000","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;
            return self.encode(resource, format!("{mark}\n"));
        }
        let object = |number| {
            let name = Cluster::service_name(number);
            match resource {
                Resource::Services => objects::service(&name, Cluster::vip(number)),
                _ => objects::slice(&name, 0, &objects::endpoints(cluster, number)),
            }
        };
        let event = |number| self.encode(resource, objects::event("ADDED", &object(number)));
        numbers
            .map(event)
            .fold(BytesMut::new(), |mut all, event| {
                all.extend_from_slice(&event);
                all
            })
            .freeze()
    }
}
