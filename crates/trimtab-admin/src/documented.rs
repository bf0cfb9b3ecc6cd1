//! The book's page about the admin socket has every field.

use serde_json::Value;

use crate::{
    ApiServer, Comparison, Connections, Draining, Drift, DriftFound, Element, Endpoint,
    ExplainedFrontend, ExplainedPort, Explanation, Failure, Frontend, Held, Inside, Kind, Policy,
    PortName, Precedence, Protocol, RealServer, Reason, Service, ServiceName, ServicePage, SetRole,
    Stage, Summary, Topology, Verdict, Warning,
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

fn explanation() -> Explanation {
    let name = || ServiceName { namespace: String::new(), name: String::new() };
    let port = || PortName { name: String::new(), protocol: Protocol::Udp, ipv6: true };
    let verdict = Verdict { answers: true, reason: Reason::LastServing };
    let element = || Element {
        set: String::new(),
        role: SetRole::LoadBalancerSourceNode,
        value: String::new(),
    };
    let frontend = ExplainedFrontend {
        address: Some([0, 0, 0, 0].into()),
        port: Some(1),
        mark: Some(1),
        kind: Kind::ClusterIp,
        service_port: port(),
        policy: Policy::Cluster,
        held: Some(Held { by: name(), kind: Kind::Inside, because: Precedence::StrongerKind }),
        refused_to: vec![name()],
        inside: Inside::WithoutMark,
        inside_mark: Some(1),
        elements: vec![element()],
        binds: true,
    };
    let endpoint = Endpoint {
        address: [0, 0, 0, 0].into(),
        port: 1,
        node: Some(String::new()),
        ready: true,
        serving: true,
        terminating: false,
        zone_hints: vec![String::new()],
        node_hints: vec![String::new()],
        weight: 1,
        cluster: verdict,
        local: verdict,
    };
    let explained = ExplainedPort {
        port: port(),
        slices: 1,
        topology: Topology::SomeWithoutHint,
        endpoints: vec![endpoint],
        endpoint_count: 1,
    };
    Explanation {
        namespace: String::new(),
        name: String::new(),
        node: String::new(),
        zone: Some(String::new()),
        problems: vec![Warning { reason: String::new(), message: String::new() }],
        frontends: vec![frontend],
        ports: vec![explained],
        other_ports: vec![port()],
        elements: vec![element()],
        next: Some(1),
    }
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
    let answers = [
        serde_json::to_value(summary()),
        serde_json::to_value(page()),
        serde_json::to_value(explanation()),
    ];
    for answer in answers {
        fields(&answer.unwrap(), &mut found);
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
    let text = serde_json::to_string(&explanation()).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation());
}
