//! Many objects, and the shortcuts past HTTP.

use test_api::{ApiServer, Cluster, Config, EndpointChange, Resource, Verb};

use crate::client::{Stream, get, start, within};

#[tokio::test]
async fn a_synthetic_cluster_is_listed_whole_and_in_pages() {
    let api = start().await;
    let cluster = Cluster::synthetic(2500, 3, 1);
    api.load(&cluster);
    let whole = get(&api, "/api/v1/services").await;
    assert!(!whole.headers.contains_key("content-length"), "a long list is streamed");
    let whole = whole.names();
    assert_eq!(whole.len(), 2500);
    let mut paged = Vec::new();
    let mut path = "/api/v1/services?limit=500".to_owned();
    loop {
        let page = get(&api, &path).await;
        assert!(page.headers.contains_key("content-length"));
        paged.extend(page.names());
        let Some(token) = page.json()["metadata"]["continue"].as_str().map(str::to_owned) else {
            break;
        };
        path = format!("/api/v1/services?limit=500&continue={token}");
    }
    assert_eq!(paged, whole);
    assert_eq!(api.counters().requests(Verb::List, Resource::Services), 6);
    assert_eq!(get(&api, "/apis/discovery.k8s.io/v1/endpointslices").await.names().len(), 2500);
}

#[tokio::test]
async fn a_synthetic_cluster_is_streamed_whole() {
    let api = start().await;
    api.load(&Cluster::synthetic(2500, 3, 1));
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                 &allowWatchBookmarks=true";
    let mut stream = Stream::open(&api, &format!("/api/v1/services?{query}")).await;
    let mut added = 0;
    while stream.event().await["type"] == "ADDED" {
        added += 1;
    }
    assert_eq!(added, 2500);
    assert_eq!(api.counters().events_sent(Resource::Services), 2500);
    assert_eq!(api.counters().bookmarks_sent(Resource::Services), 1);
}

#[tokio::test]
async fn one_changed_endpoint_is_one_event() {
    let api = start().await;
    let cluster = Cluster::synthetic(100, 250, 1);
    api.load(&cluster);
    let slices = "/apis/discovery.k8s.io/v1/endpointslices?watch=true";
    let path = format!("{slices}&resourceVersion={}", api.revision());
    let mut stream = Stream::open(&api, &path).await;
    let (slice, index) = Cluster::slice(42, 249);
    let before = std::time::Instant::now();
    let change =
        api.change_endpoint(&slice, &EndpointChange::Ready { index, ready: false }).unwrap();
    assert!(change.at >= before);
    let event = stream.event().await;
    assert_eq!(event["type"], "MODIFIED");
    let object = &event["object"];
    assert_eq!(object["metadata"]["resourceVersion"], change.revision.to_string());
    assert_eq!(object["metadata"]["generation"], 2);
    assert_eq!(object["endpoints"][index]["conditions"]["ready"], false);
    assert_eq!(object["endpoints"][index]["addresses"][0], cluster.endpoint(42, 249).to_string());
    let trigger =
        &object["metadata"]["annotations"]["endpoints.kubernetes.io/last-change-trigger-time"];
    assert!(trigger.is_string());
    assert_eq!(api.counters().events_sent(Resource::EndpointSlices), 1);
}

#[test]
fn a_server_on_its_own_thread_needs_no_runtime() {
    let api = ApiServer::start_on_thread(Config::default()).unwrap();
    api.load(&Cluster::synthetic(10, 1, 1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let names = runtime.block_on(async { get(&api, "/api/v1/services").await.names() });
    assert_eq!(names.len(), 10);
    let taken = Config { listen: api.address(), ..Config::default() };
    let error = ApiServer::start_on_thread(taken).unwrap_err();
    assert!(error.to_string().contains(&api.address().to_string()), "{error}");
    runtime.block_on(within(api.stop()));
}

#[tokio::test]
async fn manifests_are_applied_and_unknown_kinds_named() {
    let directory = std::env::temp_dir().join(format!("trimtab-manifests-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let list = r#"{"kind": "List", "apiVersion": "v1", "items": [
        {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "a"}, "spec": {}},
        {"kind": "Gadget", "apiVersion": "example.com/v1", "metadata": {"name": "g"}}]}"#;
    let several = "apiVersion: v1\nkind: Node\nmetadata:\n  name: n\n---\n\
                   apiVersion: v1\nkind: Service\nmetadata:\n  name: b\n  namespace: prod\n";
    std::fs::write(directory.join("list.json"), list).unwrap();
    std::fs::write(directory.join("several.yaml"), several).unwrap();
    std::fs::write(directory.join("notes.txt"), "not a manifest").unwrap();
    let api = start().await;
    let loaded = api.load_manifests(&[&directory]).unwrap();
    assert_eq!(loaded.applied, 3);
    assert_eq!(loaded.skipped.len(), 1);
    assert!(loaded.skipped[0].ends_with("list.json: Gadget g"), "{:?}", loaded.skipped);
    assert!(api.get(Resource::Services, "prod/b").is_some());
    let bad = directory.join("bad.yaml");
    std::fs::write(&bad, "apiVersion: v1\nkind: Service\nmetadata:\n  name: a/b\n").unwrap();
    let error = api.load_manifests(&[bad]).unwrap_err().to_string();
    assert!(error.contains("bad.yaml: Service a/b"), "{error}");
    std::fs::remove_dir_all(directory).unwrap();
}
