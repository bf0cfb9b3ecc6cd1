//! `trimtab plan` as a program: its output, and its errors for invalid input.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::io::Write as _;
use std::process::{Command, Stdio};

struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

/// Runs `trimtab plan -f -` with this input and these further arguments.
fn plan(input: &str, arguments: &[&str]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .args(["plan", "-f", "-", "--hostname-override", "node-a"])
        .args(["--local-address", "eth0=10.0.0.10", "--local-address", "eth0=fd00:10::10"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Refused input: nothing on stdout, exit status 2, and these words in the message.
fn assert_refused(input: &str, words: &[&str]) {
    let ran = plan(input, &["-o", "ipvsadm"]);
    assert_eq!(ran.status, Some(2), "{input}\n{}", ran.err);
    assert_eq!(ran.out, "");
    for word in words {
        assert!(ran.err.contains(word), "{word:?} is not in:\n{}", ran.err);
    }
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
}

fn service(spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\nspec: {spec}\n"
    )
}

const GOOD: &str = "{clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}";

#[test]
fn a_service_without_endpoints_is_a_virtual_server_without_real_servers() {
    let ran = plan(&service(GOOD), &["-o", "ipvsadm"]);
    assert_eq!(
        (ran.status, ran.out.as_str()),
        (Some(0), "-A -t 10.96.0.1:80 -s rr\n"),
        "{}",
        ran.err
    );
    assert_eq!(plan(&service(GOOD), &["-o", "addresses"]).out, "10.96.0.1\n");
    assert_eq!(plan(&service(GOOD), &["-o", "addresses", "--family", "ipv6"]).out, "");
}

#[test]
fn text_that_is_not_yaml_is_refused_with_its_place() {
    assert_refused("kind: [Service", &["standard input", "line"]);
    assert_refused("{\"kind\": ", &["standard input", "not JSON"]);
    assert_refused("just words", &["standard input"]);
    assert_refused("- a\n- b\n", &["standard input"]);
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    let words = ["standard input", "Service shop/web", "spec.ports[0].port"];
    assert_refused(&service("{clusterIP: 10.96.0.1, ports: [{port: eighty}]}"), &words);
    assert_refused("apiVersion: v1\nkind: Service\nspec: {}\n", &["Service", "metadata.name"]);
}

#[test]
fn values_that_the_api_does_not_allow_are_refused_and_named() {
    for (spec, words) in [
        ("{clusterIP: 10.96.0.300}", ["spec.clusterIP[0]", "10.96.0.300"]),
        ("{clusterIP: 10.96.0.1, ports: [{port: 0}]}", ["spec.ports[0].port", "0"]),
        ("{clusterIP: 10.96.0.1, ports: [{port: 70000}]}", ["spec.ports[0].port", "70000"]),
        (
            "{clusterIP: 10.96.0.1, ports: [{port: 80, protocol: ICMP}]}",
            ["spec.ports[0].protocol", "ICMP"],
        ),
        ("{clusterIP: 10.96.0.1, externalIPs: [nowhere]}", ["spec.externalIPs[0]", "nowhere"]),
        (
            "{clusterIP: 10.96.0.1, loadBalancerSourceRanges: [10.0.0.0/40]}",
            ["spec.loadBalancerSourceRanges[0]", "10.0.0.0/40"],
        ),
        ("{clusterIP: 10.96.0.1, type: Magic}", ["spec.type", "Magic"]),
    ] {
        assert_refused(&service(spec), &[&words[..], &["Service shop/web"]].concat());
    }
}

#[test]
fn a_slice_without_a_service_is_skipped_by_name() {
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
                 metadata: {name: lost, namespace: shop}\naddressType: IPv4\nendpoints: null\n";
    let ran = plan(&format!("{}---\n{slice}", service(GOOD)), &["-o", "ipvsadm"]);
    assert_eq!((ran.status, ran.out.lines().count()), (Some(0), 1));
    assert!(ran.err.contains("EndpointSlice shop/lost: skipped"), "{}", ran.err);
    assert!(ran.err.contains("kubernetes.io/service-name"), "{}", ran.err);
}

#[test]
fn other_kinds_are_skipped_with_a_note_and_lists_are_opened() {
    let input = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
         "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}}]}"#;
    let ran = plan(input, &["-o", "addresses"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(0), "10.96.0.1\n"));
    assert!(ran.err.contains("ConfigMap c: skipped"), "{}", ran.err);
    // As kubectl prints a list of one kind.
    let input = r#"{"apiVersion": "v1", "kind": "ServiceList", "items": [
        {"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.2", "ports": [{"port": 80}]}}]}"#;
    assert_eq!(plan(input, &["-o", "addresses"]).out, "10.96.0.2\n");
}

