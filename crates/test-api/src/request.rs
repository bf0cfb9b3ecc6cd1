//! A request from its head to its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::faults::{Effect, Occasion, injected};
use super::list::{Listing, list};
use super::metadata::Author;
use super::options::Options;
use super::patch::Strategy;
use super::representation::{Representation, Shape};
use super::response::{self, Body};
use super::route::Route;
use super::shared::Shared;
use super::watch::Watch;
use super::write::{self, Context, Deletion, Half, Target};
use super::{Protobuf, Refusal, Resource, Verb, control, discovery};

/// `DefaultMaxRequestBodySize` of apiserver (pkg/server/config.go).
const MAX_BODY: usize = 3 << 20;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The connection shall break without an answer.
#[derive(Debug, thiserror::Error)]
#[error("a reset was asked for")]
pub(crate) struct Reset;

/// Answers a request.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Reset> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let route = Route::parse(path);
    if let Some(Route::Control(what)) = route {
        let result = match read(body).await {
            Ok(body) => control::answer(&shared, &head.method, what, &body),
            Err(refusal) => Err(refusal),
        };
        return Ok(result.unwrap_or_else(|refusal| response::refusal(&refusal, false)));
    }
    let options = Options::parse(head.uri.query().unwrap_or_default());
    let is_watch = options.as_ref().is_ok_and(|options| options.watch);
    let (resource, has_name) = match &route {
        Some(Route::Objects { resource, name, .. }) => (Some(*resource), name.is_some()),
        _ => (None, true),
    };
    let accept = head.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let asks_for_protobuf = accept.is_some_and(|accept| accept.starts_with(PROTOBUF));
    let is_protobuf = asks_for_protobuf && shared.config.protobuf == Protobuf::Served;
    let verb = verb(&head.method, has_name, is_watch);
    tracing::debug!(?verb, uri = %head.uri, "request");
    let mut effect = None;
    if let Some(verb) = verb {
        if let Some(resource) = resource {
            shared.counters.send_modify(|counters| counters.requested(verb, resource));
        }
        let delay;
        (delay, effect) = shared.faults().meet(&Occasion { verb, resource, path });
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
    match effect {
        Some(Effect::Reset) => return Err(Reset),
        Some(Effect::Status { code, retry_after }) => {
            return Ok(response::refusal(&injected(code, retry_after), is_protobuf));
        }
        Some(Effect::Gone) if verb != Some(Verb::Watch) => {
            return Ok(response::refusal(&injected(410, None), is_protobuf));
        }
        Some(Effect::Gone | Effect::Truncate { .. }) | None => {}
    }
    let result = async {
        let header = |name: header::HeaderName| {
            head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        match route {
            Some(Route::Objects { resource, namespace, name, half }) => {
                let call = Call {
                    shared: &shared,
                    verb: verb.ok_or(Refusal::MethodNotAllowed)?,
                    resource,
                    namespace,
                    name,
                    half,
                    options: options?,
                    accept: header(header::ACCEPT),
                    content_type: header(header::CONTENT_TYPE),
                    effect,
                    now: Timestamp::now(),
                };
                call.answer(&read(body).await?)
            }
            Some(Route::Discovery(document)) if head.method == Method::GET => {
                let document = discovery::document(document, &shared.address.to_string())?;
                Ok(response::json(StatusCode::OK, &document))
            }
            Some(Route::Health) => Ok(response::text("ok")),
            Some(Route::Discovery(_)) => Err(Refusal::MethodNotAllowed),
            Some(Route::Control(_)) | None => Err(Refusal::NotServed),
        }
    };
    let mut response =
        result.await.unwrap_or_else(|refusal| response::refusal(&refusal, is_protobuf));
    if asks_for_protobuf && shared.config.protobuf == Protobuf::Mislabelled {
        let content_type = Representation::Protobuf.content_type(is_watch);
        let content_type = header::HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    Ok(response)
}

fn verb(method: &Method, has_name: bool, is_watch: bool) -> Option<Verb> {
    Some(match (method.as_str(), has_name) {
        ("GET", _) if is_watch => Verb::Watch,
        ("GET", true) => Verb::Get,
        ("GET", false) => Verb::List,
        ("POST", false) => Verb::Create,
        ("PUT", true) => Verb::Update,
        ("PATCH", true) => Verb::Patch,
        ("DELETE", true) => Verb::Delete,
        ("DELETE", false) => Verb::DeleteCollection,
        _ => return None,
    })
}

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::TooLong { limit: MAX_BODY }),
        Err(error) => Err(Refusal::BadRequest(format!("the body did not arrive: {error}"))),
    }
}

/// A request for objects.
struct Call<'a> {
    shared: &'a Arc<Shared>,
    verb: Verb,
    resource: Resource,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    half: Half,
    options: Options,
    accept: &'a str,
    content_type: &'a str,
    effect: Option<Effect>,
    now: Timestamp,
}

