//! Discovery: what clients read to learn which kinds there are.

use serde_json::{Value, json};

use super::resource::group_version;
use super::route::Discovery;
use super::{Refusal, Resource};

/// The Kubernetes version that the server says it is.
const VERSION: (&str, &str) = ("1", "33");

/// The document asked for.
pub(crate) fn document(discovery: Discovery<'_>, address: &str) -> Result<Value, Refusal> {
    match discovery {
        Discovery::Version => Ok(json!({
            "major": VERSION.0,
            "minor": VERSION.1,
            "gitVersion": format!("v{}.{}.0", VERSION.0, VERSION.1),
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "",
            "compiler": "rustc",
            "platform": "linux/amd64",
        })),
        Discovery::CoreVersions => Ok(json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        })),
        Discovery::Groups => Ok(json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": named_groups().map(group_document).collect::<Vec<_>>(),
        })),
        Discovery::Group(group) => {
            if !named_groups().any(|known| known == group) {
                return Err(Refusal::NotServed);
            }
            let mut document = group_document(group);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            Ok(document)
        }
        Discovery::Resources { group, version } => {
            let resources: Vec<Value> =
                resources_of(group, version).flat_map(resource_documents).collect();
            if resources.is_empty() {
                return Err(Refusal::NotServed);
            }
            Ok(json!({
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": group_version(group, version),
                "resources": resources,
            }))
        }
        Discovery::OpenApi => {
            let mut paths = serde_json::Map::new();
            for group in std::iter::once("").chain(named_groups()) {
                let path = prefix(group, "v1");
                let url = format!("/openapi/v3/{path}");
                paths.insert(path, json!({"serverRelativeURL": url}));
            }
            Ok(json!({"paths": paths}))
        }
        Discovery::OpenApiOf { group, version } => open_api(group, version),
    }
}

/// Paths without schemas: enough for `kubectl` to learn that the server checks fields itself, as it
/// asks before it creates or applies anything.
fn open_api(group: &str, version: &str) -> Result<Value, Refusal> {
    let mut paths = serde_json::Map::new();
    for resource in resources_of(group, version) {
        let namespace = if resource.is_namespaced() { "namespaces/{namespace}/" } else { "" };
        let path = format!("/{}/{namespace}{}/{{name}}", prefix(group, version), resource.plural());
        let kind = json!({"group": group, "version": version, "kind": resource.kind()});
        let operation = |action: &str| {
            json!({
                "parameters": [{"name": "fieldValidation", "in": "query"}],
                "responses": {},
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": kind,
            })
        };
        paths.insert(path, json!({"patch": operation("patch"), "put": operation("put")}));
    }
    if paths.is_empty() {
        return Err(Refusal::NotServed);
    }
    Ok(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": format!("v{}.{}.0", VERSION.0, VERSION.1)},
        "paths": paths,
        "components": {"schemas": {}},
    }))
}

fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The groups but the core one, each once.
fn named_groups() -> impl Iterator<Item = &'static str> {
    let mut groups: Vec<_> = Resource::ALL.map(Resource::group).into();
    groups.sort_unstable();
    groups.dedup();
    groups.into_iter().filter(|group| !group.is_empty())
}

fn group_document(group: &str) -> Value {
    let version = json!({"groupVersion": group_version(group, "v1"), "version": "v1"});
    json!({"name": group, "versions": [version], "preferredVersion": version})
}

fn resources_of(group: &str, version: &str) -> impl Iterator<Item = Resource> {
    Resource::ALL.into_iter().filter(move |r| r.group() == group && r.version() == version)
}

fn resource_documents(resource: Resource) -> Vec<Value> {
    let definition = resource.definition();
    let mut documents = vec![json!({
        "name": definition.plural,
        "singularName": definition.singular,
        "namespaced": definition.namespaced,
        "kind": definition.kind,
        "shortNames": definition.short_names,
        "verbs": [
            "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
        ],
    })];
    if definition.has_status {
        documents.push(json!({
            "name": format!("{}/status", definition.plural),
            "singularName": "",
            "namespaced": definition.namespaced,
            "kind": definition.kind,
            "verbs": ["get", "patch", "update"],
        }));
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_can_be_discovered() {
        let groups = document(Discovery::Groups, "").unwrap();
        for resource in Resource::ALL {
            let (group, version) = (resource.group(), resource.version());
            let list = document(Discovery::Resources { group, version }, "").unwrap();
            let resources = list["resources"].as_array().unwrap();
            assert!(resources.iter().any(|r| r["name"] == resource.plural()), "{resource:?}");
            let is_listed = groups["groups"].as_array().unwrap().iter().any(|g| g["name"] == group);
            assert!(group.is_empty() || is_listed, "{resource:?}");
            assert!(document(Discovery::OpenApiOf { group, version }, "").is_ok());
        }
    }

    #[test]
    fn unknown_groups_are_not_served() {
        for discovery in [
            Discovery::Group("apps"),
            Discovery::Resources { group: "discovery.k8s.io", version: "v1beta1" },
            Discovery::OpenApiOf { group: "", version: "v2" },
        ] {
            assert_eq!(document(discovery, "").unwrap_err().code(), 404, "{discovery:?}");
        }
    }
}
