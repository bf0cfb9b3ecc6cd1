//! `trimtab explain` from manifests: a sentence for every reason.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const NODE: &str = "---\napiVersion: v1\nkind: Node\nmetadata: {name: here, labels: \
                    {topology.kubernetes.io/zone: a}}\n";

/// A Service `n/NAME` of both policies with these endpoints, in YAML.
fn objects(name: &str, endpoints: &[&str]) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: n}}\n\
         spec: {{type: LoadBalancer, clusterIP: 10.96.0.1, externalTrafficPolicy: Local, \
         healthCheckNodePort: 31000, ports: [{{name: http, port: 80}}]}}\n\
         status: {{loadBalancer: {{ingress: [{{ip: 203.0.113.1}}]}}}}\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {name}-1, namespace: n, labels: \
         {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nports: [{{name: http, port: 8080}}]\nendpoints: [{}]\n",
        endpoints.join(", ")
    )
}

fn run(manifest: &str, words: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .args(["explain", "-f", "-", "--hostname-override", "here"])
        .args(["--local-address", "eth0=10.0.0.10"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn explained(manifest: &str, words: &[&str]) -> String {
    let output = run(manifest, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Endpoints of a Service, and lines of its explanation.
const CASES: &[(&[&str], &[&str])] = &[
    (
        &[
            "{addresses: [10.244.0.1], nodeName: here}",
            "{addresses: [10.244.0.2], nodeName: there}",
            "{addresses: [10.244.0.3], nodeName: here, conditions: {ready: false}}",
            "{addresses: [10.244.0.4], nodeName: here, conditions: {ready: false, serving: true, \
             terminating: true}}",
            "{addresses: [10.244.0.5], nodeName: here, conditions: {ready: false, serving: false, \
             terminating: true}}",
            "{addresses: [10.244.0.6]}",
        ],
        &[
            "  Where endpoints on any node may answer: no ready one has a topology hint, so none is \
             preferred.",
            "    answers:         10.244.0.1:8080 on here: it is ready",
            "    answers:         10.244.0.2:8080 on there: it is ready",
            "    does not answer: 10.244.0.3:8080 on here: it is not ready",
            "    does not answer: 10.244.0.4:8080 on here: it is terminating, and others are ready",
            "    does not answer: 10.244.0.5:8080 on here: it is terminating and no longer serves",
            "  Where only endpoints on this node may answer:",
            "    answers:         10.244.0.1:8080 on here: it is ready and on this node",
            "    does not answer: 10.244.0.2:8080 on there: it is not on this node",
            "    does not answer: 10.244.0.6:8080: its EndpointSlice does not say on which node it is",
        ],
    ),
    (
        &["{addresses: [10.244.0.1], nodeName: here, conditions: {ready: false, serving: true, \
             terminating: true}}"],
        &[
            "  Where endpoints on any node may answer: none is ready, so those that are terminating \
             but still serve are the last resort.",
            "    answers:         10.244.0.1:8080 on here: it is terminating but still serves, and \
             none is ready",
            "    answers:         10.244.0.1:8080 on here: it is terminating but still serves, and \
             none on this node is ready",
        ],
    ),
    (
        &[
            "{addresses: [10.244.0.1], nodeName: there, hints: {forZones: [{name: a}]}}",
            "{addresses: [10.244.0.2], nodeName: there, hints: {forZones: [{name: b}]}}",
        ],
        &[
            "    answers:         10.244.0.1:8080 on there: it is ready and hinted for this node's \
             zone, a",
            "    does not answer: 10.244.0.2:8080 on there: it is hinted for another zone: b",
            "    Nobody answers.",
        ],
    ),
    (
        &[
            "{addresses: [10.244.0.1], nodeName: here, hints: {forNodes: [{name: here}]}}",
            "{addresses: [10.244.0.2], nodeName: there, hints: {forNodes: [{name: there}]}}",
        ],
        &[
            "    answers:         10.244.0.1:8080 on here: it is ready and hinted for this node",
            "    does not answer: 10.244.0.2:8080 on there: it is hinted for another node: there",
        ],
    ),
    (
        &["{addresses: [10.244.0.1], hints: {forZones: [{name: a}]}}", "{addresses: [10.244.0.2]}"],
        &["  Where endpoints on any node may answer: some ready ones have no topology hint, so \
             hints are not followed."],
    ),
    (
        &["{addresses: [10.244.0.1], hints: {forZones: [{name: b}]}}"],
        &[
            "  Where endpoints on any node may answer: every ready one has topology hints, but none \
             is for this node or its zone, so they are not followed.",
        ],
    ),
    (&[], &["The port http (TCP, IPv4) has no endpoints in 1 EndpointSlice."]),
];

#[test]
fn every_reason_has_its_sentence() {
    for (endpoints, lines) in CASES {
        let text = explained(&(NODE.to_owned() + &objects("web", endpoints)), &["n/web"]);
        for line in *lines {
            assert!(text.lines().any(|one| one == *line), "{line}\n{text}");
        }
    }
}

#[test]
fn frontends_sets_and_conflicts_are_explained() {
    let manifest = NODE.to_owned()
        + &objects("web", &["{addresses: [10.244.0.1], nodeName: here}"])
        + "---\napiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: n}\n\
           spec: {clusterIP: 10.96.0.2, externalIPs: [203.0.113.1, 127.0.0.5], \
           ports: [{name: web, port: 80}]}\n";
    let text = explained(&manifest, &["-n", "n", "web"]);
    for line in [
        "Service n/web on node here, in zone a",
        "TCP 10.96.0.1:80 (cluster IP) leads to the port http (TCP, IPv4).",
        "  internalTrafficPolicy is Cluster: endpoints on any node may answer.",
        "TCP 203.0.113.1:80 (load-balancer IP) leads to the port http (TCP, IPv4).",
        "  externalTrafficPolicy is Local: only endpoints on this node may answer.",
        "  Other Services ask for it, too, and do not get it: n/other.",
        "  KUBE-LOAD-BALANCER-LOCAL has 203.0.113.1,tcp:80: packets to it keep the client's address.",
        "KUBE-HEALTH-CHECK-NODE-PORT has 31000: load balancers may ask for its health at this port.",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let inside = "  Pods and the node itself get what is behind mark 0x";
    assert!(text.lines().any(|one| one.starts_with(inside)), "{text}");
    let text = explained(&manifest, &["n/other"]);
    for words in [
        "Problem: RefusedAddress: spec.externalIPs: 127.0.0.5 is a loopback address",
        "  It is not served for this Service: n/web has it as its load-balancer IP, which goes before \
         the external IP of another Service.",
        "The port web (TCP, IPv4) has no endpoints: no EndpointSlice has this port.",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn the_same_is_there_for_programs_and_a_service_that_is_not_there_is_an_error() {
    let manifest = objects("web", &["{addresses: [10.244.0.1], nodeName: there}"]);
    let text = explained(&manifest, &["n/web", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["ports"][0]["endpoints"][0]["local"]["reason"], "notHere");
    assert_eq!(told["ports"][0]["endpoints"][0]["cluster"]["answers"], true);
    let yaml = explained(&manifest, &["n/web", "-o", "yaml"]);
    assert!(yaml.contains("topology: noHints"), "{yaml}");
    let missing = run(&manifest, &["n/nobody"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no Service n/nobody is proxied"));
    let address = run(&manifest, &["10.96.0.1"]);
    assert_eq!(address.status.code(), Some(2));
}
