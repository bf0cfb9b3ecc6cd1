//! What is requested, by its parameters.

use std::time::Duration;

use test_api::{ApiServer, Cluster, Config, Cut, Fault, Protobuf, Resource, StreamingLists, Verb};
use trimtab_kube::Change;
use trimtab_kube::watch::Timing;

use crate::observed::{Asked, Observed};

const SERVICES: usize = 700;
const NODES: usize = 5;
/// Services, their slices, our Node, and all Nodes' weights.
const OBJECTS: usize = SERVICES * 2 + 1 + NODES;

/// Whether an API server has to read etcd for this: the table of "Resource versions" in the
/// Kubernetes API concepts, and, for watches, cacher.go of apiserver.
fn reads_etcd(asked: &Asked) -> bool {
    let version = asked.parameter("resourceVersion");
    let is_page = !asked.parameter("limit").is_empty() && version != "0";
    let is_exact = asked.parameter("resourceVersionMatch") == "Exact";
    let continues = !asked.parameter("continue").is_empty();
    version.is_empty() || continues || !asked.is_watch() && (is_page || is_exact)
}

async fn server(streaming_lists: StreamingLists) -> ApiServer {
    server_with(Config { streaming_lists, ..Config::default() }).await
}

async fn server_with(config: Config) -> ApiServer {
    let api = ApiServer::start(config).await.unwrap();
    api.load(&Cluster::synthetic(SERVICES, 3, 1).on_nodes(NODES));
    api
}

/// A server that does not mark the end of the state is noticed soon; others have time.
fn timing(streaming_lists: StreamingLists) -> Timing {
    let is_unmarked = streaming_lists == StreamingLists::Unmarked;
    let quiet_state = Duration::from_millis(if is_unmarked { 200 } else { 3_600_000 });
    let pause = Duration::from_millis(5)..=Duration::from_millis(20);
    Timing { quiet_state, pause, ..Timing::default() }
}

#[test]
fn what_reads_etcd_is_told_from_what_does_not() {
    let asked = |query: &str| Asked {
        path: String::new(),
        accept: String::new(),
        parameters: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
    };
    for query in [
        "",
        "limit=500",
        "limit=500&continue=x",
        "limit=500&resourceVersion=7",
        "resourceVersion=7&resourceVersionMatch=Exact",
        "watch=true",
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
    ] {
        assert!(reads_etcd(&asked(query)), "{query}");
    }
    for query in [
        "resourceVersion=0",
        "resourceVersion=0&limit=500",
        "resourceVersion=7&resourceVersionMatch=NotOlderThan",
        "watch=true&resourceVersion=0&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
        "watch=true&resourceVersion=7",
    ] {
        assert!(!reads_etcd(&asked(query)), "{query}");
    }
}

#[tokio::test]
async fn no_request_of_a_start_reads_etcd() {
    use StreamingLists::{Refused, Served, Unmarked};
    // For each of four kinds: one stream; or a stream, a list and a watch.
    let modes = [(Served, 4), (Refused(422), 12), (Refused(400), 12), (Unmarked, 12)];
    let encodings = [Protobuf::Served, Protobuf::Missing];
    let all = modes.into_iter().flat_map(|mode| encodings.map(|protobuf| (mode, protobuf)));
    for ((streaming_lists, requests), protobuf) in all {
        let api = server_with(Config { streaming_lists, protobuf, ..Config::default() }).await;
        let mut source = Observed::start(&api, &timing(streaming_lists));
        let changes = source.until_listed().await;
        let expected = if streaming_lists == Unmarked { 2 * OBJECTS } else { OBJECTS };
        assert_eq!(changes, expected, "{streaming_lists:?}");
        source.until_asked(requests).await;
        let asked = source.asked();
        assert_eq!(asked.len(), requests, "{streaming_lists:?}: {asked:#?}");
        let of_services = asked.iter().filter(|asked| asked.path == "/api/v1/services").count();
        assert_eq!(of_services, requests / 4, "{streaming_lists:?}: {asked:#?}");
        for asked in &asked {
            assert!(!reads_etcd(asked), "{streaming_lists:?}: {asked:?}");
            let seconds = asked.parameter("timeoutSeconds").parse::<u64>();
            let is_bounded = seconds.is_ok_and(|seconds| (300..=600).contains(&seconds));
            assert_eq!(is_bounded, asked.is_watch(), "{asked:?}");
        }
    }
}

