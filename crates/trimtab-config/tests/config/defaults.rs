//! The value of each key when it is missing, null or zero: as in kube-proxy 1.36.

use serde_json::{Value, json};
use trimtab_config::{fields, written};

use crate::read;

/// A key, its value when it is missing or null, and its value when it is Go's zero, `zero`.
struct Row {
    path: &'static str,
    missing: Value,
    zero: Value,
    gives: Value,
}

fn row(path: &'static str, missing: Value, zero: Value, gives: Value) -> Row {
    Row { path, missing, zero, gives }
}

fn rows() -> Vec<Row> {
    // Where zero means the default.
    let same = |path, zero, default: Value| row(path, default.clone(), zero, default);
    // Where null means the default, and zero means zero.
    let own = |path, default, zero: Value| row(path, default, zero.clone(), zero);
    vec![
        same("apiVersion", json!(""), json!("kubeproxy.config.k8s.io/v1alpha1")),
        same("kind", json!(""), json!("KubeProxyConfiguration")),
        same("mode", json!(""), json!("ipvs")),
        same("hostnameOverride", json!(""), json!("node-a")),
        same("bindAddress", json!(""), json!("0.0.0.0")),
        same("healthzBindAddress", json!(""), json!("0.0.0.0:10256")),
        same("metricsBindAddress", json!(""), json!("127.0.0.1:10249")),
        same("bindAddressHardFail", json!(false), json!(false)),
        same("clusterCIDR", json!(""), json!("")),
        same("detectLocalMode", json!(""), json!("ClusterCIDR")),
        same("detectLocal.bridgeInterface", json!(""), json!("")),
        same("detectLocal.interfaceNamePrefix", json!(""), json!("")),
        same("nodePortAddresses", json!([]), json!([])),
        same("clientConnection.kubeconfig", json!(""), json!("")),
        own("iptables.masqueradeBit", json!(14), json!(0)),
        same("iptables.masqueradeAll", json!(false), json!(false)),
        same("ipvs.syncPeriod", json!("0s"), json!("30s")),
        same("ipvs.minSyncPeriod", json!("0s"), json!("0s")),
        same("ipvs.scheduler", json!(""), json!("rr")),
        same("ipvs.excludeCIDRs", json!([]), json!([])),
        same("ipvs.strictARP", json!(false), json!(false)),
        same("ipvs.tcpTimeout", json!("0s"), json!("0s")),
        same("ipvs.tcpFinTimeout", json!("0s"), json!("0s")),
        same("ipvs.udpTimeout", json!("0s"), json!("0s")),
        own("conntrack.maxPerCore", json!(32768), json!(0)),
        own("conntrack.min", json!(131_072), json!(0)),
        own("conntrack.tcpEstablishedTimeout", json!("24h0m0s"), json!("0s")),
        own("conntrack.tcpCloseWaitTimeout", json!("1h0m0s"), json!("0s")),
        same("conntrack.tcpBeLiberal", json!(false), json!(false)),
        same("conntrack.udpTimeout", json!("0s"), json!("0s")),
        same("conntrack.udpStreamTimeout", json!("0s"), json!("0s")),
        same("logging.format", json!(""), json!("text")),
        same("logging.verbosity", json!(0), json!(0)),
        own("oomScoreAdj", json!(-999), json!(0)),
        same("enableProfiling", json!(false), json!(false)),
        // Trimtab's own keys: null for the default, or for the kernel's setting.
        own("trimtab.drainTimeout", json!("15m0s"), json!("0s")),
        same("trimtab.nodeWeights", json!(false), json!(false)),
        same("trimtab.externalIPs.allowedCIDRs", json!([]), json!([])),
        same("trimtab.externalIPs.deniedCIDRs", json!([]), json!([])),
        own("trimtab.externalIPs.allowNodeAddresses", json!(true), json!(false)),
        same("trimtab.vipBinding", json!(""), json!("address")),
        same("trimtab.markBits", json!(""), json!("0x30ff")),
        row("trimtab.connectionTableBits", json!(null), json!(null), json!(null)),
        same("trimtab.sysctlPath", json!(""), json!("/proc/sys")),
        same("trimtab.iptablesBackend", json!(""), json!("auto")),
        same("trimtab.startupTaint", json!(false), json!(false)),
        row("trimtab.adminSocket", json!("/run/trimtab/trimtab.sock"), json!(""), json!("")),
        own("trimtab.estimation.enabled", json!(null), json!(false)),
        own("trimtab.estimation.nice", json!(null), json!(0)),
        own("trimtab.traffic.enabled", json!(true), json!(false)),
        // Less than two seconds is refused.
        own("trimtab.traffic.interval", json!("30s"), json!("2s")),
        own("trimtab.traffic.top", json!(10), json!(0)),
        same("trimtab.traffic.namespaces", json!([]), json!([])),
        same("trimtab.traffic.endpoints", json!(false), json!(false)),
        own("trimtab.traffic.maxServicePorts", json!(500), json!(0)),
        own("trimtab.traffic.maxEndpoints", json!(1000), json!(0)),
        row("trimtab.estimation.cpus", json!(null), json!(""), json!(null)),
    ]
}

