//! `trimtab trace` as a program, with manifests: its output, and its errors for input that cannot be
//! used. Whether it is right is what the kernel tests show.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

/// Runs `trimtab trace` on the example cluster, with these further arguments.
fn trace(arguments: &[&str]) -> Ran {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example");
    let output = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .arg("trace")
        .arg("-f")
        .arg(example.join("shop.yaml"))
        .arg("--config")
        .arg(example.join("config.yaml"))
        .args(["--local-address", "eth0=10.0.0.10", "--local-address", "eth0=fd00:10::10"])
        .args(arguments)
        .output()
        .unwrap();
    Ran {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn result(arguments: &[&str]) -> String {
    let ran = trace(arguments);
    assert_eq!(ran.status, Some(0), "{arguments:?}: {}", ran.err);
    let (_, result) = ran.out.split_once("Result: ").unwrap();
    result.to_owned()
}

#[test]
fn the_result_says_who_answers_or_why_nobody_does() {
    for (arguments, words) in [
        (&["10.244.0.5", "10.96.1.1:80"][..], "one of 2 real servers is chosen:"),
        (&["10.244.0.7", "10.96.1.1:80"], "which sees the client as 10.244.0.7."),
        (&["[fd00:244::7]:40000", "[fd00:96::101]:80"], "answered by [fd00:244::5]:8080, "),
        (&["192.0.2.9:40000", "10.96.1.1:80", "tcp"], "sees an address of this node"),
        (&["node", "10.96.0.10:53", "udp"], "sees an address of this node"),
        (&["192.0.2.9", "10.96.0.10:53", "tcp"], "no Service has this port and protocol there"),
        (&["192.0.2.9", "10.0.0.10:22"], "no virtual server of this node has 10.0.0.10:22"),
        (&["10.244.0.5", "10.244.1.9:80", "sctp"], "not a Service of this node"),
    ] {
        let found = result(arguments);
        assert!(found.contains(words), "{arguments:?}: {found}");
    }
}

#[test]
fn the_place_is_found_by_the_address_unless_it_is_given() {
    for (source, further, place) in [
        ("10.244.0.5", &[][..], "pod"),
        ("10.244.1.9", &[], "other-pod"),
        ("10.0.0.10", &[], "node"),
        ("node", &[], "node"),
        ("192.0.2.9", &[], "outside"),
        ("10.244.0.5", &["--from", "outside"], "outside"),
        ("10.244.1.77", &["--pod-network", "10.244.1.0/24"], "pod"),
    ] {
        let arguments = [&[source, "10.96.1.1:80", "-o", "json"], further].concat();
        let ran = trace(&arguments);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(document["packet"]["from"], place, "{arguments:?}");
        assert_eq!(document["result"], "balanced");
        assert_eq!(document["virtualServer"]["service"], "shop/web");
        let ways = document["ways"].as_array().unwrap();
        let real_servers = ways.iter().map(|way| way["realServers"].as_array().unwrap().len());
        assert_eq!(real_servers.sum::<usize>(), 2);
    }
}

#[test]
fn without_manifests_rules_that_need_the_node_object_have_to_be_told_of_it() {
    let mut config = tempfile::NamedTempFile::new().unwrap();
    let text = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
                mode: ipvs\ndetectLocalMode: NodeCIDR\n";
    std::io::Write::write_all(&mut config, text.as_bytes()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .args(["trace", "node", "10.96.1.1:80", "--config"])
        .arg(config.path())
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("NodeCIDR") && err.contains("--pod-network"), "{err}");
}

#[test]
fn input_that_cannot_be_used_is_told() {
    for (arguments, words) in [
        (&["10.244.0.5", "10.96.1.1"][..], "expected an address and a port"),
        (&["web", "10.96.1.1:80"], "or the word node"),
        (&["10.244.0.5", "[fd00:96::101]:80"], "different address families"),
        (&["10.244.0.5", "10.96.1.1:80", "icmp"], "invalid value 'icmp'"),
        (&["10.244.0.5", "10.96.1.1:80", "-f", "/no/such/file"], "/no/such/file"),
        (&["10.244.0.5", "10.96.1.1:80", "--local-address", "10.0.0.1"], "DEV=ADDRESS"),
    ] {
        let ran = trace(arguments);
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }
}
