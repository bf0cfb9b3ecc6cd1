//! Requests for lists and watches, and their answers.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use tokio::time::timeout;

use super::encoding::{Accepted, Encoding};
use super::event::Status;
use super::watched::Watched;
use crate::failure::Failure;

/// The longest error that is read.
const LONGEST_ERROR: usize = 64 << 10;
/// How much of an answer that is not a Status object is logged.
const EXCERPT: usize = 200;
/// The longest `Retry-After` that is respected.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Selects the objects of a kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// A label selector, or nothing.
    pub(super) labels: &'static str,
    /// A field selector, or nothing.
    pub(super) fields: String,
}

impl Selection {
    /// The state as a list. With a resource version and no `limit`, it comes from the watch cache,
    /// as a whole; `limit` would be ignored with version 0, and make etcd be read with another.
    pub(super) fn list<K: Watched>(&self, not_before: &str, accepted: Accepted) -> Request<Body> {
        let mut query = self.query();
        query.append_pair("resourceVersion", not_before);
        if not_before != "0" {
            query.append_pair("resourceVersionMatch", "NotOlderThan");
        }
        request::<K>("List", &query.finish(), accepted)
    }

    /// The rest of a list, if the API server sends pages although none were requested; `next` is its
    /// continue token.
    pub(super) fn rest_of_list<K: Watched>(&self, next: &str, accepted: Accepted) -> Request<Body> {
        let mut query = self.query();
        query.append_pair("continue", next);
        request::<K>("List", &query.finish(), accepted)
    }

    /// A watch that begins with the state, as if every object had just been added, and marks its end
    /// by a bookmark.
    pub(super) fn stream<K: Watched>(
        &self,
        not_before: &str,
        seconds: u64,
        accepted: Accepted,
    ) -> Request<Body> {
        let mut query = self.watch_query(not_before, seconds);
        query
            .append_pair("sendInitialEvents", "true")
            .append_pair("resourceVersionMatch", "NotOlderThan");
        request::<K>("", &query.finish(), accepted)
    }

    /// A watch of changes after `revision`.
    pub(super) fn watch<K: Watched>(
        &self,
        revision: &str,
        seconds: u64,
        accepted: Accepted,
    ) -> Request<Body> {
        request::<K>("", &self.watch_query(revision, seconds).finish(), accepted)
    }

    fn watch_query(
        &self,
        revision: &str,
        seconds: u64,
    ) -> form_urlencoded::Serializer<'static, String> {
        let mut query = self.query();
        query
            .append_pair("watch", "true")
            .append_pair("allowWatchBookmarks", "true")
            .append_pair("resourceVersion", revision)
            .append_pair("timeoutSeconds", &seconds.to_string());
        query
    }

    fn query(&self) -> form_urlencoded::Serializer<'static, String> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("labelSelector", self.labels), ("fieldSelector", &self.fields)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query
    }
}

/// `list` is `List` or nothing: part of the type's name if only metadata is requested.
fn request<K: Watched>(list: &str, query: &str, accepted: Accepted) -> Request<Body> {
    let parameters = if K::METADATA_ONLY {
        format!(";as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1")
    } else {
        String::new()
    };
    Request::get(format!("{}?{query}", K::PATH))
        .header(ACCEPT, accepted.header(&parameters))
        .body(Body::empty())
        .expect("paths and encoded queries are valid")
}

/// Sends a request; an answer other than 2xx is a failure.
pub(super) async fn send(
    client: &Client,
    request: Request<Body>,
    patience: Duration,
) -> Result<Response<Body>, Failure> {
    let response = timeout(patience, client.send(request))
        .await
        .map_err(|_| Failure::Silent(patience))?
        .map_err(|error| Failure::unreachable(&error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let code = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let encoding = Encoding::of(response.headers()).unwrap_or(Encoding::Json);
    let body = read(response.into_body(), patience).await?;
    let message = match Status::of_body(encoding, &body) {
        Some(status) => status.message,
        None => String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned(),
    };
    Err(Failure::Refused { code, message, retry_after })
}

/// The beginning of a body, as long as an error may be; fails if data stops arriving.
async fn read(body: Body, patience: Duration) -> Result<Vec<u8>, Failure> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST_ERROR {
        let next = timeout(patience, piece(body.as_mut())).await;
        match next.map_err(|_| Failure::Silent(patience))? {
            None => break,
            Some(Err(error)) => return Err(Failure::unreachable(&error)),
            Some(Ok(piece)) => bytes.extend_from_slice(&piece),
        }
    }
    Ok(bytes)
}

/// The next piece of a body; `None` at its end.
pub(super) async fn piece(mut body: Pin<&mut Body>) -> Option<Result<Bytes, kube::Error>> {
    loop {
        match body.frame().await? {
            Err(error) => return Some(Err(error)),
            // Trailers are ignored.
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
        }
    }
}

/// Seconds; the API server sends no dates (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::{NodeWeightObject, ServiceObject};

    #[test]
    fn a_list_and_a_watch_ask_for_the_same_objects() {
        let selection = Selection { labels: "!a/b", fields: "spec.clusterIP!=None".to_owned() };
        let selected = "labelSelector=%21a%2Fb&fieldSelector=spec.clusterIP%21%3DNone";
        let state = "watch=true&allowWatchBookmarks=true&resourceVersion=0&timeoutSeconds=300\
            &sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        for (request, rest) in [
            (selection.list::<ServiceObject>("0", Accepted::Both), "resourceVersion=0"),
            (
                selection.list::<ServiceObject>("7", Accepted::Both),
                "resourceVersion=7&resourceVersionMatch=NotOlderThan",
            ),
            (selection.rest_of_list::<ServiceObject>("x==", Accepted::Both), "continue=x%3D%3D"),
            (selection.stream::<ServiceObject>("0", 300, Accepted::Both), state),
            (
                selection.watch::<ServiceObject>("17", 300, Accepted::Both),
                "watch=true&allowWatchBookmarks=true&resourceVersion=17&timeoutSeconds=300",
            ),
        ] {
            assert_eq!(request.uri().to_string(), format!("/api/v1/services?{selected}&{rest}"));
        }
    }

    #[test]
    fn protobuf_is_preferred_and_of_nodes_whose_weights_count_only_metadata_is_asked_for() {
        let all = Selection::default();
        let accept =
            |request: Request<Body>| request.headers()[ACCEPT].to_str().unwrap().to_owned();
        assert_eq!(
            accept(all.list::<ServiceObject>("0", Accepted::Both)),
            "application/vnd.kubernetes.protobuf,application/json"
        );
        assert_eq!(accept(all.list::<ServiceObject>("0", Accepted::Json)), "application/json");
        let partial = |list: &str| format!(";as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1");
        let list = partial("List");
        assert_eq!(
            accept(all.list::<NodeWeightObject>("0", Accepted::Both)),
            format!("application/vnd.kubernetes.protobuf{list},application/json{list}")
        );
        assert_eq!(
            accept(all.watch::<NodeWeightObject>("1", 1, Accepted::Json)),
            format!("application/json{}", partial(""))
        );
    }

    #[test]
    fn the_wait_that_an_api_server_asks_for_has_a_limit() {
        for (text, wait) in [("7", Some(7)), ("100000", Some(120)), ("soon", None)] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers), wait.map(Duration::from_secs), "{text}");
        }
    }
}
