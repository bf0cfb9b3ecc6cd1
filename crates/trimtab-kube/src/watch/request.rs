//! Requests for lists and watches, and their answers.

use std::time::Duration;

use http::header::{ACCEPT, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use tokio::time::timeout;

use super::watched::Watched;
use crate::failure::Failure;

/// Objects in a page of a list: client-go's choice, some hundred kilobytes of JSON.
const PAGE: &str = "500";
/// The user agent, for the API server's log.
const AGENT: &str = concat!("trimtab/", env!("CARGO_PKG_VERSION"), " (linux) node-proxy");
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
    /// One page of a list; `next` is the previous page's continue token.
    pub(super) fn list<K: Watched>(&self, next: Option<&str>) -> Request<Body> {
        let mut query = self.query();
        query.append_pair("limit", PAGE);
        if let Some(next) = next {
            query.append_pair("continue", next);
        }
        request::<K>("List", &query.finish())
    }

    /// A watch of changes after `revision`.
    pub(super) fn watch<K: Watched>(&self, revision: &str, seconds: u64) -> Request<Body> {
        let mut query = self.query();
        query
            .append_pair("watch", "true")
            .append_pair("allowWatchBookmarks", "true")
            .append_pair("resourceVersion", revision)
            .append_pair("timeoutSeconds", &seconds.to_string());
        request::<K>("", &query.finish())
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
        .header(USER_AGENT, AGENT)
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
    let body = read(response, patience).await?;
    let message = match serde_json::from_slice::<Status>(&body) {
        Ok(status) => status.message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]).into_owned(),
    };
    Err(Failure::Refused { code, message, retry_after })
}

/// The whole body; fails if data stops arriving.
pub(super) async fn read(response: Response<Body>, patience: Duration) -> Result<Vec<u8>, Failure> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    loop {
        let frame = timeout(patience, body.frame()).await;
        match frame.map_err(|_| Failure::Silent(patience))? {
            None => return Ok(bytes),
            Some(Err(error)) => return Err(Failure::unreachable(&error)),
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    bytes.extend_from_slice(piece);
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

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<K> {
    pub(super) metadata: PageMetadata,
    // Otherwise the derive would require `Default` of the type parameter.
    #[serde(default = "Vec::new")]
    pub(super) items: Vec<K>,
}

/// `metadata` of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageMetadata {
    pub(super) resource_version: String,
    #[serde(rename = "continue")]
    pub(super) next: Option<String>,
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
        let list = selection.list::<ServiceObject>(Some("x=="));
        let wanted = format!("/api/v1/services?{selected}&limit=500&continue=x%3D%3D");
        assert_eq!(list.uri().to_string(), wanted);
        let watch = selection.watch::<ServiceObject>("17", 300);
        let rest = "watch=true&allowWatchBookmarks=true&resourceVersion=17&timeoutSeconds=300";
        assert_eq!(watch.uri().to_string(), format!("/api/v1/services?{selected}&{rest}"));
    }

    #[test]
    fn of_nodes_whose_weights_count_only_metadata_is_asked_for() {
        let accept = |request: Request<Body>| {
            request.headers()[ACCEPT].to_str().unwrap().split(';').nth(1).unwrap().to_owned()
        };
        let all = Selection::default();
        let list = accept(all.list::<NodeWeightObject>(None));
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
