//! Watches.

use std::time::Duration;

use serde_json::{Value, json};
use test_api::{ApiServer, Config, Cut, Gone, Resource, StreamingLists};

use crate::client::{Next, SERVICES, Stream, get, service, start, start_with, text, within};

const ALL: &str = "/api/v1/services?watch=true";

fn labelled(name: &str, app: &str) -> Value {
    let mut object = service(name);
    object["metadata"]["labels"] = json!({"app": app});
    object
}

fn delete(api: &ApiServer, name: &str) {
    api.delete(Resource::Services, &format!("default/{name}")).expect("a Service of that name");
}

#[tokio::test]
async fn a_watch_continues_where_a_list_ended() {
    let api = start().await;
    api.create(service("before")).unwrap();
    let list = get(&api, SERVICES).await.json();
    api.create(service("web")).unwrap();
    let revision = text(&list["metadata"]["resourceVersion"]);
    let mut stream = Stream::open(&api, &format!("{ALL}&resourceVersion={revision}")).await;
    stream.expect("ADDED", "web").await;
    let changed = api.apply(labelled("web", "x")).unwrap();
    assert_eq!(stream.event().await, json!({"type": "MODIFIED", "object": changed}));
    delete(&api, "web");
    let event = stream.event().await;
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["metadata"]["resourceVersion"], api.revision().to_string());
    assert_eq!(event["object"]["spec"], changed["spec"]);
}

#[tokio::test]
async fn a_watch_without_a_revision_begins_with_the_state() {
    let api = start().await;
    api.create(service("a")).unwrap();
    api.create(service("b")).unwrap();
    for query in ["", "&resourceVersion=0", "&resourceVersion="] {
        let mut stream = Stream::open(&api, &format!("{ALL}{query}")).await;
        stream.expect("ADDED", "a").await;
        stream.expect("ADDED", "b").await;
    }
    let now = "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
    let mut stream = Stream::open(&api, &format!("{ALL}{now}")).await;
    api.create(service("c")).unwrap();
    stream.expect("ADDED", "c").await;
}

#[tokio::test]
async fn an_object_enters_and_leaves_a_selection() {
    let api = start().await;
    let revision = api.revision();
    let query = format!("{ALL}&labelSelector=app%3Dweb&resourceVersion={revision}");
    let mut stream = Stream::open(&api, &query).await;
    api.create(labelled("s", "db")).unwrap();
    api.apply(labelled("s", "web")).unwrap();
    stream.expect("ADDED", "s").await;
    api.apply(labelled("s", "db")).unwrap();
    let left = stream.event().await;
    assert_eq!(left["type"], "DELETED");
    assert_eq!(left["object"]["metadata"]["labels"]["app"], "web");
    assert_eq!(left["object"]["metadata"]["resourceVersion"], api.revision().to_string());
    delete(&api, "s");
    api.create(labelled("last", "web")).unwrap();
    stream.expect("ADDED", "last").await;
}

#[tokio::test]
async fn one_object_can_be_watched() {
    let api = start().await;
    api.create(service("web")).unwrap();
    api.create(service("other")).unwrap();
    for path in [
        format!("{SERVICES}/web?watch=true"),
        format!("{SERVICES}?watch=true&fieldSelector=metadata.name%3Dweb"),
    ] {
        let mut stream = Stream::open(&api, &path).await;
        stream.expect("ADDED", "web").await;
        api.apply(labelled("other", &path.len().to_string())).unwrap();
        api.apply(labelled("web", &path.len().to_string())).unwrap();
        stream.expect("MODIFIED", "web").await;
    }
}

