//! Content negotiation and discovery.

use http::header;
use serde_json::json;
use test_api::{Config, Protobuf, Resource};

use crate::client::{SERVICES, Stream, get, get_as, service, start, start_with};

const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIALS: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

#[tokio::test]
async fn a_client_that_prefers_protobuf_gets_it_for_the_kinds_that_have_it() {
    let protobuf = "application/vnd.kubernetes.protobuf";
    let both = "application/vnd.kubernetes.protobuf,application/json";
    let events = "/api/v1/namespaces/default/events";
    for (server, path, accept, expected) in [
        (Protobuf::Served, SERVICES, both, Some(protobuf)),
        (Protobuf::Served, SERVICES, protobuf, Some(protobuf)),
        (Protobuf::Served, events, both, Some("application/json")),
        (Protobuf::Served, events, protobuf, None),
        (Protobuf::Missing, SERVICES, both, Some("application/json")),
        (Protobuf::Missing, SERVICES, protobuf, None),
        (Protobuf::Mislabelled, SERVICES, both, Some(protobuf)),
    ] {
        let api = start_with(Config { protobuf: server, ..Config::default() }).await;
        let answer = get_as(&api, path, accept).await;
        let Some(expected) = expected else {
            assert_eq!(answer.status, 406, "{server:?} {path} {accept}");
            continue;
        };
        let content_type = &answer.headers[header::CONTENT_TYPE];
        assert_eq!(content_type, expected, "{server:?} {path} {accept}");
        let is_json = expected != protobuf || server == Protobuf::Mislabelled;
        assert_eq!(answer.body.starts_with(b"{"), is_json, "{server:?} {path} {accept}");
        assert_eq!(answer.body.starts_with(b"k8s\0"), !is_json, "{server:?} {path} {accept}");
    }
}

#[tokio::test]
async fn items_of_a_list_do_not_repeat_their_kind() {
    let api = start().await;
    let created = api.create(service("web")).unwrap();
    let list = get(&api, SERVICES).await.json();
    let item = &list["items"][0];
    assert_eq!((item.get("kind"), item.get("apiVersion")), (None, None));
    assert_eq!(item["metadata"], created["metadata"]);
    assert_eq!(item["spec"], created["spec"]);
}

#[tokio::test]
async fn metadata_alone_is_served_everywhere() {
    let api = start().await;
    let created = api.create(service("web")).unwrap();
    let expected = json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": created["metadata"],
    });
    let one = get_as(&api, &format!("{SERVICES}/web"), PARTIAL).await;
    assert_eq!(one.json(), expected);
    let list = get_as(&api, SERVICES, PARTIALS).await.json();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["apiVersion"], "meta.k8s.io/v1");
    assert_eq!(list["items"], json!([expected]));
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut stream = Stream::open_as(&api, &format!("{SERVICES}?watch=1&{query}"), PARTIAL).await;
    assert_eq!(stream.event().await, json!({"type": "ADDED", "object": expected}));
    let bookmark = stream.event().await;
    assert_eq!(bookmark["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn tables_have_a_cell_for_each_column() {
    let api = start().await;
    api.create(service("web")).unwrap();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let table = get_as(&api, SERVICES, accept).await.json();
    assert_eq!(table["kind"], "Table");
    let cells = &table["rows"][0]["cells"];
    assert_eq!(cells[0], "web");
    assert_eq!(cells[2], "10.96.0.1");
    let columns = table["columnDefinitions"].as_array().unwrap().len();
    assert_eq!(cells.as_array().unwrap().len(), columns);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let whole = get_as(&api, &format!("{SERVICES}/web?includeObject=Object"), accept).await.json();
    assert_eq!(whole["rows"][0]["object"]["kind"], "Service");
}

#[tokio::test]
async fn every_kind_is_discovered_and_served() {
    let api = start().await;
    for resource in Resource::ALL {
        let prefix = if resource.group().is_empty() { "/api" } else { "/apis" };
        let base = format!("{prefix}/{}", resource.api_version());
        let list = get(&api, &base).await.json();
        assert_eq!(list["groupVersion"], resource.api_version());
        let names: Vec<_> =
            list["resources"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
        assert!(names.contains(&&json!(resource.plural())), "{names:?}");
        let objects = get(&api, &format!("{base}/{}", resource.plural())).await.json();
        assert_eq!(objects["kind"], format!("{}List", resource.kind()));
    }
    assert_eq!(get(&api, "/api").await.json()["versions"], json!(["v1"]));
    let groups = get(&api, "/apis").await.json();
    assert_eq!(groups["groups"].as_array().unwrap().len(), 3);
    assert_eq!(get(&api, "/version").await.json()["major"], "1");
    for probe in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(&*get(&api, probe).await.body, b"ok");
    }
}
