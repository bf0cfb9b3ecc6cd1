//! Answers as HTTP.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::Value;

use super::list::Listing;
use super::object::Object;
use super::representation::Representation;
use super::watch::Watch;
use super::{Refusal, Resource, protobuf};

/// Bodies are whole or streamed.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Lists up to this length are sent whole, with their length said; longer ones in pieces, so that
/// the server never holds a second copy of all objects.
const WHOLE_LIST: usize = 1000;
/// Objects in a piece of a long list.
const PIECE: usize = 200;

const JSON: &str = "application/json";

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &Value) -> Response<Body> {
    bytes(status, JSON, document.to_string().into())
}

/// What a refused client gets.
pub(crate) fn refusal(refusal: &Refusal, is_protobuf: bool) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = if is_protobuf {
        let body = protobuf::status(&refusal.status());
        bytes(status, Representation::Protobuf.content_type(false), body.into())
    } else {
        json(status, &refusal.status())
    };
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Plain text, as health checks get.
pub(crate) fn text(text: &'static str) -> Response<Body> {
    bytes(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

/// One object.
pub(crate) fn object(
    status: StatusCode,
    representation: Representation,
    resource: Resource,
    object: &Object,
) -> Response<Body> {
    if representation == Representation::Whole {
        return bytes(status, JSON, object.json().clone());
    }
    let mut out = Vec::new();
    representation.object(&mut out, resource, object);
    bytes(status, representation.content_type(false), out.into())
}

/// A page of a list.
pub(crate) fn list(
    representation: Representation,
    resource: Resource,
    listing: Listing,
) -> Response<Body> {
    let Listing { revision, objects, next } = listing;
    let mut head = Vec::new();
    representation.list_head(&mut head, resource, revision, next.as_ref(), &objects);
    let content_type = representation.content_type(false);
    if objects.len() <= WHOLE_LIST {
        head.reserve(objects.iter().map(|object| object.json().len() + 8).sum());
        append_items(&mut head, representation, resource, &objects, true);
        representation.list_tail(&mut head);
        return bytes(StatusCode::OK, content_type, head.into());
    }
    let pieces = stream::unfold((0, head), move |(sent, mut piece)| {
        let end = objects.len().min(sent + PIECE);
        let result = (sent <= objects.len()).then(|| {
            append_items(&mut piece, representation, resource, &objects[sent..end], sent == 0);
            if end == objects.len() {
                representation.list_tail(&mut piece);
            }
            let next = if end == objects.len() { end + 1 } else { end };
            (Ok::<_, io::Error>(Frame::data(Bytes::from(piece))), (next, Vec::new()))
        });
        std::future::ready(result)
    });
    respond(StatusCode::OK, content_type, StreamBody::new(pieces).boxed_unsync())
}

/// The stream of a watch.
pub(crate) fn watch(representation: Representation, watch: Watch) -> Response<Body> {
    let content_type = representation.content_type(true);
    let pieces = stream::unfold(Box::new(watch), |mut watch| async move {
        let piece = watch.next().await?;
        Some((piece.map(Frame::data), watch))
    });
    respond(StatusCode::OK, content_type, StreamBody::new(pieces).boxed_unsync())
}

fn append_items(
    out: &mut Vec<u8>,
    representation: Representation,
    resource: Resource,
    objects: &[Arc<Object>],
    is_first: bool,
) {
    for (at, object) in objects.iter().enumerate() {
        if at > 0 || !is_first {
            out.extend_from_slice(representation.separator());
        }
        representation.item(out, resource, object);
    }
}

fn bytes(status: StatusCode, content_type: &'static str, bytes: Bytes) -> Response<Body> {
    let body = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
    respond(status, content_type, body)
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
