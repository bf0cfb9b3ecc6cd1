//! kube-rs watchers, unmodified.

use std::collections::BTreeSet;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::runtime::events::{self, EventType, Recorder};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Resource as _, ResourceExt};
use serde_json::json;
use test_api::{ApiServer, Cluster, Config, Cut, EndpointChange, Fault, Resource, Verb};

use crate::client::{service, start, start_with, within};

const SERVICES: Resource = Resource::Services;

type Events<K> = Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>;

fn client(api: &ApiServer) -> Client {
    let config = kube::Config::new(api.url().parse().expect("a URL"));
    Client::try_from(config).expect("a client")
}

fn services(api: &ApiServer, config: watcher::Config) -> Events<Service> {
    Box::pin(watcher(Api::all(client(api)), config))
}

/// The next event; errors on the way are counted.
async fn next<K>(events: &mut Events<K>, errors: &mut usize) -> Event<K> {
    within(async {
        loop {
            match events.next().await.expect("a watcher never ends") {
                Ok(event) => return event,
                Err(_) => *errors += 1,
            }
        }
    })
    .await
}

/// The names from the beginning of a list to its end.
async fn initial<K: ResourceExt>(events: &mut Events<K>) -> BTreeSet<String> {
    let (mut names, mut errors) = (BTreeSet::new(), 0);
    assert!(matches!(next(events, &mut errors).await, Event::Init));
    loop {
        match next(events, &mut errors).await {
            Event::InitApply(object) => assert!(names.insert(object.name_any()), "twice"),
            Event::InitDone => return names,
            Event::Init => names.clear(),
            Event::Apply(_) | Event::Delete(_) => panic!("an event before the list is complete"),
        }
    }
}

async fn applied<K: ResourceExt>(events: &mut Events<K>) -> K {
    match next(events, &mut 0).await {
        Event::Apply(object) => object,
        Event::Delete(object) => panic!("{} deleted", object.name_any()),
        _ => panic!("listed again"),
    }
}

fn fill(api: &ApiServer, count: usize) -> BTreeSet<String> {
    let names: BTreeSet<String> = (0..count).map(|n| format!("s-{n:02}")).collect();
    for name in &names {
        api.create(service(name)).expect("a new Service");
    }
    names
}

#[tokio::test]
async fn a_watcher_lists_in_pages_and_then_follows() {
    let api = start().await;
    let names = fill(&api, 23);
    let mut events = services(&api, watcher::Config::default().page_size(5));
    assert_eq!(initial(&mut events).await, names);
    assert_eq!(api.counters().requests(Verb::List, SERVICES), 5);
    let mut changed = service("s-03");
    changed["metadata"]["labels"] = json!({"app": "web"});
    api.apply(changed).unwrap();
    assert_eq!(applied(&mut events).await.labels()["app"], "web");
    api.delete(SERVICES, "default/s-03").unwrap();
    let deleted = next(&mut events, &mut 0).await;
    assert!(matches!(deleted, Event::Delete(object) if object.name_any() == "s-03"));
}

#[tokio::test]
async fn a_watcher_that_loses_its_watch_resumes_without_a_list() {
    let api = start().await;
    fill(&api, 3);
    let mut events = services(&api, watcher::Config::default());
    initial(&mut events).await;
    for (cut, name) in [(Cut::Clean, "a"), (Cut::Abort, "b")] {
        // The watcher opens its watch when it is next asked for an event.
        let mut waiting = pin!(applied(&mut events));
        tokio::select! {
            _ = &mut waiting => panic!("an event from nowhere"),
            _ = api.until(|c| c.watches_open(SERVICES) == 1) => {}
        }
        api.drop_watches(cut);
        api.create(service(name)).unwrap();
        assert_eq!(waiting.await.name_any(), name);
    }
    assert_eq!(api.counters().requests(Verb::List, SERVICES), 1);
    assert_eq!(api.counters().requests(Verb::Watch, SERVICES), 3);
}

#[tokio::test]
async fn a_watcher_lists_again_after_410_in_an_event() {
    let api = start().await;
    let names = fill(&api, 3);
    let mut events = services(&api, watcher::Config::default());
    initial(&mut events).await;
    api.inject(Fault::gone().of(SERVICES).times(1));
    assert_eq!(initial(&mut events).await, names);
    assert_eq!(api.counters().requests(Verb::List, SERVICES), 2);
}

