//! Create, update, patch and delete.

use http::{Method, Request, header};
use serde_json::{Value, json};
use test_api::{Resource, Verb};

use crate::client::{SERVICES, SLICES, call, get, service, start, text, try_call};

#[tokio::test]
async fn an_object_lives_from_post_to_delete() {
    let api = start().await;
    let created = call(&api, Method::POST, SERVICES, &service("web")).await;
    assert_eq!(created.status, 201);
    let mut object = created.json();
    for field in ["uid", "creationTimestamp", "resourceVersion"] {
        assert!(!text(&object["metadata"][field]).is_empty(), "{field}");
    }
    assert_eq!(object["metadata"]["generation"], 1);
    assert_eq!(object["metadata"]["namespace"], "default");
    assert_eq!(object["spec"]["clusterIPs"], json!(["10.96.0.1"]));

    object["spec"]["ports"][0]["port"] = 81.into();
    let url = format!("{SERVICES}/web");
    let updated = call(&api, Method::PUT, &url, &object).await;
    assert_eq!(updated.status, 200);
    assert_eq!(updated.json()["metadata"]["generation"], 2);
    assert_eq!(updated.json()["metadata"]["uid"], object["metadata"]["uid"]);

    let stale = call(&api, Method::PUT, &url, &object).await;
    assert_eq!((stale.status.as_u16(), &*text(&stale.json()["reason"])), (409, "Conflict"));

    let patch = json!({"metadata": {"labels": {"app": "web"}}});
    let patched = call(&api, Method::PATCH, &url, &patch).await;
    assert_eq!(patched.json()["metadata"]["labels"]["app"], "web");
    assert_eq!(patched.json()["metadata"]["generation"], 2);
    assert_eq!(get(&api, &url).await.json(), patched.json());

    let deleted = call(&api, Method::DELETE, &url, &json!({})).await;
    assert_eq!(deleted.json()["status"], "Success");
    assert_eq!(deleted.json()["details"]["uid"], object["metadata"]["uid"]);
    let gone = get(&api, &url).await;
    assert_eq!((gone.status.as_u16(), &*text(&gone.json()["reason"])), (404, "NotFound"));
    assert_eq!(api.counters().requests(Verb::Update, Resource::Services), 2);
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let api = start().await;
    call(&api, Method::POST, SERVICES, &service("web")).await;
    let again = call(&api, Method::POST, SERVICES, &service("web")).await;
    assert_eq!((again.status.as_u16(), &*text(&again.json()["reason"])), (409, "AlreadyExists"));
    let elsewhere = SERVICES.replace("default", "other");
    assert_eq!(call(&api, Method::POST, &elsewhere, &service("web")).await.status, 201);
}

