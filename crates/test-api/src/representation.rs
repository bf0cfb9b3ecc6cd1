//! The shapes an object goes out in: itself, its metadata, or a row of a table.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::object::Object;
use super::options::Token;
use super::table::{self, Include};
use super::{Protobuf, Refusal, Resource, protobuf};

/// What the client's `Accept` header chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    /// The object.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `Table`.
    Table {
        include: Include,
        /// Ages are reckoned from here.
        now: Timestamp,
    },
    /// The object in protobuf.
    Protobuf,
    /// `PartialObjectMetadata` in protobuf.
    ProtobufMetadata,
}

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const PROTOBUF_WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// Whether one object, a list or a watch was asked for: metadata of lists has its own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    One,
    List,
}

const PARTIAL: &[u8] =
    br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#;

impl Representation {
    /// The first format of an `Accept` header that is spoken here for this kind; typed Go clients
    /// name protobuf first and JSON after it.
    pub(crate) fn negotiate(
        accept: Option<&str>,
        resource: Resource,
        shape: Shape,
        include: Include,
        now: Timestamp,
        protobuf: Protobuf,
    ) -> Result<Self, Refusal> {
        let accept = accept.filter(|accept| !accept.trim().is_empty()).unwrap_or("*/*");
        for clause in accept.split(',') {
            let mut parts = clause.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let is_protobuf = media_type == PROTOBUF && protobuf == Protobuf::Served;
            if !is_protobuf && !matches!(media_type, JSON | "application/*" | "*/*") {
                continue;
            }
            let parameter = |name: &str| {
                let mut parameters = clause.split(';').skip(1).filter_map(|p| p.split_once('='));
                parameters.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
            };
            let Some(kind) = parameter("as") else {
                match is_protobuf {
                    true if protobuf::serves(resource) => return Ok(Self::Protobuf),
                    true => continue,
                    false => return Ok(Self::Whole),
                }
            };
            if parameter("g") != Some("meta.k8s.io") || parameter("v") != Some("v1") {
                continue;
            }
            match (kind, shape) {
                ("Table", _) if !is_protobuf => return Ok(Self::Table { include, now }),
                ("PartialObjectMetadata", Shape::One)
                | ("PartialObjectMetadataList", Shape::List) => {
                    return Ok(if is_protobuf { Self::ProtobufMetadata } else { Self::Metadata });
                }
                _ => {}
            }
        }
        Err(Refusal::NotAcceptable)
    }

