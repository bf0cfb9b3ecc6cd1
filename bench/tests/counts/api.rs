//! An API server that is a function: it answers the real client without a socket.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::client::Body;
use test_api::Cluster;
use tokio::sync::mpsc;
use trimtab_bench::objects;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Services,
    Slices,
    Nodes,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// A server with a cluster in it; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Api(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    cluster: Cluster,
    /// Where the lines of each watch go, by [`Resource`].
    watches: Mutex<[Option<mpsc::Sender<Bytes>>; 3]>,
}

impl Api {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self(Arc::new(Inside { cluster, watches: Mutex::default() }))
    }

    /// A client of the usual kind.
    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        let answer = move |request: Request<Body>| {
            std::future::ready(Ok::<_, Infallible>(api.answer(&request)))
        };
        kube::Client::new(tower::service_fn(answer), "default")
    }

    /// Sends a line of a watch.
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
        let parameter = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        if parameter("watch") == Some("true") {
            return self.watch(resource);
        }
        let number = |name| parameter(name).map(|text| text.parse::<usize>().unwrap());
        let body = self.page(resource, number("continue").unwrap_or(0), number("limit"));
        Response::new(Full::new(Bytes::from(body)).boxed_unsync())
    }

    fn watch(&self, resource: Resource) -> Answer {
        let (lines, mut taken) = mpsc::channel(64);
        self.0.watches.lock().unwrap()[resource as usize] = Some(lines);
        let lines = poll_fn(move |context| taken.poll_recv(context));
        let frames = lines.map(|line| Ok(http_body::Frame::data(line)));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    fn page(&self, resource: Resource, first: usize, limit: Option<usize>) -> String {
        let cluster = &self.0.cluster;
        let (kind, count) = match resource {
            Resource::Services => ("Service", cluster.services()),
            Resource::Slices => ("EndpointSlice", cluster.services()),
            Resource::Nodes => ("Node", 0),
        };
        let end = limit.map_or(count, |limit| count.min(first + limit));
        let object = |number| {
            let name = Cluster::service_name(number);
            match resource {
                Resource::Services => objects::service(&name, Cluster::vip(number)),
                _ => objects::slice(&name, 0, &objects::endpoints(cluster, number)),
            }
        };
        let items: Vec<String> = (first..end).map(object).collect();
        let next = if end < count { end.to_string() } else { String::new() };
        format!(
            r#"{{"apiVersion":"v1","kind":"{kind}List","metadata":{{"resourceVersion":"1000","continue":"{next}"}},"items":[{}]}}"#,
            items.join(",")
        )
    }
}
