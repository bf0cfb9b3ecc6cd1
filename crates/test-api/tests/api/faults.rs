//! Faults, by library and by HTTP.

use std::time::{Duration, Instant};

use http::{Method, Request};
use serde_json::json;
use test_api::{Cut, Fault, Resource, Verb};

use crate::client::{Next, SERVICES, Stream, call, get, service, start, text, try_call, within};

const WATCH: &str = "/api/v1/services?watch=true&resourceVersion=1";

#[tokio::test]
async fn the_next_requests_fail_and_then_no_more() {
    let api = start().await;
    api.inject(Fault::status(500).on(Verb::List).of(Resource::Services).times(2));
    for code in [500, 500, 200] {
        let answer = get(&api, SERVICES).await;
        assert_eq!(answer.status, code);
        if code == 500 {
            assert_eq!(answer.json()["reason"], "InternalError");
        }
    }
    assert_eq!(api.counters().requests(Verb::List, Resource::Services), 3);
    api.inject(Fault::status(503).under("/version"));
    assert_eq!(get(&api, "/version").await.status, 503);
    assert_eq!(get(&api, SERVICES).await.status, 200);
    api.clear_faults();
    assert_eq!(get(&api, "/version").await.status, 200);
}

#[tokio::test]
async fn the_next_watches_are_gone() {
    let api = start().await;
    api.inject(Fault::gone().of(Resource::Services).times(1));
    api.inject(Fault::status(410).on(Verb::Watch).times(1));
    let mut stream = Stream::open(&api, WATCH).await;
    let error = stream.event().await;
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    stream.expect_end().await;
    let answer = get(&api, WATCH).await;
    assert_eq!((answer.status.as_u16(), &*text(&answer.json()["reason"])), (410, "Expired"));
    api.create(service("web")).unwrap();
    Stream::open(&api, WATCH).await.expect("ADDED", "web").await;
}

#[tokio::test]
async fn an_answer_can_be_late_or_never_come() {
    let api = start().await;
    let delay = Duration::from_millis(150);
    api.inject(Fault::delay(delay).times(1));
    let asked = Instant::now();
    assert_eq!(get(&api, SERVICES).await.status, 200);
    assert!(asked.elapsed() >= delay);
    api.inject(Fault::reset().times(1));
    assert!(try_call(&api, Request::get(SERVICES), "").await.is_err());
    assert_eq!(get(&api, SERVICES).await.status, 200);
}

#[tokio::test]
async fn an_event_is_cut_in_the_middle() {
    let api = start().await;
    api.create(service("a")).unwrap();
    api.create(service("b")).unwrap();
    for cut in [Cut::Clean, Cut::Abort] {
        api.inject(Fault::truncate(1, cut).times(1));
        let mut stream = Stream::open(&api, WATCH).await;
        stream.expect("ADDED", "a").await;
        let rest = match (stream.next().await, cut) {
            (Next::End(rest), Cut::Clean) | (Next::Broken(rest), Cut::Abort) => rest,
            (other, _) => panic!("{cut:?}: {other:?}"),
        };
        assert!(rest.starts_with(br#"{"type":"ADDED","object":{"#));
        assert!(serde_json::from_slice::<serde_json::Value>(&rest).is_err());
    }
}

#[tokio::test]
async fn connections_are_refused_for_a_time() {
    let api = start().await;
    let mut stream = Stream::open(&api, WATCH).await;
    api.refuse_connections(Duration::from_secs(1));
    assert!(matches!(stream.next().await, Next::Broken(_)));
    let error = try_call(&api, Request::get(SERVICES), "").await.unwrap_err();
    let error = error.downcast::<std::io::Error>().expect("no connection at all");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    within(async {
        while try_call(&api, Request::get(SERVICES), "").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn faults_are_controlled_over_http() {
    let api = start().await;
    let faults = json!({"faults": [
        {"verb": "list", "resource": "services", "times": 1, "effect": {"status": {"code": 429, "retryAfter": 7}}},
        {"verb": "watch", "effect": "gone"},
    ]});
    assert_eq!(call(&api, Method::PUT, "/_fixture/faults", &faults).await.status, 200);
    let answer = get(&api, SERVICES).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(answer.json()["details"]["retryAfterSeconds"], 7);
    assert_eq!(get(&api, "/_fixture/faults").await.json()["faults"][0]["effect"], "gone");
    call(&api, Method::DELETE, "/_fixture/faults", &json!({})).await;

    let mut stream = Stream::open(&api, WATCH).await;
    let counters = get(&api, "/_fixture/counters").await.json();
    assert_eq!(counters["resources"]["services"]["watchesOpen"], 1);
    assert_eq!(counters["resources"]["services"]["requests"]["list"], 1);
    api.create(service("web")).unwrap();
    stream.expect("ADDED", "web").await;
    let actions = json!({"compact": true, "dropWatches": "clean"});
    assert_eq!(call(&api, Method::POST, "/_fixture/actions", &actions).await.status, 200);
    stream.expect_end().await;
    assert_eq!(Stream::open(&api, WATCH).await.event().await["type"], "ERROR");

    let misspelt = json!({"dropWatch": "clean"});
    assert_eq!(call(&api, Method::POST, "/_fixture/actions", &misspelt).await.status, 400);
    assert_eq!(get(&api, "/_fixture/actions").await.status, 405);
    assert_eq!(get(&api, "/_fixture/nothing").await.status, 404);
}
