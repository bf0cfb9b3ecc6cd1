//! A client that hides nothing of HTTP.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use test_api::{ApiServer, Config};
use tokio::net::TcpStream;

pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";
pub(crate) const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    /// The names of the items of a list.
    pub(crate) fn names(&self) -> Vec<String> {
        let list = self.json();
        let items = list["items"].as_array().expect("the answer is a list");
        items.iter().map(|item| text(&item["metadata"]["name"])).collect()
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// A server that sends bookmarks only when a test asks for it.
pub(crate) async fn start() -> ApiServer {
    start_with(Config { bookmark_interval: None, ..Config::default() }).await
}

pub(crate) async fn start_with(config: Config) -> ApiServer {
    ApiServer::start(config).await.expect("a loopback port is free")
}

pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
    })
}

/// Sends a request on a connection of its own.
pub(crate) async fn send(
    api: &ApiServer,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Result<hyper::Response<Incoming>, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(api.address()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = request.header(header::HOST, "fixture").body(Full::new(body.into()))?;
    Ok(within(sender.send_request(request)).await?)
}

pub(crate) async fn try_call(
    api: &ApiServer,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Result<Answer, Box<dyn std::error::Error>> {
    let (head, body) = send(api, request, body).await?.into_parts();
    let body = within(body.collect()).await?.to_bytes();
    Ok(Answer { status: head.status, headers: head.headers, body })
}

pub(crate) async fn get(api: &ApiServer, path: &str) -> Answer {
    try_call(api, Request::get(path), "").await.expect("an answer")
}

pub(crate) async fn get_as(api: &ApiServer, path: &str, accept: &str) -> Answer {
    let request = Request::get(path).header(header::ACCEPT, accept);
    try_call(api, request, "").await.expect("an answer")
}

pub(crate) async fn call(api: &ApiServer, method: Method, path: &str, body: &Value) -> Answer {
    let content_type =
        if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::CONTENT_TYPE, content_type);
    try_call(api, request, body.to_string()).await.expect("an answer")
}

/// The events of a watch as they arrive.
pub(crate) struct Stream {
    body: Incoming,
    buffer: Vec<u8>,
}

/// What comes next in a [`Stream`].
#[derive(Debug)]
pub(crate) enum Next {
    Event(Value),
    /// The stream ended, with this left over.
    End(Vec<u8>),
    /// The connection broke, with this left over.
    Broken(Vec<u8>),
}

impl Stream {
    pub(crate) async fn open(api: &ApiServer, path: &str) -> Self {
        Self::open_as(api, path, "application/json").await
    }

    pub(crate) async fn open_as(api: &ApiServer, path: &str, accept: &str) -> Self {
        let request = Request::get(path).header(header::ACCEPT, accept);
        let response = send(api, request, "").await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        Self { body: response.into_body(), buffer: Vec::new() }
    }

    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Next::Event(serde_json::from_slice(&line).expect("an event is JSON"));
            }
            match within(self.body.frame()).await {
                Some(Ok(frame)) => {
                    self.buffer.extend_from_slice(frame.data_ref().expect("a data frame"));
                }
                Some(Err(_)) => return Next::Broken(std::mem::take(&mut self.buffer)),
                None => return Next::End(std::mem::take(&mut self.buffer)),
            }
        }
    }

    pub(crate) async fn event(&mut self) -> Value {
        match self.next().await {
            Next::Event(event) => event,
            other => panic!("no event but {other:?}"),
        }
    }

    /// Type and name of the next event.
    pub(crate) async fn brief(&mut self) -> (String, String) {
        let event = self.event().await;
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }

    pub(crate) async fn expect(&mut self, kind: &str, name: &str) {
        assert_eq!(self.brief().await, (kind.to_owned(), name.to_owned()));
    }

    /// The stream is over, and nothing is left of it.
    pub(crate) async fn expect_end(&mut self) {
        match self.next().await {
            Next::End(rest) if rest.is_empty() => {}
            other => panic!("no end but {other:?}"),
        }
    }
}

/// Far more time than anything here takes; a test that hangs should say where.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("within 20 s")
}