#[test]
fn a_wrong_annotation_is_ignored_with_a_warning() {
    let long = "x".repeat(5000);
    for (key, value) in [
        ("scheduler", "fastest"),
        ("scheduler", &long),
        ("scheduler-flags", "sh-port,upside-down"),
        ("one-packet", "yes"),
        ("one-packet", "true"),
        ("max-connections", "-1"),
        ("drain-timeout", "soon"),
        ("colour", "blue"),
    ] {
        let input = format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations: \
             {{trimtab.dev/{key}: \"{value}\"}}\nspec: {GOOD}\n"
        );
        let ran = plan(&input, &["-o", "ipvsadm"]);
        assert_eq!((ran.status, ran.out.as_str()), (Some(0), "-A -t 10.96.0.1:80 -s rr\n"));
        assert!(ran.err.contains(&format!("trimtab.dev/{key}")), "{}", ran.err);
        assert!(ran.err.len() < 1000, "a message is cut where it is long");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_refused() {
    let folder = std::env::temp_dir().join(format!("trimtab-plan-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let refused = |yaml: &str, words: &[&str]| {
        let path = folder.join("config.yaml");
        std::fs::write(&path, yaml).unwrap();
        let ran = plan(&service(GOOD), &["--config", path.to_str().unwrap()]);
        assert_eq!(ran.status, Some(2), "{yaml}: {}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{word:?} is not in: {}", ran.err);
        }
    };
    refused("ipvs: {syncPeriod: soon}", &["config.yaml", "soon"]);
    refused("ipvs: {minSyncPeriod: 1m, syncPeriod: 30s}", &["ipvs.minSyncPeriod"]);
    refused("ipvs: {excludeCIDRs: [10.0.0.0]}", &["ipvs.excludeCIDRs[0]", "10.0.0.0"]);
    refused("ipvs: {scheduler: round robin}", &["ipvs.scheduler"]);
    refused("clusterCIDR: 10.244.0.0/16,10.245.0.0/16", &["clusterCIDR"]);
    refused("nodePortAddresses: [primary, 10.0.0.0/8]", &["nodePortAddresses"]);
    refused("detectLocalMode: BridgeInterface", &["detectLocal.bridgeInterface"]);
    refused("iptables: {masqueradeBit: 32}", &["iptables.masqueradeBit"]);
    refused("healthzBindAddress: everywhere", &["healthzBindAddress"]);
    refused("kind: Deployment", &["KubeProxyConfiguration"]);
    refused("mode: [", &["config.yaml"]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn json_says_which_service_each_part_is_for() {
    let ran = plan(&service(GOOD), &["-o", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let one = &document["services"][0];
    assert_eq!((one["namespace"].as_str(), one["name"].as_str()), (Some("shop"), Some("web")));
    assert_eq!(one["virtualServers"][0]["frontend"]["address"], "10.96.0.1");
    assert_eq!(one["addresses"][0], "10.96.0.1");
    assert!(document["rules"].as_str().unwrap().contains("KUBE-SERVICES"));
}

#[test]
fn the_mode_of_another_proxy_is_refused_with_what_to_use_instead() {
    for mode in ["iptables", "nftables"] {
        let output = Command::new(env!("CARGO_BIN_EXE_trimtab"))
            .args(["run", &format!("--proxy-mode={mode}")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("--proxy-mode") && text.contains("\"ipvs\""), "{text}");
    }
}

#[test]
fn nodes_weigh_their_endpoints_where_the_configuration_says_so() {
    let node = |name: &str, weight: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {name}, annotations: \
             {{trimtab.dev/weight: '{weight}'}}}}\n"
        )
    };
    let slice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, \
                 namespace: shop, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n\
                 ports: [{name: http, port: 8080}]\nendpoints: [{addresses: [10.244.1.1], nodeName: \
                 node-b}, {addresses: [10.244.2.1], nodeName: node-c}]\n";
    let input = service(GOOD) + slice + &node("node-b", "5") + &node("node-c", "many");
    let weights = |ran: &Ran| -> Vec<String> {
        let lines = ran.out.lines().filter(|line| line.starts_with("-a"));
        lines.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
    };
    let ran = plan(&input, &["-o", "ipvsadm"]);
    assert_eq!(weights(&ran), ["1", "1"]);
    assert!(!ran.err.contains("many"), "{}", ran.err);
    let path = std::env::temp_dir().join(format!("trimtab-weights-{}.yaml", std::process::id()));
    std::fs::write(&path, "trimtab: {nodeWeights: true}").unwrap();
    let ran = plan(&input, &["-o", "ipvsadm", "--config", path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!((ran.status, weights(&ran)), (Some(0), vec!["5".to_owned(), "1".to_owned()]));
    assert!(ran.err.contains("node-c") && ran.err.contains("\"many\""), "{}", ran.err);
}
