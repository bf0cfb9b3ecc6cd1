//! kube-proxy's flags as Kubernetes installers pass them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::path::Path;
use std::process::{Command, Output};

use trimtab_config::{Overrides, parse, resolve, written};

/// The flags that k3s passes to its built-in kube-proxy and RKE2 to its static pod, except the
/// mode.
const K3S: &[&str] = &[
    "--alsologtostderr=true",
    "--cluster-cidr=10.42.0.0/16,2001:cafe:42::/56",
    "--conntrack-max-per-core=0",
    "--conntrack-tcp-timeout-close-wait=0s",
    "--conntrack-tcp-timeout-established=0s",
    "--healthz-bind-address=127.0.0.1",
    "--hostname-override=node-b",
    "--kubeconfig=/var/lib/rancher/k3s/agent/kubeproxy.kubeconfig",
    "--log_file=/var/log/kube-proxy.log",
    "--v=2",
    "--vmodule=proxier=4",
];

fn run(mode: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trimtab"));
    command.arg("run").args(K3S).arg(mode).arg("--write-config-to=/dev/stdout");
    command.output().unwrap()
}

#[test]
fn the_flags_of_k3s_and_rke2_are_taken() {
    let output = run("--proxy-mode=ipvs");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (file, _) = parse(Path::new("config.yaml"), &text).unwrap();
    let (config, _) = resolve(&file, &Overrides::default()).unwrap();
    let config = written(&config);
    for (pointer, expected) in [
        ("/hostnameOverride", "\"node-b\""),
        ("/healthzBindAddress", "\"127.0.0.1:10256\""),
        ("/clusterCIDR", "\"10.42.0.0/16,2001:cafe:42::/56\""),
        ("/conntrack/maxPerCore", "0"),
        ("/conntrack/tcpEstablishedTimeout", "\"0s\""),
        ("/logging/verbosity", "2"),
    ] {
        assert_eq!(config.pointer(pointer).unwrap().to_string(), expected, "{pointer}");
    }
    for flag in ["--alsologtostderr", "--log-file", "--vmodule"] {
        assert!(said.contains(&format!("{flag} has no effect")), "{flag}: {said}");
    }
}

#[test]
fn their_mode_is_refused_with_the_way_out() {
    let output = run("--proxy-mode=iptables");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("--proxy-mode: \"iptables\" is a mode of kube-proxy"), "{said}");
    assert!(said.contains("Set it to \"ipvs\""), "{said}");
}