#[tokio::test]
async fn a_watcher_takes_the_status_410_for_any_other_error() {
    let api = start().await;
    fill(&api, 3);
    let mut events = services(&api, watcher::Config::default());
    initial(&mut events).await;
    api.create(service("new")).unwrap();
    api.inject(Fault::status(410).on(Verb::Watch).times(2));
    for _ in 0..2 {
        let error = within(events.next()).await.unwrap().unwrap_err();
        let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = error else {
            panic!("{error}")
        };
        assert_eq!(status.code, 410);
    }
    // It never lists, but asks again from the revision that it was told is gone.
    assert_eq!(applied(&mut events).await.name_any(), "new");
    assert_eq!(api.counters().requests(Verb::List, SERVICES), 1);
    assert_eq!(api.counters().requests(Verb::Watch, SERVICES), 3);
}

#[tokio::test]
async fn a_compaction_behind_a_disconnected_watcher_makes_it_list_again() {
    let api = start().await;
    fill(&api, 3);
    let mut events = services(&api, watcher::Config::default());
    initial(&mut events).await;
    // Its watch is not open yet, and what it wants to continue from is forgotten.
    api.delete(SERVICES, "default/s-01").unwrap();
    api.create(service("new")).unwrap();
    api.compact(api.revision());
    let names = initial(&mut events).await;
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["new", "s-00", "s-02"]);
}

#[tokio::test]
async fn a_bookmark_saves_a_watcher_from_listing_again() {
    let period = Some(Duration::from_millis(30));
    let api = start_with(Config { bookmark_interval: period, ..Config::default() }).await;
    fill(&api, 3);
    let mut events = services(&api, watcher::Config::default());
    initial(&mut events).await;
    let mut waiting = pin!(applied(&mut events));
    // Other kinds move the revision on; a bookmark tells the watcher, and then the past goes.
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}});
    tokio::select! {
        _ = &mut waiting => panic!("an event from nowhere"),
        () = async {
            api.until(|c| c.watches_open(SERVICES) == 1).await;
            api.create(node).unwrap();
            let sent = api.counters().bookmarks_sent(SERVICES);
            api.until(|c| c.bookmarks_sent(SERVICES) >= sent + 2).await;
        } => {}
    }
    // The watcher reads the bookmark before it reads the end.
    api.compact(api.revision());
    api.drop_watches(Cut::Clean);
    api.create(service("late")).unwrap();
    assert_eq!(waiting.await.name_any(), "late");
    assert_eq!(api.counters().requests(Verb::List, SERVICES), 1);
}

#[tokio::test]
async fn a_streaming_watcher_never_lists() {
    let api = start().await;
    let names = fill(&api, 23);
    let mut events = services(&api, watcher::Config::default().streaming_lists());
    assert_eq!(initial(&mut events).await, names);
    api.create(service("late")).unwrap();
    assert_eq!(applied(&mut events).await.name_any(), "late");
    api.inject(Fault::gone().times(1));
    api.drop_watches(Cut::Clean);
    assert_eq!(initial(&mut events).await.len(), 24);
    assert_eq!(api.counters().requests(Verb::List, SERVICES), 0);
}

#[tokio::test]
async fn a_watcher_survives_errors_cut_events_and_outages() {
    let api = start().await;
    fill(&api, 3);
    api.inject(Fault::status(500).on(Verb::List).times(2));
    let mut events: Events<Service> = Box::pin(kube::runtime::WatchStreamExt::default_backoff(
        watcher(Api::<Service>::all(client(&api)), watcher::Config::default()),
    ));
    assert_eq!(initial(&mut events).await.len(), 3);
    // kube-rs takes the ends of these streams for timeouts and resumes.
    for (cut, name) in [(Cut::Abort, "broken"), (Cut::Clean, "short")] {
        api.inject(Fault::truncate(0, cut).times(1));
        api.drop_watches(Cut::Clean);
        api.create(service(name)).unwrap();
        let event = next(&mut events, &mut 0).await;
        assert!(matches!(event, Event::Apply(object) if object.name_any() == name));
    }
    api.refuse_connections(Duration::from_millis(200));
    api.create(service("dark")).unwrap();
    let event = next(&mut events, &mut 0).await;
    assert!(matches!(event, Event::Apply(object) if object.name_any() == "dark"));
    assert_eq!(api.counters().requests(Verb::List, SERVICES), 3);
}