#[tokio::test]
async fn a_watch_that_is_cut_resumes_and_an_expired_one_gets_the_state_not_older() {
    let api = server(StreamingLists::Served).await;
    let mut source = Observed::start(&api, &timing(StreamingLists::Served));
    source.until_listed().await;
    let revision = api.revision();
    source.forget();
    api.drop_watches(Cut::Abort);
    source.until_asked(4).await;
    for asked in source.asked() {
        assert!(asked.is_watch() && asked.parameter("sendInitialEvents").is_empty(), "{asked:?}");
        assert_eq!(asked.parameter("resourceVersion"), revision.to_string(), "{asked:?}");
    }
    // The next watches are told that their revision has expired.
    source.forget();
    api.inject(Fault::gone().times(4));
    api.drop_watches(Cut::Clean);
    let changes = source.until_listed().await;
    assert_eq!(changes, OBJECTS);
    let asked = source.asked();
    assert_eq!(asked.len(), 8, "{asked:#?}");
    let streams: Vec<_> =
        asked.iter().filter(|asked| !asked.parameter("sendInitialEvents").is_empty()).collect();
    assert_eq!(streams.len(), 4, "{asked:#?}");
    for asked in &streams {
        assert_eq!(asked.parameter("resourceVersion"), revision.to_string(), "{asked:?}");
    }
    assert!(!asked.iter().any(reads_etcd), "{asked:#?}");
}

#[tokio::test]
async fn a_state_that_breaks_off_is_begun_again_and_then_listed() {
    for cut in [Cut::Abort, Cut::Clean] {
        let api = server(StreamingLists::Served).await;
        api.inject(Fault::truncate(300, cut).of(Resource::Services));
        let mut source = Observed::start(&api, &timing(StreamingLists::Served));
        let mut services = std::collections::BTreeSet::new();
        let mut is_complete = false;
        while !is_complete {
            for change in source.next().await.changes {
                match change {
                    Change::Begin(trimtab_kube::Kind::Services) => services.clear(),
                    Change::Service(service) => drop(services.insert(service.name)),
                    Change::End(kind) => is_complete = kind == trimtab_kube::Kind::Services,
                    _ => {}
                }
                if is_complete {
                    break;
                }
            }
        }
        assert_eq!(services.len(), SERVICES);
        assert_eq!(api.counters().requests(Verb::List, Resource::Services), 1);
        api.clear_faults();
    }
}

#[tokio::test]
async fn a_server_that_labels_json_as_protobuf_is_asked_for_json() {
    // For each of four kinds: a stream, or a refused one, that cannot be read; a stream in JSON; or a
    // list that cannot be read, a list in JSON, and a watch.
    for (streaming_lists, unread, read) in
        [(StreamingLists::Served, 4, 4), (StreamingLists::Refused(422), 8, 8)]
    {
        let protobuf = Protobuf::Mislabelled;
        let api = server_with(Config { streaming_lists, protobuf, ..Config::default() }).await;
        let mut source = Observed::start(&api, &timing(streaming_lists));
        source.until_listed().await;
        source.until_asked(unread + read).await;
        let asked = source.asked();
        let in_json = |asked: &&Asked| asked.accept.starts_with("application/json");
        assert_eq!(asked.iter().filter(in_json).count(), read, "{asked:#?}");
        assert_eq!(asked.len(), unread + read, "{asked:#?}");
    }
}

#[tokio::test]
async fn protobuf_is_asked_for_first_and_json_second() {
    let api = server(StreamingLists::Served).await;
    let mut source = Observed::start(&api, &timing(StreamingLists::Served));
    source.until_listed().await;
    for asked in source.asked() {
        let types: Vec<_> =
            asked.accept.split(',').map(|clause| clause.split(';').next().unwrap()).collect();
        assert_eq!(types, ["application/vnd.kubernetes.protobuf", "application/json"], "{asked:?}");
    }
}
