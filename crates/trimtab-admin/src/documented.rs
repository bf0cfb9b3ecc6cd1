//! The book's page about the admin socket has every field.

use serde_json::Value;

use crate::{
    ApiServer, Comparison, Connections, Draining, Drift, DriftFound, Failure, Frontend, Kind,
    Policy, Protocol, RealServer, Service, ServiceName, ServicePage, Stage, Summary, Warning,
};

const PAGE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/reference/admin-socket.md"));

fn summary() -> Summary {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let drift = Drift::default();
    Summary {
        version: String::new(),
        node: String::new(),
        started: now,
        stage: Stage::Ready,
        ready: true,
        healthy: true,
        other_proxy: false,
        services: 1,
        virtual_servers: 1,
        real_servers: 1,
        draining: 1,
        pending: 1,
        retrying: 1,
        failing_services: 1,
        warnings: 1,
        lag_seconds: Some(1.0),
        comparison: Comparison {
            period_seconds: 1.0,
            completed: Some(now),
            drift,
            last_drift: Some(DriftFound { at: now, drift }),
        },
        api_server: Some(ApiServer { followed: true, silent_seconds: 1.0 }),
    }
}

fn page() -> ServicePage {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let (namespace, name) = (String::new(), String::new());
    let real_server = RealServer {
        address: [0, 0, 0, 0].into(),
        port: 1,
        wanted_weight: Some(1),
        weight: Some(1),
        draining: Some(Draining { since: now, until: now }),
        connections: Some(Connections { active: 1, inactive: 1 }),
    };
    let frontend = Frontend {
        address: Some([0, 0, 0, 0].into()),
        port: Some(1),
        mark: Some(1),
        ipv6: false,
        protocol: Protocol::Sctp,
        kind: Kind::ExternalIp,
        port_name: String::new(),
        policy: Policy::Local,
        held_by: Some(ServiceName { namespace: namespace.clone(), name: name.clone() }),
        inside_mark: Some(1),
        scheduler: String::new(),
        persistence_seconds: Some(1),
        one_packet: false,
        max_connections: 1,
        programmed: true,
        real_servers: vec![real_server],
        real_server_count: 1,
    };
    let service = Service {
        namespace,
        name,
        pending: false,
        retrying: 1,
        last_change: Some(now),
        last_error: Some(Failure { at: now, message: String::new() }),
        warnings: vec![Warning { reason: String::new(), message: String::new() }],
        frontends: vec![frontend],
    };
    ServicePage { services: vec![service], next: Some(String::new()) }
}

fn fields(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                found.push(key.clone());
                fields(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        _ => {}
    }
}

#[test]
fn every_field_is_in_the_book() {
    let mut found = Vec::new();
    for answer in [serde_json::to_value(summary()).unwrap(), serde_json::to_value(page()).unwrap()]
    {
        fields(&answer, &mut found);
    }
    assert!(found.len() > 40, "{found:?}");
    let is_missing = |field: &&String| {
        !PAGE.contains(&format!("`{field}`")) && !PAGE.contains(&format!(".{field}`"))
    };
    let missing: Vec<&String> = found.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "not in docs/src/reference/admin-socket.md: {missing:?}");
}

#[test]
fn what_is_written_is_read_back() {
    let (summary, page) = (summary(), page());
    let text = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
    let text = serde_json::to_string(&page).unwrap();
    assert_eq!(serde_json::from_str::<ServicePage>(&text).unwrap(), page);
}
