//! kube-proxy's command line at `trimtab run`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::process::{Command, Output};

use serde_json::Value;

/// Every flag of kube-proxy's that has an effect, with its field in the file.
const WITH_EFFECT: &[(&str, &str, &str)] = &[
    ("--proxy-mode=ipvs", "/mode", "\"ipvs\""),
    ("--hostname-override=Node-A", "/hostnameOverride", "\"node-a\""),
    ("--kubeconfig=/k.conf", "/clientConnection/kubeconfig", "\"/k.conf\""),
    ("--bind-address=192.0.2.1", "/bindAddress", "\"192.0.2.1\""),
    ("--healthz-bind-address=127.0.0.1:1", "/healthzBindAddress", "\"127.0.0.1:1234\""),
    ("--healthz-port=1234", "/healthzBindAddress", "\"127.0.0.1:1234\""),
    ("--metrics-bind-address=127.0.0.2", "/metricsBindAddress", "\"0.0.0.0:0\""),
    ("--metrics-port=0", "/metricsBindAddress", "\"0.0.0.0:0\""),
    ("--bind-address-hard-fail", "/bindAddressHardFail", "true"),
    ("--iptables-masquerade-bit=15", "/iptables/masqueradeBit", "15"),
    ("--masquerade-all=true", "/iptables/masqueradeAll", "true"),
    ("--ipvs-sync-period=40s", "/ipvs/syncPeriod", "\"40s\""),
    ("--ipvs-min-sync-period=1500ms", "/ipvs/minSyncPeriod", "\"1.5s\""),
    ("--ipvs-scheduler=wlc", "/ipvs/scheduler", "\"wlc\""),
    (
        "--ipvs-exclude-cidrs=192.0.2.0/24,198.51.100.0/24",
        "/ipvs/excludeCIDRs",
        "[\"192.0.2.0/24\",\"198.51.100.0/24\"]",
    ),
    ("--ipvs-strict-arp", "/ipvs/strictARP", "true"),
    ("--ipvs-tcp-timeout=1m", "/ipvs/tcpTimeout", "\"1m0s\""),
    ("--ipvs-tcpfin-timeout=2m", "/ipvs/tcpFinTimeout", "\"2m0s\""),
    ("--ipvs-udp-timeout=3m", "/ipvs/udpTimeout", "\"3m0s\""),
    ("--detect-local-mode=ClusterCIDR", "/detectLocalMode", "\"ClusterCIDR\""),
    ("--cluster-cidr=10.244.0.0/16", "/clusterCIDR", "\"10.244.0.0/16\""),
    ("--nodeport-addresses=primary", "/nodePortAddresses", "[\"primary\"]"),
    ("--oom-score-adj=-998", "/oomScoreAdj", "-998"),
    ("--profiling", "/enableProfiling", "true"),
    ("--conntrack-max-per-core=1", "/conntrack/maxPerCore", "1"),
    ("--conntrack-min=2", "/conntrack/min", "2"),
    ("--conntrack-tcp-timeout-established=1h", "/conntrack/tcpEstablishedTimeout", "\"1h0m0s\""),
    ("--conntrack-tcp-timeout-close-wait=5s", "/conntrack/tcpCloseWaitTimeout", "\"5s\""),
    ("--conntrack-tcp-be-liberal", "/conntrack/tcpBeLiberal", "true"),
    ("--conntrack-udp-timeout=6s", "/conntrack/udpTimeout", "\"6s\""),
    ("--conntrack-udp-timeout-stream=7s", "/conntrack/udpStreamTimeout", "\"7s\""),
    // Used where nothing is written.
    ("--master=https://192.0.2.2", "/mode", "\"ipvs\""),
    ("--pod-bridge-interface=cni0", "/mode", "\"ipvs\""),
    ("--pod-interface-name-prefix=veth", "/mode", "\"ipvs\""),
    ("--init-only=false", "/mode", "\"ipvs\""),
    ("--cleanup=false", "/mode", "\"ipvs\""),
    ("--logging-format=json", "/logging/format", "\"json\""),
    ("--v=1", "/logging/verbosity", "1"),
];

const WITHOUT_EFFECT: &[&str] = &[
    "--boot-id-file=/etc/boot-id",
    "--config-sync-period=15m",
    "--feature-gates=NativeHistograms=true",
    "--iptables-localhost-nodeports=false",
    "--iptables-min-sync-period=1s",
    "--iptables-sync-period=30s",
    "--kube-api-burst=10",
    "--kube-api-content-type=application/json",
    "--kube-api-qps=5",
    "--log-flush-frequency=5s",
    "--log-json-info-buffer-size=0",
    "--log-json-split-stream",
    "--log-text-info-buffer-size=0",
    "--log-text-split-stream=false",
    "--machine-id-file=/etc/machine-id",
    "--show-hidden-metrics-for-version=1.35",
    "--vmodule=proxier=5",
];

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trimtab")).arg("run").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_flag_of_kube_proxys_is_taken_or_named_as_without_effect() {
    let path = std::env::temp_dir().join(format!("trimtab-flags-{}.yaml", std::process::id()));
    let target = format!("--write-config-to={}", path.display());
    let mut arguments: Vec<&str> = WITH_EFFECT.iter().map(|(flag, ..)| *flag).collect();
    arguments.extend(WITHOUT_EFFECT);
    arguments.push(&target);
    let output = run(&arguments);
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let written: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (flag, field, value) in WITH_EFFECT {
        assert_eq!(
            written.pointer(field).map(ToString::to_string).as_deref(),
            Some(*value),
            "{flag}"
        );
    }
    for flag in WITHOUT_EFFECT {
        let name = flag.split('=').next().unwrap();
        assert!(said.contains(&format!("{name} has no effect")), "{name}: {said}");
    }
    // The written file is a valid configuration file and results in itself.
    let file = format!("--config={}", path.display());
    let output = run(&[&file, &target]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let again: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(again, written);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_kube_proxy_refuses_is_refused() {
    for (arguments, word) in [
        (&["positional"][..], "positional"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--proxy-mode=ipvs", "--oom-score-adj=1001"], "--oom-score-adj: 1001"),
        (&["--proxy-mode=ipvs", "--conntrack-min=-1"], "--conntrack-min: -1"),
        (&["--proxy-mode=ipvs", "--ipvs-sync-period=0s"], "--ipvs-sync-period: must be"),
        (&["--proxy-mode=ipvs", "--ipvs-exclude-cidrs=x"], "--ipvs-exclude-cidrs: \"x\""),
        (&["--proxy-mode=magic"], "--proxy-mode: unknown mode"),
        (&["--proxy-mode=ipvs", "--healthz-port=70000"], "--healthz-port"),
    ] {
        let output = run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let said = text(&output.stderr);
        assert!(said.contains(word) && !said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn the_version_is_told_as_kube_proxy_tells_it() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains(env!("CARGO_PKG_VERSION")));
}
