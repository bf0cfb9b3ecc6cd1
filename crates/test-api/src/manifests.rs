//! Objects from files.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{ApiServer, Error, Resource};

/// What came of reading manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// How many objects were applied.
    pub applied: usize,
    /// Objects of kinds that the server does not have, as `file: kind name`.
    pub skipped: Vec<String>,
}

/// Applies what the files hold, in the order of the arguments, of names in a directory and of
/// documents in a file.
pub(crate) fn load<P: AsRef<Path>>(api: &ApiServer, paths: &[P]) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    for path in paths {
        for file in files(path.as_ref())? {
            for object in objects(&file)? {
                let name = describe(&object);
                if object.as_object().and_then(Resource::of).is_none() {
                    loaded.skipped.push(format!("{}: {name}", file.display()));
                    continue;
                }
                api.apply(object).map_err(|source| Error::Refused {
                    path: file.clone(),
                    object: name,
                    source,
                })?;
                loaded.applied += 1;
            }
        }
    }
    Ok(loaded)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The objects of all documents, those within lists too.
fn objects(path: &Path) -> Result<Vec<Value>, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    // As in YAML 1.2, a node may be called `n`.
    let options = serde_saphyr::options! { strict_booleans: true };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options)
        .map_err(|error| Error::Parse { path: path.to_owned(), message: error.to_string() })?;
    let mut objects = Vec::new();
    for mut document in documents.into_iter().filter(|document| !document.is_null()) {
        let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match document.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if is_list => objects.extend(items),
            _ => objects.push(document),
        }
    }
    Ok(objects)
}

fn describe(object: &Value) -> String {
    let text = |path| object.pointer(path).and_then(Value::as_str).unwrap_or("?");
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("trimtab-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn documents_and_lists_are_taken_apart() {
        let path = written(
            "several.yaml",
            "---\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: 80\n---\n\
             ---\nkind: List\nitems:\n- kind: Node\n  metadata: {name: n}\n- kind: Pod\n",
        );
        let objects = objects(&path).unwrap();
        let kinds: Vec<_> = objects.iter().map(describe).collect();
        assert_eq!(kinds, ["Service a", "Node n", "Pod ?"]);
        assert_eq!(objects[0]["spec"]["ports"][0]["port"], 80);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn broken_text_is_blamed_on_its_file() {
        let path = written("broken.yaml", "kind: [Service\n");
        let error = objects(&path).unwrap_err();
        assert!(error.to_string().contains("broken.yaml"), "{error}");
        fs::remove_file(path).unwrap();
    }
}