impl Call<'_> {
    fn answer(self, body: &Bytes) -> Result<Response<Body>, Refusal> {
        let (store, resource) = (&self.shared.store, self.resource);
        match self.verb {
            Verb::Get => {
                let representation = self.representation(Shape::One)?;
                let current = store.revision();
                let wanted = self.options.not_before();
                if wanted > current {
                    return Err(Refusal::TooLarge { wanted, current });
                }
                let target = self.target()?;
                let key = resource.key(target.namespace, target.name);
                let object = store
                    .get(resource, &key)
                    .ok_or_else(|| Refusal::NotFound { resource, name: target.name.to_owned() })?;
                Ok(response::object(StatusCode::OK, representation, resource, &object))
            }
            Verb::List => {
                let representation = self.representation(Shape::List)?;
                let filter = self.options.filter(resource, self.namespace, None)?;
                let listing = list(store, resource, &filter, &self.options.page()?)?;
                Ok(response::list(representation, resource, listing))
            }
            Verb::Watch => {
                let representation = self.representation(Shape::One)?;
                let filter = self.options.filter(resource, self.namespace, self.name)?;
                let (options, effect) = (&self.options, self.effect.as_ref());
                Watch::open(self.shared, resource, filter, options, representation, effect)
                    .map(|watch| response::watch(representation, watch))
            }
            Verb::Create => {
                let object = self.object(body)?;
                if resource.is_namespaced() && self.namespace.is_none() {
                    return Err(Refusal::MethodNotAllowed);
                }
                let object =
                    write::create(store, resource, self.namespace, object, self.context())?;
                self.written(StatusCode::CREATED, &object)
            }
            Verb::Update => {
                let object = self.object(body)?;
                let target = self.target()?;
                let context = self.context();
                let object = write::update(store, target, self.half, context, |_| Ok(object))?;
                self.written(StatusCode::OK, &object)
            }
            Verb::Patch => {
                let strategy = Strategy::of(media_type(self.content_type))?;
                let patch = parse(body)?;
                let target = self.target()?;
                let change = |mut object: Map<String, Value>| {
                    strategy.apply(&mut object, patch)?;
                    Ok(object)
                };
                let object = write::update(store, target, self.half, self.context(), change)?;
                self.written(StatusCode::OK, &object)
            }
            Verb::Delete => {
                let preconditions = match self.delete_options(body)?.remove("preconditions") {
                    Some(Value::Object(preconditions)) => preconditions,
                    _ => Map::new(),
                };
                let target = self.target()?;
                match write::delete(store, target, &preconditions, self.context())? {
                    Deletion::Pending(object) => self.written(StatusCode::OK, &object),
                    Deletion::Done(object) => {
                        let uid = object.decode()["metadata"]["uid"].clone();
                        let details = json!({
                            "name": target.name,
                            "group": resource.group(),
                            "kind": resource.plural(),
                            "uid": uid,
                        });
                        let status = json!({
                            "kind": "Status",
                            "apiVersion": "v1",
                            "metadata": {},
                            "status": "Success",
                            "details": details,
                        });
                        Ok(response::json(StatusCode::OK, &status))
                    }
                }
            }
            Verb::DeleteCollection => {
                let representation = self.representation(Shape::List)?;
                self.delete_options(body)?;
                let filter = self.options.filter(resource, self.namespace, None)?;
                let objects = write::delete_collection(store, resource, &filter, self.context())?;
                let listing = Listing { revision: store.revision(), objects, next: None };
                Ok(response::list(representation, resource, listing))
            }
        }
    }

    fn target(&self) -> Result<Target<'_>, Refusal> {
        let name = self.name.ok_or(Refusal::MethodNotAllowed)?;
        Ok(Target { resource: self.resource, namespace: self.namespace, name })
    }

    fn context(&self) -> Context {
        Context { author: Author::Client, now: self.now, seed: self.shared.seed }
    }

    fn representation(&self, shape: Shape) -> Result<Representation, Refusal> {
        let (resource, include, now) = (self.resource, self.options.include, self.now);
        let protobuf = self.shared.config.protobuf;
        Representation::negotiate(Some(self.accept), resource, shape, include, now, protobuf)
    }

    fn written(
        &self,
        status: StatusCode,
        object: &super::object::Object,
    ) -> Result<Response<Body>, Refusal> {
        let representation = self.representation(Shape::One)?;
        Ok(response::object(status, representation, self.resource, object))
    }

    /// The object in a body. Without a Content-Type it is taken for JSON, as by an API server.
    fn object(&self, body: &Bytes) -> Result<Map<String, Value>, Refusal> {
        match media_type(self.content_type) {
            "" | "application/json" => parse(body),
            _ => Err(Refusal::UnsupportedMediaType { accepted: "application/json" }),
        }
    }

    fn delete_options(&self, body: &Bytes) -> Result<Map<String, Value>, Refusal> {
        if body.is_empty() { Ok(Map::new()) } else { self.object(body) }
    }
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn parse(body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::BadRequest(format!("the body is not a JSON object: {error}")))
}