#[tokio::test]
async fn a_status_is_written_apart() {
    let api = start().await;
    let mut object = service("web");
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    let created = call(&api, Method::POST, SERVICES, &object).await;
    assert_eq!(created.json().get("status"), None);
    let url = format!("{SERVICES}/web/status");
    let written = call(&api, Method::PUT, &url, &object).await.json();
    assert_eq!(written["status"], object["status"]);
    assert_eq!(written["metadata"]["generation"], 1);
    let patch = json!({"status": {"loadBalancer": {"ingress": []}}, "spec": {"type": "NodePort"}});
    let patched = call(&api, Method::PATCH, &url, &patch).await.json();
    assert_eq!(patched["status"]["loadBalancer"]["ingress"], json!([]));
    assert_eq!(patched["spec"]["type"], "ClusterIP");
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() {
    let api = start().await;
    for (name, tier) in [("a", "front"), ("b", "back"), ("c", "front")] {
        let mut object = service(name);
        object["metadata"]["labels"] = json!({"tier": tier});
        api.create(object).unwrap();
    }
    let path = format!("{SERVICES}?labelSelector=tier%3Dfront");
    let deleted = call(&api, Method::DELETE, &path, &json!({})).await;
    assert_eq!(deleted.names(), ["a", "c"]);
    assert_eq!(get(&api, SERVICES).await.names(), ["b"]);
}

#[tokio::test]
async fn events_are_read_in_the_other_group() {
    let api = start().await;
    let event = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "web.1"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "trimtab.dev/proxy",
        "reportingInstance": "node-a",
        "action": "Programming",
        "reason": "AddressInUse",
        "regarding": {"kind": "Service", "namespace": "default", "name": "web"},
        "note": "10.96.0.1 belongs to another Service",
        "type": "Warning",
    });
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    assert_eq!(call(&api, Method::POST, path, &event).await.status, 201);
    let series = json!({"series": {"count": 2}});
    assert_eq!(call(&api, Method::PATCH, &format!("{path}/web.1"), &series).await.status, 200);
    let selector = "involvedObject.name%3Dweb%2CinvolvedObject.kind%3DService";
    let core = get(&api, &format!("/api/v1/events?fieldSelector={selector}")).await.json();
    assert_eq!(core["items"][0]["message"], event["note"]);
    assert_eq!(core["items"][0]["series"]["count"], 2);
    assert_eq!(api.list(Resource::EventsV1)[0]["note"], event["note"]);
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_with_a_status() {
    let api = start().await;
    api.create(service("web")).unwrap();
    let web = format!("{SERVICES}/web");
    let json = "application/json";
    for (method, path, content_type, body, code) in [
        (Method::POST, SERVICES, "application/vnd.kubernetes.protobuf", "k8s\0", 415),
        (Method::POST, SERVICES, json, "{", 400),
        (Method::POST, SERVICES, json, "[]", 400),
        (Method::POST, SERVICES, json, r#"{"kind":"Node","metadata":{"name":"x"}}"#, 400),
        (Method::POST, SERVICES, json, r#"{"metadata":{}}"#, 422),
        (Method::POST, "/api/v1/services", json, r#"{"metadata":{"name":"x"}}"#, 405),
        (Method::PUT, SERVICES, json, "{}", 405),
        (Method::PUT, &web, json, r#"{"metadata":{"name":"other"}}"#, 400),
        (Method::PATCH, &web, "application/json-patch+json", "[]", 415),
        (Method::PATCH, &web, "application/apply-patch+yaml", "{}", 415),
        (Method::DELETE, &web, json, r#"{"preconditions":{"uid":"other"}}"#, 409),
        (Method::GET, "/api/v1/gadgets", json, "", 404),
        (Method::GET, "/api/v1/services/web", json, "", 404),
    ] {
        let request = Request::builder().method(&method).uri(path);
        let request = request.header(header::CONTENT_TYPE, content_type);
        let answer = try_call(&api, request, body).await.unwrap();
        assert_eq!(answer.status, code, "{method} {path} {body}");
        assert_eq!(answer.json()["kind"], "Status", "{method} {path} {body}");
        assert_eq!(answer.json()["code"], code);
    }
    let huge = json!({"metadata": {"name": "big", "annotations": {"a": "x".repeat(4 << 20)}}});
    assert_eq!(call(&api, Method::POST, SERVICES, &huge).await.status, 413);
    assert_eq!(api.list(Resource::Services).len(), 1);
}

#[tokio::test]
async fn nonsense_in_a_spec_is_kept_for_the_client_under_test() {
    let api = start().await;
    let mut object = service("bad");
    object["spec"]["ports"] = json!([{"port": 70_000, "protocol": "CARRIER-PIGEON"}]);
    object["spec"]["clusterIP"] = "not an address".into();
    object["metadata"]["annotations"] = json!({"trimtab.dev/scheduler": "x".repeat(5000)});
    assert_eq!(call(&api, Method::POST, SERVICES, &object).await.status, 201);
    let slice = json!({
        "metadata": {"name": "bad", "labels": {"kubernetes.io/service-name": "bad"}},
        "addressType": "FQDN",
        "endpoints": [{"addresses": ["2001:db8::1", "10.0.0.300"]}],
        "ports": Value::Null,
    });
    let created = call(&api, Method::POST, SLICES, &slice).await.json();
    assert_eq!(created["endpoints"], slice["endpoints"]);
    let read = get(&api, &format!("{SERVICES}/bad")).await.json();
    assert_eq!(read["spec"]["ports"][0]["port"], 70_000);
    assert_eq!(read["spec"]["clusterIPs"], json!(["not an address"]));
}

#[tokio::test]
async fn the_library_keeps_what_it_is_given() {
    let api = start().await;
    let mut object = service("old");
    object["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
    object["metadata"]["uid"] = "chosen".into();
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    api.apply(object.clone()).unwrap();
    let kept = api.get(Resource::Services, "default/old").unwrap();
    assert_eq!(kept["metadata"]["uid"], "chosen");
    assert_eq!(kept["metadata"]["creationTimestamp"], "2020-01-01T00:00:00Z");
    assert_eq!(kept["status"], object["status"]);
    let before = api.revision();
    api.apply(object).unwrap();
    assert_eq!(api.revision(), before);
    api.delete(Resource::Services, "default/old").unwrap();
    assert!(api.delete(Resource::Services, "default/old").unwrap_err().is_not_found());
}
