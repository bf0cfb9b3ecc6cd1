//! Lists, pages and selectors.

use serde_json::{Value, json};

use crate::client::{SERVICES, get, service, start, text};

fn encoded(token: &Value) -> String {
    form_urlencoded::byte_serialize(text(token).as_bytes()).collect()
}

#[tokio::test]
async fn pages_show_one_moment_whatever_happens_meanwhile() {
    let api = start().await;
    for n in 0..23 {
        api.create(service(&format!("s-{n:02}"))).unwrap();
    }
    let revision = api.revision().to_string();
    let mut names = Vec::new();
    let mut path = format!("{SERVICES}?limit=5");
    for (page, remaining) in [Some(18), Some(13), Some(8), Some(3), None].into_iter().enumerate() {
        let answer = get(&api, &path).await;
        let metadata = &answer.json()["metadata"];
        assert_eq!(metadata["resourceVersion"], *revision);
        assert_eq!(metadata.get("remainingItemCount"), remaining.map(Value::from).as_ref());
        names.extend(answer.names());
        if remaining.is_some() {
            path = format!("{SERVICES}?limit=5&continue={}", encoded(&metadata["continue"]));
        } else {
            assert_eq!(metadata.get("continue"), None);
        }
        api.create(service(&format!("s-{page:02}-late"))).unwrap();
        api.delete(test_api::Resource::Services, &format!("default/s-{:02}", 22 - page)).unwrap();
    }
    let expected: Vec<String> = (0..23).map(|n| format!("s-{n:02}")).collect();
    assert_eq!(names, expected);
    assert_eq!(get(&api, SERVICES).await.names().len(), 23);
}

#[tokio::test]
async fn a_page_of_a_compacted_moment_is_gone() {
    let api = start().await;
    for name in ["a", "b", "c"] {
        api.create(service(name)).unwrap();
    }
    let first = get(&api, &format!("{SERVICES}?limit=1")).await.json();
    api.create(service("d")).unwrap();
    api.compact(api.revision());
    let token = encoded(&first["metadata"]["continue"]);
    let answer = get(&api, &format!("{SERVICES}?limit=1&continue={token}")).await;
    assert_eq!((answer.status.as_u16(), &*text(&answer.json()["reason"])), (410, "Expired"));
}

#[tokio::test]
async fn resource_versions_mean_what_the_api_concepts_say() {
    let api = start().await;
    for name in ["a", "b", "c"] {
        api.create(service(name)).unwrap();
    }
    let revision = api.revision();
    api.create(service("d")).unwrap();
    for (query, count) in [
        ("resourceVersion=0&limit=1".to_owned(), 4),
        (format!("resourceVersion={revision}"), 4),
        (format!("resourceVersion={revision}&resourceVersionMatch=NotOlderThan&limit=2"), 2),
        (format!("resourceVersion={revision}&resourceVersionMatch=Exact"), 3),
        (format!("resourceVersion={revision}&limit=10"), 3),
    ] {
        assert_eq!(get(&api, &format!("{SERVICES}?{query}")).await.names().len(), count, "{query}");
    }
    let future = revision + 100;
    let answer = get(&api, &format!("{SERVICES}?resourceVersion={future}")).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.json()["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(get(&api, &format!("{SERVICES}/a?resourceVersion={future}")).await.status, 504);
}

#[tokio::test]
async fn selectors_choose_in_one_namespace_and_in_all() {
    let api = start().await;
    for (namespace, name, ip, labels) in [
        ("default", "web", "10.96.0.1", json!({"app": "web"})),
        ("default", "db", "None", json!({"app": "db", "service.kubernetes.io/headless": ""})),
        ("prod", "web", "10.96.0.2", json!({"service.kubernetes.io/service-proxy-name": "x"})),
    ] {
        let mut object = service(name);
        object["metadata"]["namespace"] = namespace.into();
        object["metadata"]["labels"] = labels;
        object["spec"]["clusterIP"] = ip.into();
        api.create(object).unwrap();
    }
    for (path, names) in [
        ("/api/v1/services?", vec!["db", "web", "web"]),
        ("/api/v1/namespaces/prod/services?", vec!["web"]),
        ("/api/v1/services?labelSelector=app+in+(web,db)&", vec!["db", "web"]),
        ("/api/v1/services?labelSelector=!service.kubernetes.io/headless&", vec!["web", "web"]),
        (
            "/api/v1/services?labelSelector=%21service.kubernetes.io%2Fservice-proxy-name\
             &fieldSelector=spec.clusterIP%21%3DNone&",
            vec!["web"],
        ),
        ("/api/v1/services?fieldSelector=metadata.namespace%3Dprod&", vec!["web"]),
        ("/api/v1/services?fieldSelector=metadata.name%3Ddb&", vec!["db"]),
    ] {
        let whole = get(&api, path).await;
        assert_eq!(whole.names(), names, "{path}");
        let page = get(&api, &format!("{path}limit=1")).await;
        assert_eq!(page.names(), names[..1], "{path}");
        assert_eq!(page.json()["metadata"].get("continue").is_some(), names.len() > 1, "{path}");
    }
    assert_eq!(get(&api, "/api/v1/services?fieldSelector=spec.ports%3D80").await.status, 400);
    assert_eq!(get(&api, "/api/v1/services?labelSelector=a+b").await.status, 400);
}
