//! Events about problems with objects, sent to the fixture API server. Time is paused and advances
//! only while every task waits.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use test_api::{ApiServer, Config, Fault, Resource, Verb};
use trimtab_kube::warning::{Board, Publisher};
use trimtab_kube::watch::Timing;

use crate::kernel::FakeKernel;
use crate::rig::Rig;

/// Nodes spread the first Event of a problem over a minute.
const SPREAD: Duration = Duration::from_secs(70);

async fn api() -> ApiServer {
    ApiServer::start(Config::default()).await.unwrap()
}

fn client(api: &ApiServer) -> Client {
    Client::try_from(kube::Config::new(api.url().parse().unwrap())).unwrap()
}

/// Paused time passes much faster than a socket answers.
fn patient() -> Timing {
    let day = Duration::from_secs(86_400);
    Timing { answer: day, quiet_watch: day, quiet_state: day, proven: day, ..Timing::default() }
}

/// A daemon of the node `node-a` that sends its Events as the node `node`.
fn daemon(api: &ApiServer, config: &str, node: &str) -> Rig {
    let board = Arc::new(Board::default());
    let rig = Rig::start_with(FakeKernel::default(), config, Some(Arc::clone(&board)));
    rig.follow(client(api), patient());
    rig.follow_node_weights(client(api), patient());
    tokio::spawn(Publisher::new(client(api), node, board).run());
    rig
}

async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(answer) = ask() {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never: {what}");
}

fn service(name: &str, number: u8, annotations: &Value, more: &Value) -> Value {
    let mut spec = json!({
        "clusterIP": format!("10.96.0.{number}"),
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": format!("uid-{name}"),
            "creationTimestamp": format!("2024-01-01T00:00:{number:02}Z"),
            "annotations": annotations,
        },
        "spec": spec,
    })
}

fn slice(service: &str, annotations: &Value, endpoints: &[(&str, &str)]) -> Value {
    let endpoints: Vec<Value> = endpoints
        .iter()
        .map(|(address, node)| json!({"addresses": [address], "nodeName": node}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-1"),
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": service},
            "annotations": annotations,
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": endpoints,
    })
}

fn events(api: &ApiServer) -> Vec<Value> {
    api.list(Resource::EventsV1)
}

fn event_on(api: &ApiServer, name: &str) -> Option<Value> {
    events(api).into_iter().find(|event| event["regarding"]["name"] == name)
}

