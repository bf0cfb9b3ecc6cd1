//! Messages about invalid values.

use trimtab_config::{Error, fields};

use crate::read;

fn complaints(text: &str) -> Vec<String> {
    match read(text) {
        Err(Error::Values(complaints)) => complaints.0.iter().map(ToString::to_string).collect(),
        Err(other) => vec![other.to_string()],
        Ok(_) => Vec::new(),
    }
}

#[test]
fn a_complaint_names_the_file_and_the_field() {
    for (text, complaint) in [
        ("mode: iptables", "mode: \"iptables\" is a mode of kube-proxy"),
        ("mode: magic", "mode: unknown mode \"magic\""),
        ("bindAddress: here", "bindAddress: \"here\" is not an IP address"),
        ("healthzBindAddress: here:1", "healthzBindAddress: \"here:1\" is not an address"),
        ("clusterCIDR: 10.244.0.0", "clusterCIDR[0]: \"10.244.0.0\" is not a CIDR"),
        ("clusterCIDR: '10.0.0.0/8,10.1.0.0/16'", "clusterCIDR: expected one CIDR"),
        (
            "nodePortAddresses: [primary, 10.0.0.0/8]",
            "nodePortAddresses: primary cannot be combined",
        ),
        ("nodePortAddresses: primary", "nodePortAddresses: expected a list, found \"primary\""),
        ("detectLocalMode: magic", "detectLocalMode: unknown mode \"magic\""),
        (
            "detectLocalMode: BridgeInterface",
            "detectLocal.bridgeInterface: needed by this detectLocalMode",
        ),
        ("iptables: {masqueradeBit: 32}", "iptables.masqueradeBit: 32 is not between 0 and 31"),
        ("ipvs: [rr]", "ipvs: expected a section with keys, found a list"),
        ("ipvs: {syncPeriod: fast}", "ipvs.syncPeriod: \"fast\": expected a duration"),
        ("ipvs: {syncPeriod: -1s}", "ipvs.syncPeriod: \"-1s\": expected a duration"),
        ("ipvs: {syncPeriod: 30}", "ipvs.syncPeriod: expected a duration such as 30s"),
        ("ipvs: {minSyncPeriod: 40s}", "ipvs.minSyncPeriod: must not exceed ipvs.syncPeriod, 30s"),
        ("ipvs: {excludeCIDRs: [a]}", "ipvs.excludeCIDRs[0]: \"a\" is not a CIDR"),
        ("ipvs: {strictARP: 1}", "ipvs.strictARP: expected true or false, found 1"),
        ("conntrack: {min: many}", "conntrack.min: expected an integer, found \"many\""),
        ("conntrack: {min: -1}", "conntrack.min: -1 is not between 0 and 2147483647"),
        ("oomScoreAdj: 1001", "oomScoreAdj: 1001 is not between -1000 and 1000"),
        ("logging: {format: xml}", "logging.format: unknown format \"xml\""),
        ("logging: {verbosity: -1}", "logging.verbosity: -1 is less than 0"),
        ("logging: {flushFrequency: soon}", "logging.flushFrequency: expected a duration, or"),
        ("featureGates: {A: maybe}", "featureGates: expected a section of names"),
        ("- 1", "the file: expected a section with keys, found a list"),
    ] {
        let all = complaints(text);
        let [only] = all.as_slice() else { panic!("{text}: {all:?}") };
        // A key that is not there, and the file as a whole, have no line.
        let has_line = !complaint.contains("needed by") && !complaint.starts_with("the file");
        let line = if has_line { ":1" } else { "" };
        assert!(only.starts_with(&format!("config.yaml{line}: {complaint}")), "{text}: {only}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = "mode: nftables\noomScoreAdj: low\nconntrack: {min: -1, maxPerCore: -1}\n\
                ipvs: {scheduler: 5.5.5.5.5.5.5.5.5.5, syncPeriod: never}\n\
                trimtab: {vipBinding: both, estimation: {nice: 40}}\n";
    let all = complaints(text);
    let places: Vec<&str> = all.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    for place in [
        "mode",
        "oomScoreAdj",
        "conntrack.min",
        "conntrack.maxPerCore",
        "ipvs.scheduler",
        "ipvs.syncPeriod",
        "trimtab.vipBinding",
        "trimtab.estimation.nice",
    ] {
        assert!(places.contains(&place), "{place} is not in {all:#?}");
    }
    assert_eq!(all.len(), 8, "{all:#?}");
    let said = read(text).unwrap_err().to_string();
    assert_eq!(said.lines().count(), 9, "{said}");
}

#[test]
fn a_file_of_another_kind_is_refused() {
    for (text, words) in [
        ("kind: KubeletConfiguration", "kind: expected KubeProxyConfiguration"),
        ("apiVersion: v1", "apiVersion: expected kubeproxy.config.k8s.io/v1alpha1"),
        ("mode: [", "line"),
    ] {
        let said = read(text).unwrap_err().to_string();
        assert!(said.starts_with("config.yaml: ") && said.contains(words), "{said}");
    }
}

#[test]
fn an_unknown_key_is_noted_by_its_path_and_a_known_one_is_not() {
    let text =
        "mode: ipvs\nclusterCIDR: 10.0.0.0/8\nsurprise: 1\nlogging: {options: {text: {x: 1}}}\n";
    let (_, notes) = read(text).unwrap();
    assert_eq!(
        notes,
        [
            "config.yaml:4: logging.options.text.x: unknown field, ignored",
            "config.yaml:3: surprise: unknown field, ignored",
        ]
    );
}

#[test]
fn a_key_without_effect_is_noted_where_it_asks_for_something() {
    let (_, notes) = read(
        "mode: ipvs\nclusterCIDR: 10.0.0.0/8\nwindowsRunAsService: true\nconfigSyncPeriod: 15m\n\
         clientConnection: {qps: 50, burst: 10}\nnftables: {syncPeriod: 0s, minSyncPeriod: 5s}\n",
    )
    .unwrap();
    let places: Vec<&str> =
        notes.iter().map(|note| note.split(" has no").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "config.yaml:5: clientConnection.qps",
            "config.yaml:6: nftables.minSyncPeriod",
            "config.yaml:3: windowsRunAsService",
        ]
    );
    assert!(fields().iter().any(|field| field.path == "nftables.minSyncPeriod"));
}