/// A file with this value at this path and nothing else.
fn file(path: &str, value: &Value) -> String {
    path.rsplit('.').fold(value.clone(), |value, key| json!({ key: value })).to_string()
}

fn gives(path: &str, text: &str) -> Value {
    let (config, _) = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let pointer = format!("/{}", path.replace('.', "/"));
    written(&config).pointer(&pointer).unwrap_or_else(|| panic!("{path}")).clone()
}

#[test]
fn each_key_missing_null_or_zero_gives_what_kube_proxy_takes_it_for() {
    for Row { path, missing, zero, gives: expected } in rows() {
        assert_eq!(gives(path, "{}"), missing, "{path} is missing");
        assert_eq!(gives(path, &file(path, &Value::Null)), missing, "{path} is null");
        assert_eq!(gives(path, &file(path, &zero)), expected, "{path} is {zero}");
    }
}

#[test]
fn the_table_has_every_key_with_an_effect_and_its_documented_default() {
    let rows = rows();
    for field in fields().iter().filter(|field| field.without_effect.is_none()) {
        let row = rows.iter().find(|row| row.path == field.path);
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", field.path));
        let missing = match &row.missing {
            Value::Null => String::new(),
            Value::Array(list) if list.is_empty() => String::new(),
            Value::String(text) if text == "node-a" => "the host's name".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        assert_eq!(field.default, missing, "{}", field.path);
    }
    assert_eq!(rows.len(), fields().iter().filter(|f| f.without_effect.is_none()).count());
}

#[test]
fn bits_of_marks_are_read_as_a_number_and_leave_those_of_masquerading() {
    for text in ["'0x30ff'", "0x30ff", "12543"] {
        assert_eq!(gives("trimtab.markBits", &format!("trimtab: {{markBits: {text}}}")), "0x30ff");
    }
    // The default avoids the bit by itself; a configured value is refused.
    let masquerade =
        |bit| gives("trimtab.markBits", &format!("iptables: {{masqueradeBit: {bit}}}"));
    assert_eq!(
        (masquerade(13), masquerade(15), masquerade(31)),
        (json!("0x10ff"), json!("0x10ff"), json!("0x30ff"),)
    );
    for wrong in ["0x70ff", "'0x3'", "0xb0ff", "many", "-1", "0x1000000ff"] {
        let said = read(&format!("trimtab: {{markBits: {wrong}}}")).unwrap_err().to_string();
        assert!(said.contains("trimtab.markBits"), "{wrong}: {said}");
    }
}

#[test]
fn addresses_follow_the_family_of_the_bind_address() {
    let six = "bindAddress: '::'";
    assert_eq!(gives("healthzBindAddress", six), "[::]:10256");
    assert_eq!(gives("metricsBindAddress", six), "[::1]:10249");
    assert_eq!(gives("metricsBindAddress", "metricsBindAddress: 0.0.0.0"), "0.0.0.0:10249");
}

#[test]
fn texts_are_spelled_as_they_are_and_truth_values_as_in_yaml() {
    assert_eq!(gives("hostnameOverride", "hostnameOverride: 17"), "17");
    assert_eq!(gives("ipvs.strictARP", "ipvs: {strictARP: True}"), true);
    assert_eq!(gives("conntrack.udpTimeout", "conntrack: {udpTimeout: 1h30m}"), "1h30m0s");
}
