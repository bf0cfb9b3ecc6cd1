//! Reading manifests.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Error;
use crate::objects::{EndpointSliceObject, NodeObject, ServiceObject};

/// The objects of one or more files, in the files' order.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// Services, each with the file it is in.
    pub services: Vec<(String, ServiceObject)>,
    /// EndpointSlices, each with the file it is in.
    pub slices: Vec<(String, EndpointSliceObject)>,
    /// Nodes, by name.
    pub nodes: BTreeMap<String, NodeObject>,
    /// Messages about what was left out, and why.
    pub notes: Vec<String>,
}

/// Reads files, folders (every `.yaml`, `.yml` and `.json` file in them, in order of name) and, for
/// the path `-`, standard input.
///
/// # Errors
/// The first file that cannot be read or does not parse.
pub fn read_paths(paths: &[PathBuf]) -> Result<Manifest, Error> {
    let mut manifest = Manifest::default();
    for path in paths {
        for file in files(path)? {
            let (name, text) = if file.as_os_str() == "-" {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .map_err(|source| Error::Read { path: file, source })?;
                ("standard input".to_owned(), text)
            } else {
                let text = fs::read_to_string(&file)
                    .map_err(|source| Error::Read { path: file.clone(), source })?;
                (file.display().to_string(), text)
            };
            read_text(&name, &text, &mut manifest)?;
        }
    }
    Ok(manifest)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    if path.as_os_str() == "-" || !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        // Follows the symbolic links of a mounted ConfigMap.
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the objects of one text into `manifest`.
///
/// # Errors
/// [`Error::Syntax`] for text that is not YAML or JSON, [`Error::Field`] for a field of the wrong
/// type.
pub fn read_text(path: &str, text: &str, manifest: &mut Manifest) -> Result<(), Error> {
    for document in documents(path, text)? {
        take(path, document, manifest)?;
    }
    Ok(())
}

fn documents(path: &str, text: &str) -> Result<Vec<Value>, Error> {
    let syntax = |message: String| Error::Syntax { path: path.to_owned(), message };
    if text.trim_start().starts_with('{') {
        // Also one JSON object after another, as `kubectl get --watch -o json` prints them.
        let values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        return values
            .collect::<Result<_, _>>()
            .map_err(|error| syntax(format!("not JSON: {error}")));
    }
    // The default limits are for untrusted files; a dump of a large cluster exceeds them.
    let options = serde_saphyr::options! { budget: None, strict_booleans: true };
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| syntax(format!("not YAML: {error}")))
}

fn take(path: &str, document: Value, manifest: &mut Manifest) -> Result<(), Error> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("").to_owned();
    let Value::Object(mut fields) = document else {
        if document.is_null() {
            return Ok(());
        }
        let message = "expected a Kubernetes object, found something else".to_owned();
        return Err(Error::Syntax { path: path.to_owned(), message });
    };
    let kind = text(fields.get("kind"));
    if kind.ends_with("List") || kind.is_empty() && fields.contains_key("items") {
        let item_kind = kind.strip_suffix("List").unwrap_or_default().to_owned();
        let version = fields.get("apiVersion").cloned();
        let Some(Value::Array(items)) = fields.remove("items") else { return Ok(()) };
        for mut item in items {
            // The items of a ServiceList may omit their kind.
            if let Value::Object(item) = &mut item
                && !item.contains_key("kind")
            {
                item.insert("kind".to_owned(), item_kind.clone().into());
                item.insert("apiVersion".to_owned(), version.clone().unwrap_or_default());
            }
            take(path, item, manifest)?;
        }
        return Ok(());
    }
    let version = text(fields.get("apiVersion"));
    let metadata = fields.get("metadata");
    let name = text(metadata.and_then(|metadata| metadata.get("name")));
    let namespace = metadata.and_then(|metadata| metadata.get("namespace"));
    let full_name = match namespace.and_then(Value::as_str) {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.clone(),
    };
    let place = Place { path, kind: &kind, name: &full_name };
    match (version.as_str(), kind.as_str()) {
        ("v1", "Service" | "Node") | ("discovery.k8s.io/v1", "EndpointSlice")
            if name.is_empty() =>
        {
            Err(place.error("metadata.name", "missing"))
        }
        ("v1", "Service") => {
            manifest.services.push((path.to_owned(), place.decode(Value::Object(fields))?));
            Ok(())
        }
        ("discovery.k8s.io/v1", "EndpointSlice") => {
            manifest.slices.push((path.to_owned(), place.decode(Value::Object(fields))?));
            Ok(())
        }
        ("v1", "Node") => {
            manifest.nodes.insert(name, place.decode(Value::Object(fields))?);
            Ok(())
        }
        _ => {
            let kind = if kind.is_empty() { "an object without a kind" } else { &kind };
            manifest.notes.push(format!(
                "{path}: {kind} {full_name}: skipped, this kind is not \
                used"
            ));
            Ok(())
        }
    }
}

/// The place of an object, for messages.
struct Place<'a> {
    path: &'a str,
    kind: &'a str,
    name: &'a str,
}

impl Place<'_> {
    fn error(&self, field: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Field {
            path: self.path.to_owned(),
            kind: self.kind.to_owned(),
            name: self.name.to_owned(),
            field: field.into(),
            message: message.into(),
        }
    }

    fn decode<T: DeserializeOwned>(&self, value: Value) -> Result<T, Error> {
        serde_path_to_error::deserialize(value)
            .map_err(|error| self.error(error.path().to_string(), error.inner().to_string()))
    }
}
