//! The configuration written as a file that produces it.

use std::net::SocketAddr;

use serde_json::{Value, json};
use trimtab_reconcile::NodePortAddresses;

use trimtab_host::VipBinding;
use trimtab_host::rules::{Backend, DetectLocal};

use crate::Config;
use crate::LogFormat;
use trimtab_core::duration::format_duration;

/// A `KubeProxyConfiguration` with every field that has an effect, defaults included. Fields
/// without effect are left out.
pub fn written(config: &Config) -> Value {
    let (mode, networks, bridge, prefix) = match &config.rules.detect {
        DetectLocal::Networks(networks) => ("ClusterCIDR", joined(networks), "", ""),
        DetectLocal::NodeNetworks => ("NodeCIDR", String::new(), "", ""),
        DetectLocal::Bridge(name) => ("BridgeInterface", String::new(), name.as_str(), ""),
        DetectLocal::InterfacePrefix(name) => {
            ("InterfaceNamePrefix", String::new(), "", name.as_str())
        }
    };
    let time = format_duration;
    let [tcp, tcp_fin, udp] = config.timeouts.map(time);
    let conntrack = &config.conntrack;
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "ipvs",
        "hostnameOverride": config.node_name,
        "clientConnection": {"kubeconfig": config.kubeconfig.clone().unwrap_or_default()},
        "bindAddress": config.bind_address.map_or_else(|| "0.0.0.0".to_owned(), |address| address.to_string()),
        "healthzBindAddress": address(config.health_address),
        "metricsBindAddress": address(config.metrics_address),
        "bindAddressHardFail": config.bind_address_hard_fail,
        "clusterCIDR": networks,
        "detectLocalMode": mode,
        "detectLocal": {"bridgeInterface": bridge, "interfaceNamePrefix": prefix},
        "nodePortAddresses": match &config.node_port_addresses {
            NodePortAddresses::All => Vec::new(),
            NodePortAddresses::Primary => vec!["primary".to_owned()],
            NodePortAddresses::Networks(networks) => texts(networks),
        },
        "iptables": {
            "masqueradeBit": config.rules.masquerade_bit,
            "masqueradeAll": config.rules.masquerade_all,
        },
        "ipvs": {
            "syncPeriod": time(config.sync_period),
            "minSyncPeriod": time(config.min_sync_period),
            "scheduler": config.scheduler.name(),
            "excludeCIDRs": texts(&config.exclude),
            "strictARP": config.strict_arp,
            "tcpTimeout": tcp,
            "tcpFinTimeout": tcp_fin,
            "udpTimeout": udp,
        },
        "conntrack": {
            "maxPerCore": conntrack.max_per_core,
            "min": conntrack.min,
            "tcpEstablishedTimeout": time(conntrack.tcp_established),
            "tcpCloseWaitTimeout": time(conntrack.tcp_close_wait),
            "tcpBeLiberal": conntrack.tcp_be_liberal,
            "udpTimeout": time(conntrack.udp),
            "udpStreamTimeout": time(conntrack.udp_stream),
        },
        "logging": {
            "format": match config.log_format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            },
            "verbosity": config.verbosity,
        },
        "enableProfiling": config.profiling,
        "oomScoreAdj": config.oom_score_adj,
        "trimtab": {
            "drainTimeout": time(config.drain_timeout),
            "externalIPs": {
                "allowedCIDRs": texts(&config.external_ips.allowed),
                "deniedCIDRs": texts(&config.external_ips.denied),
                "allowNodeAddresses": config.external_ips.node_addresses,
            },
            "vipBinding": match config.vip_binding {
                VipBinding::Address => "address",
                VipBinding::Route => "route",
            },
            "nodeWeights": config.node_weights,
            "markBits": format!("{:#x}", config.rules.marks.bits()),
            // Null means the kernel's own choice.
            "connectionTableBits": config.connection_table_bits,
            "estimation": {
                "enabled": config.estimation.run,
                "nice": config.estimation.nice,
                "cpus": config.estimation.cpus,
            },
            "traffic": {
                "enabled": config.traffic.enabled,
                "interval": time(config.traffic.interval),
                "top": config.traffic.top,
                "namespaces": config.traffic.namespaces,
                "endpoints": config.traffic.endpoints,
                "maxServicePorts": config.traffic.max_service_ports,
                "maxEndpoints": config.traffic.max_endpoints,
            },
            "sysctlPath": config.sysctl_path,
            "iptablesBackend": config.iptables_backend.map_or("auto", Backend::name),
            "startupTaint": config.startup_taint,
            "adminSocket": config.admin_socket.clone().unwrap_or_default(),
        },
    })
}

/// Each flag that has an effect, in order of name, with the value that is in force: given as a flag,
/// in the file, or the default.
pub fn flags_in_force(config: &Config) -> Vec<(&'static str, String)> {
    let written = written(config);
    let value = |path: &str| path.split('.').try_fold(&written, |value, key| value.get(key));
    let fields = crate::fields().iter().filter(|field| field.without_effect.is_none());
    let mut flags: Vec<(&'static str, String)> =
        fields.filter_map(|field| Some((field.flag?, text(value(&field.path)?)))).collect();
    flags.sort_unstable();
    flags
}

/// As it would be given as a flag.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Port 0 disables it, because an empty text means the default.
fn address(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "0.0.0.0:0".to_owned(), |address| address.to_string())
}

fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn joined<T: ToString>(items: &[T]) -> String {
    texts(items).join(",")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{ConfigFile, Overrides, fields, parse, resolve, written};

    fn resolved(file: &ConfigFile) -> String {
        let overrides = Overrides { host: "node-a".to_owned(), ..Overrides::default() };
        let (config, _) = resolve(file, &overrides).unwrap();
        serde_json::to_string_pretty(&written(&config)).unwrap()
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_configuration() {
        for text in [
            "mode: ipvs",
            "healthzBindAddress: '[::]:0'\nnodePortAddresses: [primary]\nbindAddress: 'fd00::1'",
            "detectLocalMode: BridgeInterface\ndetectLocal: {bridgeInterface: cni0}\n\
             nodePortAddresses: [10.0.0.0/8]",
            "clusterCIDR: '10.244.0.0/16,fd00:244::/56'\n\
             ipvs: {scheduler: mh, minSyncPeriod: 1500ms, excludeCIDRs: [192.0.2.0/24]}\n\
             conntrack: {maxPerCore: 0, udpTimeout: 1m30s}\noomScoreAdj: -5\nenableProfiling: true\n\
             trimtab: {drainTimeout: 0s}\nlogging: {format: json, verbosity: 3}",
            OWN,
        ] {
            let path = Path::new("config.yaml");
            let (file, _) = parse(path, text).unwrap();
            let first = resolved(&file);
            let (again, notes) = parse(path, &first).unwrap();
            assert_eq!(notes, Vec::<String>::new());
            assert_eq!(resolved(&again), first);
        }
    }

    #[test]
    fn flags_have_the_values_in_force() {
        let text = "nodePortAddresses: [10.0.0.0/8, 'fd00::/8']\nipvs: {syncPeriod: 1m}";
        let (file, _) = parse(Path::new("config.yaml"), text).unwrap();
        let overrides = Overrides { host: "node-a".to_owned(), ..Overrides::default() };
        let flags = crate::flags_in_force(&resolve(&file, &overrides).unwrap().0);
        let value = |name| flags.iter().find(|(flag, _)| *flag == name).map(|(_, text)| &**text);
        assert_eq!(value("nodeport-addresses"), Some("10.0.0.0/8,fd00::/8"));
        assert_eq!(value("ipvs-sync-period"), Some("1m0s"));
        assert_eq!(value("ipvs-scheduler"), Some("rr"));
        assert_eq!(value("masquerade-all"), Some("false"));
        assert_eq!(value("feature-gates"), None);
        assert!(flags.is_sorted());
    }

    #[test]
    fn exactly_the_fields_with_an_effect_are_written() {
        fn paths(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
            match value {
                serde_json::Value::Object(entries) => {
                    for (key, value) in entries {
                        let dot = if at.is_empty() { "" } else { "." };
                        paths(value, &format!("{at}{dot}{key}"), found);
                    }
                }
                _ => found.push(at.to_owned()),
            }
        }
        let mut found = Vec::new();
        paths(&serde_json::from_str(&resolved(&ConfigFile::default())).unwrap(), "", &mut found);
        let mut known: Vec<&str> = fields()
            .iter()
            .filter(|field| field.without_effect.is_none())
            .map(|field| field.path.as_str())
            .collect();
        known.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, known);
    }

    const OWN: &str = "trimtab: {vipBinding: route, nodeWeights: true, connectionTableBits: 20, \
                       markBits: '0xff0007', \
                       externalIPs: {allowedCIDRs: [203.0.113.0/24], deniedCIDRs: ['fd00::/8'], \
                       allowNodeAddresses: false}, \
                       estimation: {enabled: false, nice: 10, cpus: 0-1}, \
                       traffic: {enabled: false, interval: 1m, top: 3, namespaces: [shop], \
                       endpoints: true, maxServicePorts: 7, maxEndpoints: 0}, \
                       sysctlPath: /host/proc-sys, iptablesBackend: nft, adminSocket: '', \
                       startupTaint: true}";

    #[test]
    fn what_only_trimtab_has_is_written_too() {
        let (file, _) = parse(Path::new("config.yaml"), OWN).unwrap();
        let written: serde_json::Value = serde_json::from_str(&resolved(&file)).unwrap();
        let own = serde_json::json!({
            "externalIPs": {
                "allowedCIDRs": ["203.0.113.0/24"], "deniedCIDRs": ["fd00::/8"],
                "allowNodeAddresses": false,
            },
            "drainTimeout": "15m0s", "vipBinding": "route", "nodeWeights": true,
            "markBits": "0xff0007",
            "connectionTableBits": 20, "estimation": {"enabled": false, "nice": 10, "cpus": "0-1"},
            "traffic": {
                "enabled": false, "interval": "1m0s", "top": 3, "namespaces": ["shop"],
                "endpoints": true, "maxServicePorts": 7, "maxEndpoints": 0,
            },
            "sysctlPath": "/host/proc-sys", "iptablesBackend": "nft", "adminSocket": "",
            "startupTaint": true,
        });
        assert_eq!(written["trimtab"], own);
    }
}
