//! The configurations that kubeadm, Kubespray, k3s and RKE2 give kube-proxy are accepted unchanged.

use trimtab_config::{Config, written};

use crate::read;

const KUBEADM: &str = include_str!("files/kubeadm.yaml");
const KUBESPRAY: &str = include_str!("files/kubespray.yaml");
const OLDER: &str = include_str!("files/older.yaml");

fn value(config: &Config, pointer: &str) -> String {
    written(config).pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).to_string()
}

#[test]
fn the_config_map_that_kubeadm_writes_on_every_cluster_is_taken() {
    let (config, notes) = read(KUBEADM).unwrap();
    for (pointer, expected) in [
        ("/clientConnection/kubeconfig", "\"/var/lib/kube-proxy/kubeconfig.conf\""),
        ("/clusterCIDR", "\"10.244.0.0/16\""),
        ("/ipvs/syncPeriod", "\"30s\""),
        ("/ipvs/minSyncPeriod", "\"0s\""),
        ("/ipvs/scheduler", "\"rr\""),
        ("/healthzBindAddress", "\"0.0.0.0:10256\""),
        ("/metricsBindAddress", "\"127.0.0.1:10249\""),
        ("/conntrack/maxPerCore", "32768"),
        ("/conntrack/tcpEstablishedTimeout", "\"24h0m0s\""),
        ("/iptables/masqueradeBit", "14"),
        ("/oomScoreAdj", "-999"),
    ] {
        assert_eq!(value(&config, pointer), expected, "{pointer}");
    }
    // There is no other note about a file that every cluster has.
    let mode = "config.yaml:55: mode is not set: using ipvs, the only mode of Trimtab";
    assert_eq!(notes, [mode]);
}

#[test]
fn what_kubespray_writes_is_taken() {
    let (config, notes) = read(KUBESPRAY).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(value(&config, "/ipvs/strictARP"), "true");
    assert_eq!(value(&config, "/hostnameOverride"), "\"node1\"");
    assert_eq!(value(&config, "/clusterCIDR"), "\"10.233.64.0/18,fd85:ee78:d8a6:8607::1:0/112\"");
}

#[test]
fn keys_that_kube_proxy_has_dropped_are_not_unknown() {
    let (config, notes) = read(OLDER).unwrap();
    assert_eq!(
        notes,
        ["config.yaml:6: featureGates has no effect: they control features of kube-proxy",]
    );
    assert_eq!(value(&config, "/conntrack/maxPerCore"), "0");
}
