//! Requests for lists and watches, and their answers.

use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use tokio::time::timeout;

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
    pub(super) fn list<K: Watched>(&self, not_before: &str) -> Request<Body> {
        let mut query = self.query();
        query.append_pair("resourceVersion", not_before);
        if not_before != "0" {
            query.append_pair("resourceVersionMatch", "NotOlderThan");
        }
        request::<K>("List", &query.finish())
    }

    /// The rest of a list, if the API server sends pages although none were requested; `next` is its
    /// continue token.
    pub(super) fn rest_of_list<K: Watched>(&self, next: &str) -> Request<Body> {
        let mut query = self.query();
        query.append_pair("continue", next);
        request::<K>("List", &query.finish())
    }

    /// A watch that begins with the state, as if every object had just been added, and marks its end
    /// by a bookmark.
    pub(super) fn stream<K: Watched>(&self, not_before: &str, seconds: u64) -> Request<Body> {
        let mut query = self.watch_query(not_before, seconds);
        query
            .append_pair("sendInitialEvents", "true")
            .append_pair("resourceVersionMatch", "NotOlderThan");
        request::<K>("", &query.finish())
    }

    /// A watch of changes after `revision`.
    pub(super) fn watch<K: Watched>(&self, revision: &str, seconds: u64) -> Request<Body> {
        request::<K>("", &self.watch_query(revision, seconds).finish())
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
fn request<K: Watched>(list: &str, query: &str) -> Request<Body> {
    let accept = if K::METADATA_ONLY {
        format!("application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1")
    } else {
        "application/json".to_owned()
    };
    Request::get(format!("{}?{query}", K::PATH))
        .header(ACCEPT, accept)
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
    let body = read(response.into_body(), patience).await?;
    let message = match serde_json::from_slice::<Status>(&body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned(),
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

/// A list without its items.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) metadata: PageMetadata,
    /// Items that were no objects are still here, and then this cannot be read.
    #[serde(default, rename = "items")]
    _items: Option<[(); 0]>,
}

/// `metadata` of a list or of a bookmark.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMetadata {
    pub(super) resource_version: String,
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
    annotations: Option<BookmarkAnnotations>,
}

#[derive(Debug, Default, Deserialize)]
struct BookmarkAnnotations {
    #[serde(rename = "k8s.io/initial-events-end")]
    ends_state: Option<String>,
}

impl PageMetadata {
    /// Whether this bookmark marks the end of the state at the beginning of a watch.
    pub(super) fn ends_state(&self) -> bool {
        let mark = self.annotations.as_ref().and_then(|all| all.ends_state.as_deref());
        mark == Some("true")
    }
}

/// One line of a watch.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "object", rename_all = "UPPERCASE")]
pub(super) enum Event<K> {
    Added(K),
    Modified(K),
    Deleted(K),
    Bookmark(Bookmark),
    Error(Status),
}

/// An object that carries nothing but a revision.
#[derive(Debug, Deserialize)]
pub(super) struct Bookmark {
    pub(super) metadata: PageMetadata,
}

/// The API server's error response (`Status`, meta/v1).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: u16,
    pub(super) message: String,
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
            (selection.list::<ServiceObject>("0"), "resourceVersion=0"),
            (
                selection.list::<ServiceObject>("7"),
                "resourceVersion=7&resourceVersionMatch=NotOlderThan",
            ),
            (selection.rest_of_list::<ServiceObject>("x=="), "continue=x%3D%3D"),
            (selection.stream::<ServiceObject>("0", 300), state),
            (
                selection.watch::<ServiceObject>("17", 300),
                "watch=true&allowWatchBookmarks=true&resourceVersion=17&timeoutSeconds=300",
            ),
        ] {
            assert_eq!(request.uri().to_string(), format!("/api/v1/services?{selected}&{rest}"));
        }
    }

    #[test]
    fn of_nodes_whose_weights_count_only_metadata_is_asked_for() {
        let accept = |request: Request<Body>| {
            request.headers()[ACCEPT].to_str().unwrap().split(';').nth(1).unwrap().to_owned()
        };
        let all = Selection::default();
        let list = accept(all.list::<NodeWeightObject>("0"));
        assert_eq!(list, "as=PartialObjectMetadataList");
        let watch = accept(all.watch::<NodeWeightObject>("1", 1));
        assert_eq!(watch, "as=PartialObjectMetadata");
    }

    #[test]
    fn the_wait_that_an_api_server_asks_for_has_a_limit() {
        for (text, wait) in [("7", Some(7)), ("100000", Some(120)), ("soon", None)] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers), wait.map(Duration::from_secs), "{text}");
        }
    }
}