    /// The `Content-Type` of an answer.
    pub(crate) fn content_type(self, is_watch: bool) -> &'static str {
        match self {
            Self::Whole | Self::Metadata | Self::Table { .. } => JSON,
            Self::Protobuf | Self::ProtobufMetadata if is_watch => PROTOBUF_WATCH,
            Self::Protobuf | Self::ProtobufMetadata => PROTOBUF,
        }
    }

    fn is_protobuf(self) -> bool {
        matches!(self, Self::Protobuf | Self::ProtobufMetadata)
    }

    /// An object as a message.
    fn message(self, resource: Resource, object: &Object) -> Bytes {
        if self == Self::Protobuf {
            object.protobuf(resource).clone()
        } else {
            protobuf::metadata(&Value::Object(object.decode())).into()
        }
    }

    /// The apiVersion and kind of an object in an answer.
    fn types(self, resource: Resource) -> (String, &'static str) {
        match self {
            Self::Whole | Self::Protobuf => (resource.api_version(), resource.kind()),
            Self::Metadata | Self::ProtobufMetadata => {
                ("meta.k8s.io/v1".into(), "PartialObjectMetadata")
            }
            Self::Table { .. } => ("meta.k8s.io/v1".into(), "Table"),
        }
    }

    /// Appends one object on its own.
    pub(crate) fn object(self, out: &mut Vec<u8>, resource: Resource, object: &Object) {
        match self {
            Self::Whole => out.extend_from_slice(object.json()),
            Self::Metadata => {
                out.extend_from_slice(PARTIAL);
                out.extend_from_slice(object.metadata());
                out.push(b'}');
            }
            Self::Table { .. } => {
                self.list_head(out, resource, object.revision(), None, &[]);
                self.item(out, resource, object);
                self.list_tail(out);
            }
            Self::Protobuf | Self::ProtobufMetadata => {
                let (api_version, kind) = self.types(resource);
                let message = self.message(resource, object);
                out.extend_from_slice(&protobuf::unknown(&api_version, kind, &message));
            }
        }
    }

    /// Appends what comes before the items of a list. In protobuf, that is how long they are.
    pub(crate) fn list_head(
        self,
        out: &mut Vec<u8>,
        resource: Resource,
        revision: u64,
        next: Option<&Token>,
        objects: &[Arc<Object>],
    ) {
        let (api_version, kind) = self.types(resource);
        let is_table = matches!(self, Self::Table { .. });
        let kind = if is_table { kind.to_owned() } else { format!("{kind}List") };
        if self.is_protobuf() {
            let metadata = json!({
                "resourceVersion": revision.to_string(),
                "continue": next.map(Token::text),
                "remainingItemCount": next.and_then(|next| next.remaining),
            });
            let mut item = Vec::new();
            let mut length = 0;
            for object in objects {
                item.clear();
                self.item(&mut item, resource, object);
                length += item.len();
            }
            let head = protobuf::list_head(&api_version, &kind, &metadata, length);
            out.extend_from_slice(&head);
            return;
        }
        write(out, format_args!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"#));
        write(out, format_args!(r#""resourceVersion":"{revision}""#));
        if let Some(token) = next {
            write(out, format_args!(r#","continue":"{}""#, token.text()));
            if let Some(remaining) = token.remaining {
                write(out, format_args!(r#","remainingItemCount":{remaining}"#));
            }
        }
        match self {
            Self::Table { .. } => {
                let columns = table::columns(resource);
                write(out, format_args!(r#"}},"columnDefinitions":{columns},"rows":["#));
            }
            _ => out.extend_from_slice(br#"},"items":["#),
        }
    }

    /// Appends an item of a list, without the comma between items.
    pub(crate) fn item(self, out: &mut Vec<u8>, resource: Resource, object: &Object) {
        match self {
            Self::Whole => {
                out.push(b'{');
                out.extend_from_slice(object.item());
            }
            Self::Metadata => self.object(out, resource, object),
            Self::Protobuf | Self::ProtobufMetadata => {
                protobuf::item(out, &self.message(resource, object));
            }
            Self::Table { include, now } => {
                let cells = table::cells(resource, &object.decode(), now);
                write(out, format_args!(r#"{{"cells":{cells}"#));
                match include {
                    Include::Nothing => {}
                    Include::Metadata => {
                        out.extend_from_slice(br#","object":"#);
                        Self::Metadata.object(out, resource, object);
                    }
                    Include::Object => {
                        out.extend_from_slice(br#","object":"#);
                        out.extend_from_slice(object.json());
                    }
                }
                out.push(b'}');
            }
        }
    }

    /// Appends what comes after the items of a list.
    pub(crate) fn list_tail(self, out: &mut Vec<u8>) {
        if self.is_protobuf() {
            protobuf::list_tail(out);
        } else {
            out.extend_from_slice(b"]}\n");
        }
    }

    /// What is between items of a list.
    pub(crate) fn separator(self) -> &'static [u8] {
        if self.is_protobuf() { b"" } else { b"," }
    }

    /// Appends an event of a watch.
    pub(crate) fn event(self, out: &mut Vec<u8>, kind: &str, resource: Resource, object: &Object) {
        if self.is_protobuf() {
            let mut unknown = Vec::new();
            self.object(&mut unknown, resource, object);
            protobuf::event(out, kind, &unknown);
            return;
        }
        write(out, format_args!(r#"{{"type":"{kind}","object":"#));
        self.object(out, resource, object);
        trim_newline(out);
        out.extend_from_slice(b"}\n");
    }

    /// Appends a bookmark: all writes up to the revision have been sent. `ends_initial` says that
    /// the state at the beginning is complete.
    pub(crate) fn bookmark(
        self,
        out: &mut Vec<u8>,
        resource: Resource,
        revision: u64,
        ends_initial: bool,
    ) {
        if self.is_protobuf() {
            let object = protobuf::bookmark(revision, ends_initial);
            let message = match self {
                Self::Protobuf => protobuf::whole(resource, &object).unwrap_or_default(),
                _ => protobuf::metadata(&object),
            };
            let (api_version, kind) = self.types(resource);
            protobuf::event(out, "BOOKMARK", &protobuf::unknown(&api_version, kind, &message));
            return;
        }
        out.extend_from_slice(br#"{"type":"BOOKMARK","object":"#);
        if let Self::Table { .. } = self {
            self.list_head(out, resource, revision, None, &[]);
            out.extend_from_slice(b"]}}\n");
            return;
        }
        let annotations = if ends_initial {
            r#","annotations":{"k8s.io/initial-events-end":"true"}"#
        } else {
            ""
        };
        let (api_version, kind) = self.types(resource);
        let blank = if self == Self::Whole { resource.definition().blank } else { "" };
        let comma = if blank.is_empty() { "" } else { "," };
        write(
            out,
            format_args!(
                r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{revision}","creationTimestamp":null{annotations}}}{comma}{blank}}}}}"#,
            ),
        );
        out.push(b'\n');
    }

    /// Appends the event that ends a watch with a refusal.
    pub(crate) fn error(self, out: &mut Vec<u8>, refusal: &Refusal) {
        if self.is_protobuf() {
            protobuf::event(out, "ERROR", &protobuf::status(&refusal.status()));
        } else {
            write(out, format_args!(r#"{{"type":"ERROR","object":{}}}"#, refusal.status()));
            out.push(b'\n');
        }
    }
}

fn write(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(arguments);
}

fn trim_newline(out: &mut Vec<u8>) {
    if out.last() == Some(&b'\n') {
        out.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Representation =
        Representation::Table { include: Include::Metadata, now: Timestamp::UNIX_EPOCH };

    fn negotiate(accept: &str, shape: Shape) -> Result<Representation, u16> {
        let now = Timestamp::UNIX_EPOCH;
        let resource = Resource::Services;
        let protobuf = Protobuf::Served;
        Representation::negotiate(Some(accept), resource, shape, Include::Metadata, now, protobuf)
            .map_err(|refusal| refusal.code())
    }

    #[test]
    fn the_first_known_format_wins() {
        use Representation::{Metadata, Protobuf, ProtobufMetadata, Whole};
        use Shape::{List, One};
        let partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let partials = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        let protobuf_partials = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;\
            g=meta.k8s.io;v=v1,application/json";
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        for (accept, shape, expected) in [
            ("", List, Ok(Whole)),
            ("application/json", One, Ok(Whole)),
            ("application/vnd.kubernetes.protobuf,application/json", List, Ok(Protobuf)),
            ("application/vnd.kubernetes.protobuf, */*", List, Ok(Protobuf)),
            (protobuf_partials, List, Ok(ProtobufMetadata)),
            ("application/json;stream=watch", One, Ok(Whole)),
            (partial, One, Ok(Metadata)),
            (partials, List, Ok(Metadata)),
            (kubectl, List, Ok(TABLE)),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json", One, Ok(Whole)),
            (partial, List, Err(406)),
            ("application/yaml", One, Err(406)),
            ("application/vnd.kubernetes.protobuf", One, Ok(Protobuf)),
        ] {
            assert_eq!(negotiate(accept, shape), expected, "{accept}");
        }
    }

    #[test]
    fn everything_that_goes_out_as_json_is_json() {
        let service = json!({"metadata": {"name": "web", "labels": {"a": "b"}}, "spec": {}});
        let Value::Object(service) = service else { panic!("not an object") };
        let resource = Resource::Services;
        let object = Object::encode(resource, 7, service);
        let token = Token { revision: 7, remaining: Some(3), after: "default/web".into() };
        for representation in [Representation::Whole, Representation::Metadata, TABLE] {
            let mut list = Vec::new();
            representation.list_head(&mut list, resource, 7, Some(&token), &[]);
            representation.item(&mut list, resource, &object);
            representation.list_tail(&mut list);
            let list: Value = serde_json::from_slice(&list).unwrap();
            assert_eq!(list["metadata"]["continue"], "7:3:default/web");
            assert_eq!(list["metadata"]["remainingItemCount"], 3);

            let mut events = Vec::new();
            representation.event(&mut events, "ADDED", resource, &object);
            representation.bookmark(&mut events, resource, 8, true);
            representation.error(&mut events, &Refusal::Expired { wanted: 1, oldest: 5 });
            let lines = str::from_utf8(&events).unwrap().lines();
            let types: Vec<Value> = lines
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
                .collect();
            assert_eq!(types, ["ADDED", "BOOKMARK", "ERROR"]);
        }
    }
}