#[tokio::test]
async fn a_metadata_watcher_gets_metadata() {
    let api = start().await;
    let names = fill(&api, 7);
    for config in
        [watcher::Config::default().page_size(3), watcher::Config::default().streaming_lists()]
    {
        let objects = Api::<PartialObjectMeta<Service>>::all(client(&api));
        let mut events: Events<_> = Box::pin(watcher(objects, config));
        assert_eq!(initial(&mut events).await, names);
    }
}

#[tokio::test]
async fn selectors_of_a_proxy_choose_its_objects() {
    let api = start().await;
    let cluster = Cluster::synthetic(20, 5, 1);
    api.load(&cluster);
    let mut headless = service("headless");
    headless["spec"]["clusterIP"] = "None".into();
    api.create(headless).unwrap();
    let mut foreign = service("foreign");
    foreign["metadata"]["labels"] = json!({"service.kubernetes.io/service-proxy-name": "other"});
    api.create(foreign).unwrap();
    let config = watcher::Config::default()
        .labels("!service.kubernetes.io/service-proxy-name")
        .fields("spec.clusterIP!=None");
    assert_eq!(initial(&mut services(&api, config)).await.len(), 20);

    let slices = Api::<EndpointSlice>::all(client(&api));
    let config = watcher::Config::default().labels("!service.kubernetes.io/headless");
    let mut events: Events<_> = Box::pin(watcher(slices, config));
    assert_eq!(initial(&mut events).await.len(), 20);
    let (slice, index) = Cluster::slice(7, 2);
    api.change_endpoint(&slice, &EndpointChange::Ready { index, ready: false }).unwrap();
    let changed = applied(&mut events).await;
    let conditions = changed.endpoints[index].conditions.as_ref().unwrap();
    assert_eq!(conditions.ready, Some(false));
}

#[tokio::test]
async fn a_typed_client_reads_and_writes() {
    let api = start().await;
    let services = Api::<Service>::namespaced(client(&api), "default");
    let object: Service = serde_json::from_value(service("web")).unwrap();
    let created = services.create(&PostParams::default(), &object).await.unwrap();
    let mut replaced = created.clone();
    replaced.labels_mut().insert("app".into(), "web".into());
    let replaced = services.replace("web", &PostParams::default(), &replaced).await.unwrap();
    let stale = services.replace("web", &PostParams::default(), &created).await.unwrap_err();
    assert!(matches!(stale, kube::Error::Api(status) if status.code == 409));
    let patch = Patch::Merge(json!({"spec": {"sessionAffinity": "ClientIP"}}));
    let patched = services.patch("web", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.generation, Some(2));
    assert_eq!(patched.uid(), replaced.uid());
    assert_eq!(services.list(&ListParams::default()).await.unwrap().items, [patched]);
    assert!(services.delete("web", &kube::api::DeleteParams::default()).await.unwrap().is_right());
    assert!(services.get_opt("web").await.unwrap().is_none());
}

#[tokio::test]
async fn a_recorder_publishes_events_and_counts_repetitions() {
    let api = start().await;
    api.create(service("web")).unwrap();
    let services = Api::<Service>::namespaced(client(&api), "default");
    let about = services.get("web").await.unwrap().object_ref(&());
    let recorder = Recorder::new(client(&api), "trimtab.dev/proxy".into());
    let event = events::Event {
        type_: EventType::Warning,
        reason: "AddressInUse".into(),
        note: Some("10.96.0.1 belongs to another Service".into()),
        action: "Programming".into(),
        secondary: None,
    };
    for _ in 0..3 {
        recorder.publish(&event, &about).await.unwrap();
    }
    let published = api.list(Resource::EventsV1);
    assert_eq!(published.len(), 1);
    assert_eq!(published[0]["series"]["count"], 3);
    assert_eq!(api.list(Resource::Events)[0]["involvedObject"]["name"], "web");
}