#[tokio::test]
async fn a_streamed_list_ends_in_an_annotated_bookmark() {
    let api = start().await;
    api.create(service("a")).unwrap();
    let query =
        "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut stream = Stream::open(&api, &format!("{ALL}{query}")).await;
    stream.expect("ADDED", "a").await;
    let bookmark = stream.event().await;
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "Service");
    let metadata = &bookmark["object"]["metadata"];
    assert_eq!(metadata["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(metadata["resourceVersion"], api.revision().to_string());
    api.create(service("b")).unwrap();
    stream.expect("ADDED", "b").await;
}

#[tokio::test]
async fn an_older_server_refuses_to_stream_a_list() {
    let api =
        start_with(Config { streaming_lists: StreamingLists::Refused(422), ..Config::default() })
            .await;
    let query =
        "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    assert_eq!(get(&api, &format!("{ALL}{query}")).await.status, 422);
}

#[tokio::test]
async fn bookmarks_carry_the_revision_of_other_kinds_too() {
    let period = Some(Duration::from_millis(50));
    let api = start_with(Config { bookmark_interval: period, ..Config::default() }).await;
    let path = format!("{ALL}&resourceVersion={}", api.revision());
    let mut without = Stream::open(&api, &path).await;
    let mut with = Stream::open(&api, &format!("{path}&allowWatchBookmarks=true")).await;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    api.create(node).unwrap();
    let revision = api.revision().to_string();
    within(async {
        loop {
            let bookmark = with.event().await;
            assert_eq!(bookmark["type"], "BOOKMARK");
            if bookmark["object"]["metadata"]["resourceVersion"] == *revision {
                break;
            }
        }
    })
    .await;
    assert!(api.counters().bookmarks_sent(Resource::Services) >= 1);
    api.create(service("web")).unwrap();
    without.expect("ADDED", "web").await;
}

#[tokio::test]
async fn a_timeout_ends_a_watch_with_a_bookmark() {
    let api = start().await;
    let revision = api.revision();
    let path =
        format!("{ALL}&resourceVersion={revision}&timeoutSeconds=1&allowWatchBookmarks=true");
    let mut stream = Stream::open(&api, &path).await;
    let bookmark = stream.event().await;
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], revision.to_string());
    stream.expect_end().await;
    within(api.until(|counters| counters.watches_open(Resource::Services) == 0)).await;
}

#[tokio::test]
async fn a_compacted_revision_is_gone_by_event_or_by_status() {
    let api = start().await;
    let revision = api.revision();
    api.create(service("a")).unwrap();
    api.create(service("b")).unwrap();
    api.compact(api.revision());
    let path = format!("{ALL}&resourceVersion={revision}");
    let mut stream = Stream::open(&api, &path).await;
    let error = stream.event().await;
    assert_eq!(error["type"], "ERROR");
    assert_eq!(error["object"]["code"], 410);
    assert_eq!(error["object"]["reason"], "Expired");
    stream.expect_end().await;

    api.answer_stale_watches_by(Gone::Status);
    let answer = get(&api, &path).await;
    assert_eq!((answer.status.as_u16(), &*text(&answer.json()["reason"])), (410, "Expired"));
    let current = format!("{ALL}&resourceVersion={}", api.revision());
    let mut stream = Stream::open(&api, &current).await;
    api.create(service("c")).unwrap();
    stream.expect("ADDED", "c").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_watch() {
    let api = start_with(Config { history: 50, ..Config::default() }).await;
    let path = format!("{ALL}&resourceVersion={}", api.revision());
    let mut stream = Stream::open(&api, &path).await;
    // More than all buffers between here and there hold.
    let padding = "x".repeat(1 << 20);
    for n in 0..100 {
        let mut object = service("web");
        object["metadata"]["annotations"] = json!({"n": n, "padding": padding});
        api.apply(object).unwrap();
        tokio::task::yield_now().await;
    }
    let mut last = Value::Null;
    let mut events = 0;
    loop {
        match stream.next().await {
            Next::Event(event) => last = event,
            Next::End(_) => break,
            Next::Broken(rest) => panic!("broken with {} bytes left", rest.len()),
        }
        events += 1;
    }
    assert!(events < 100, "{events} events");
    assert_eq!(last["object"]["code"], 410);
}

#[tokio::test]
async fn a_stop_ends_watches_and_frees_the_address() {
    let api = start().await;
    let mut stream = Stream::open(&api, ALL).await;
    let address = api.address();
    let (end, ()) = tokio::join!(stream.next(), within(api.stop()));
    assert!(matches!(end, Next::End(rest) if rest.is_empty()));
    std::net::TcpListener::bind(address).expect("the address is free");
}

#[tokio::test]
async fn a_client_that_leaves_closes_its_watch() {
    let api = start().await;
    let stream = Stream::open(&api, ALL).await;
    assert_eq!(api.counters().watches_open(Resource::Services), 1);
    drop(stream);
    within(api.until(|counters| counters.watches_open(Resource::Services) == 0)).await;
}

#[tokio::test]
async fn watches_are_dropped_cleanly_or_broken() {
    let api = start().await;
    let mut stream = Stream::open(&api, ALL).await;
    api.drop_watches(Cut::Clean);
    stream.expect_end().await;
    let mut stream = Stream::open(&api, ALL).await;
    api.drop_watches(Cut::Abort);
    assert!(matches!(stream.next().await, Next::Broken(rest) if rest.is_empty()));
    let mut stream = Stream::open(&api, ALL).await;
    api.create(service("web")).unwrap();
    stream.expect("ADDED", "web").await;
}