#[tokio::test(start_paused = true)]
async fn every_invalid_annotation_is_an_event_and_the_service_works_without_it() {
    let api = api().await;
    let wrong = [
        ("scheduler", "fastest", "expected one of rr"),
        ("scheduler-flags", "sideways", "expected words of sh-fallback"),
        ("one-packet", "true", "has no UDP port"),
        ("max-connections", "-3", "expected a number of connections"),
        ("drain-timeout", "soon", "ignored"),
        ("weight", "70000", "is not a number from 0 to 65535"),
    ];
    for ((word, value, _), number) in wrong.iter().zip(1..) {
        let annotation = json!({format!("trimtab.dev/{word}"): value});
        // The weight is an annotation of slices.
        let (on_service, on_slice) =
            if *word == "weight" { (json!({}), annotation) } else { (annotation, json!({})) };
        api.apply(service(word, number, &on_service, &json!({}))).unwrap();
        let address = format!("10.244.0.{number}");
        api.apply(slice(word, &on_slice, &[(&address, "node-b")])).unwrap();
    }
    let rig = daemon(&api, "", "node-a");
    until("an Event for each", || (events(&api).len() >= wrong.len()).then_some(())).await;
    tokio::time::sleep(SPREAD).await;
    assert_eq!(events(&api).len(), wrong.len(), "{:#?}", events(&api));
    for (word, _, complaint) in wrong {
        let event = event_on(&api, word).unwrap();
        let regarding = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": "shop",
            "name": word,
            "uid": format!("uid-{word}"),
        });
        assert_eq!(event["regarding"], regarding);
        for (field, wanted) in [
            ("type", "Warning"),
            ("reason", "InvalidAnnotation"),
            ("action", "ReadObject"),
            ("reportingController", "trimtab"),
            ("reportingInstance", "node-a"),
        ] {
            assert_eq!(event[field], wanted, "{word}: {field}");
        }
        assert_eq!(event["metadata"]["namespace"], "shop");
        let note = event["note"].as_str().unwrap();
        assert!(note.contains(&format!("metadata.annotations[trimtab.dev/{word}]")), "{note}");
        assert!(note.contains(complaint), "{note}");
    }
    let inside = rig.kernel.inside();
    assert_eq!(inside.state.virtual_servers.len(), wrong.len());
    for state in inside.state.virtual_servers.values() {
        assert_eq!(state.server.scheduler.name(), "rr");
        assert!(state.server.flags.is_empty());
        let servers: Vec<_> = state.real_servers.values().collect();
        assert_eq!(servers.len(), 1);
        assert_eq!((servers[0].weight, servers[0].upper_threshold), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_service_does_not_get_is_an_event_until_it_gets_it() {
    let api = api().await;
    let external = |address: &str| json!({"externalIPs": [address]});
    api.apply(service("first", 1, &json!({}), &external("192.0.2.1"))).unwrap();
    api.apply(service("second", 2, &json!({}), &external("192.0.2.1"))).unwrap();
    api.apply(service("looped", 3, &json!({}), &external("127.0.0.7"))).unwrap();
    api.apply(service("garbled", 4, &json!({}), &external("192.0.2.256"))).unwrap();
    let rig = daemon(&api, "", "node-a");
    until("three Events", || (events(&api).len() >= 3).then_some(())).await;
    tokio::time::sleep(SPREAD).await;
    for (name, reason, words) in [
        ("second", "FrontendConflict", "is already served for shop/first, which is older"),
        ("looped", "RefusedAddress", "127.0.0.7 is a loopback address"),
        ("garbled", "InvalidValue", "\"192.0.2.256\" is not an IP address"),
    ] {
        let event = event_on(&api, name).unwrap();
        assert_eq!(event["reason"], reason);
        assert!(event["note"].as_str().unwrap().contains(words), "{event}");
    }
    assert_eq!(event_on(&api, "first"), None);
    assert_eq!(rig.warnings.standing_now().len(), 3);
    // The winner is deleted and the loser gets the frontend: there is no further Event about it.
    api.delete(Resource::Services, "shop/first").unwrap();
    until("its end", || (rig.warnings.standing_now().len() == 2).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(31 * 60)).await;
    rig.settle().await;
    let count = |name: &str| event_on(&api, name).unwrap()["series"]["count"].as_u64();
    until("the second time", || (count("looped") == Some(2)).then_some(())).await;
    assert_eq!(count("second"), None);
    assert_eq!(events(&api).len(), 3, "what lasts is counted, not said anew");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_find_the_same_share_one_event() {
    let api = api().await;
    let annotations = json!({"trimtab.dev/scheduler": "fastest"});
    api.apply(service("web", 1, &annotations, &json!({}))).unwrap();
    let _nodes = ["node-a", "node-b", "node-c"].map(|node| daemon(&api, "", node));
    tokio::time::sleep(SPREAD).await;
    let asked = || api.counters().requests(Verb::Create, Resource::EventsV1);
    until("all to have asked", || (asked() == 3).then_some(())).await;
    assert_eq!(events(&api).len(), 1);
    // Then nothing is sent for half an hour, after which the node that created the Event updates
    // it.
    let repeated = || api.counters().requests(Verb::Patch, Resource::EventsV1);
    tokio::time::sleep(Duration::from_secs(25 * 60)).await;
    assert_eq!((asked(), repeated()), (3, 0));
    tokio::time::sleep(Duration::from_secs(25 * 60)).await;
    assert_eq!(repeated(), 1);
    assert_eq!(events(&api).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_takes_no_events_holds_nothing_up() {
    let api = api().await;
    api.inject(Fault::status(403).of(Resource::EventsV1).times(3));
    for number in 1..=200 {
        let annotations = json!({"trimtab.dev/scheduler": "fastest"});
        api.apply(service(&format!("web-{number}"), number, &annotations, &json!({}))).unwrap();
    }
    let rig = daemon(&api, "", "node-a");
    until("ready", || rig.health.readyz().ok.then_some(())).await;
    assert_eq!(rig.kernel.inside().state.virtual_servers.len(), 200);
    assert_eq!(rig.warnings.standing_now().len(), 200);
    // Less and less often while requests are refused, and then two per minute.
    tokio::time::sleep(Duration::from_secs(10 * 60)).await;
    let asked = api.counters().requests(Verb::Create, Resource::EventsV1);
    assert!((3..=20).contains(&asked), "{asked}");
    tokio::time::sleep(Duration::from_secs(2 * 60 * 60)).await;
    until("all Events", || (events(&api).len() == 200).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_nodes_weight_is_that_of_its_endpoints_where_the_configuration_says_so() {
    let api = api().await;
    let node = |name: &str, weight: &str| {
        let annotations =
            if weight.is_empty() { json!({}) } else { json!({"trimtab.dev/weight": weight}) };
        let metadata =
            json!({"name": name, "uid": format!("uid-{name}"), "annotations": annotations});
        json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata})
    };
    api.apply(node("node-b", "5")).unwrap();
    api.apply(node("node-c", "many")).unwrap();
    let here = [("10.244.0.1", "node-b"), ("10.244.0.2", "node-c")];
    for (name, number) in [("web", 1), ("shop", 2)] {
        api.apply(service(name, number, &json!({}), &json!({}))).unwrap();
    }
    api.apply(slice("web", &json!({}), &here)).unwrap();
    api.apply(slice("shop", &json!({}), &here[1..])).unwrap();
    let rig = daemon(&api, "{ipvs: {scheduler: wrr}, trimtab: {nodeWeights: true}}", "node-a");
    let off = daemon(&api, "", "node-b");
    let weights = |rig: &Rig| -> Vec<u32> {
        let inside = rig.kernel.inside();
        let servers = inside.state.virtual_servers.values();
        servers.flat_map(|state| state.real_servers.values().map(|real| real.weight)).collect()
    };
    until("weights", || (weights(&rig) == [5, 1, 1]).then_some(())).await;
    until("no weights", || (weights(&off) == [1, 1, 1]).then_some(())).await;
    let event = until("an Event", || event_on(&api, "node-c")).await;
    assert_eq!(event["regarding"]["kind"], "Node");
    assert_eq!(event["regarding"]["uid"], "uid-node-c");
    assert_eq!(event["reason"], "InvalidAnnotation");
    assert_eq!(event["metadata"]["namespace"], "default");
    // Each change is an operation for each endpoint there.
    rig.kernel.take_log();
    api.apply(node("node-c", "7")).unwrap();
    until("node-c's", || (weights(&rig) == [5, 7, 7]).then_some(())).await;
    assert_eq!(rig.kernel.take_log().len(), 2);
    api.apply(node("node-b", "")).unwrap();
    until("none for node-b", || (weights(&rig) == [1, 7, 7]).then_some(())).await;
    api.delete(Resource::Nodes, "node-c").unwrap();
    until("none for node-c", || (weights(&rig) == [1, 1, 1]).then_some(())).await;
    assert_eq!(rig.kernel.take_log().len(), 3);
    assert!(rig.warnings.standing_now().is_empty());
    assert!(off.warnings.standing_now().is_empty());
    // A slice's own weight overrides its node's.
    api.apply(node("node-b", "9")).unwrap();
    api.apply(slice("web", &json!({"trimtab.dev/weight": "3"}), &here)).unwrap();
    until("the slice's", || (weights(&rig) == [3, 3, 1]).then_some(())).await;
}
