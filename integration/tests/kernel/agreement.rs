//! What the daemon programs is what `trimtab plan` says.

#[path = "agreement/inputs.rs"]
mod inputs;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};
use trimtab_integration::cluster::witness::{self, Lines, State, difference};
use trimtab_integration::cluster::{Cluster, ProxyBuilder, ServiceSpec, eventually, objects};
use trimtab_integration::topology::{Layout, Namespace, NodeLayout, address};

use inputs::Input;

/// Compares a node's kernel with the plan for some objects, until they agree.
fn assert_agrees(cluster: &Cluster, node: u8, objects: &[serde_json::Value]) {
    let folder = cluster.path("objects");
    std::fs::create_dir_all(&folder).unwrap();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    std::fs::write(folder.join("objects.json"), list.to_string()).unwrap();
    let config = cluster.proxy(node).write_config().unwrap();
    let host = cluster.topology.node(node);
    let namespace = host.namespace();
    let found = |output: &str| -> anyhow::Result<Lines> {
        match output {
            "ipvsadm" => witness::ipvsadm(namespace),
            "ipset" => witness::ipset(namespace),
            _ => witness::addresses(namespace),
        }
    };
    for output in ["ipvsadm", "ipset", "addresses"] {
        let wanted = witness::plan(namespace, &folder, &config, host.name(), output).unwrap();
        assert!(!wanted.is_empty());
        let mut differing = String::new();
        let agreed = eventually(output, || {
            differing = difference(&found(output)?, &wanted);
            Ok(differing.is_empty().then_some(()))
        });
        assert!(agreed.is_ok(), "{output}:\n{differing}");
    }
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn the_kernel_holds_what_plan_says_in_both_families_and_every_protocol() {
    let cluster = Cluster::start(&Layout::default()).unwrap();
    let web = ServiceSpec::new("web", 1).every_protocol(80, 8080);
    let sticky = ServiceSpec::new("sticky", 2)
        .port("http", trimtab_core::Protocol::Tcp, 443, 8443)
        .spec(&serde_json::json!({"sessionAffinity": "ClientIP"}))
        .metadata(&serde_json::json!({"annotations": {"trimtab.dev/scheduler": "lc"}}));
    let empty = ServiceSpec::new("empty", 3).every_protocol(53, 53);
    let mut objects = vec![web.service(), sticky.service(), empty.service()];
    objects.extend(web.slices(&[(1, 1), (1, 2), (2, 1)]));
    objects.extend(sticky.slices(&[(2, 1), (2, 2)]));
    cluster.apply_all(&objects).unwrap();
    let proxy = cluster.proxy(1).start().unwrap();
    assert_agrees(&cluster, 1, &objects);
    // And after changes.
    objects.extend(web.slices(&[(1, 1), (2, 2)]));
    let fewer: Vec<_> =
        objects.iter().filter(|object| object["metadata"]["name"] != "empty").cloned().collect();
    cluster.apply_all(&web.slices(&[(1, 1), (2, 2)])).unwrap();
    cluster.api.delete(test_api::Resource::Services, "default/empty").unwrap();
    assert_agrees(&cluster, 1, &latest(fewer));
    drop(proxy);
}

/// Of several states of one object the last.
fn latest(objects: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
    let mut kept: Vec<serde_json::Value> = Vec::new();
    for object in objects {
        kept.retain(|other| {
            other["kind"] != object["kind"]
                || other["metadata"]["name"] != object["metadata"]["name"]
        });
        kept.push(object);
    }
    kept
}

/// The program with some fields of the configuration changed. Without draining, unless those fields
/// say otherwise.
fn configured(cluster: &Cluster, folder: &Path, changed: &Map<String, Value>) -> ProxyBuilder {
    let mut config = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "ipvs",
        "clusterCIDR": trimtab_core::Family::ALL.map(address::cluster_cidr).join(","),
        "conntrack": {"maxPerCore": 0, "min": 0},
        "trimtab": {"drainTimeout": "0s"},
    });
    for (key, value) in changed {
        config[key] = value.clone();
    }
    cluster.proxy(1).manifests(folder).whole_config(&config.to_string())
}

/// The limits of connections as `ipvsadm` shows them, which it does not with what it saves.
fn limits(namespace: &Namespace) -> anyhow::Result<Lines> {
    let text = namespace.command("ipvsadm", ["-Ln", "--thresholds"])?;
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("-> "));
    let found = servers.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let limit: u32 = words.get(1)?.parse().ok()?;
        Some(format!("{} {limit}", words[0]))
    });
    Ok(found.collect())
}

fn planned_limits(plan: &str) -> Lines {
    let plan: Value = serde_json::from_str(plan).unwrap();
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let services = all(&plan["services"]);
    let servers = services.iter().flat_map(|service| all(&service["virtualServers"]));
    let reals = servers.flat_map(|server| all(&server["realServers"]));
    reals
        .map(|real| {
            let address = real["address"].as_str().unwrap();
            format!("{address}:{} {}", real["port"], real["upperThreshold"])
        })
        .collect()
}

/// Compares until they agree; returns the differences that remain after a long time.
fn disagreement(
    cluster: &Cluster,
    folder: &Path,
    config: &Path,
    input: &Input,
    with_rules: bool,
) -> Option<String> {
    let host = cluster.topology.node(1);
    let namespace = host.namespace();
    let wanted = State::of_plan(namespace, folder, config, host.name()).unwrap();
    let mut wanted = wanted.with_named_marks();
    assert!(wanted.rules.iter().all(|rules| rules.len() > 40) && wanted.sets.len() >= 34);
    let read = if with_rules { State::of_kernel } else { State::without_rules };
    if !with_rules {
        wanted.rules = [Vec::new(), Vec::new()];
    }
    let mut differing = String::new();
    let agreed = eventually(&input.name, || {
        // The rest takes more programs, and so do the names of marks.
        let without_marks = |lines: &Lines| {
            lines.iter().filter(|line| !line.contains(" -f ")).cloned().collect::<Lines>()
        };
        let servers = witness::ipvsadm(namespace)?;
        differing = difference(&without_marks(&servers), &without_marks(&wanted.servers));
        if differing.is_empty() {
            differing = read(namespace)?.with_named_marks().difference(&wanted);
        }
        Ok(differing.is_empty().then_some(()))
    });
    if let Err(error) = agreed {
        return Some(format!("{error:#}\n{differing}"));
    }
    if json!(input.objects).to_string().contains("max-connections") {
        let more = ["-o", "json"];
        let plan = witness::plan_text(namespace, folder, config, host.name(), &more).unwrap();
        let (found, wanted) = (limits(namespace).unwrap(), planned_limits(&plan));
        assert_eq!(found, wanted, "{}", input.name);
    }
    None
}

#[test]
#[ignore = "needs a kernel with IPVS; cargo xtask test runs it"]
fn the_kernel_holds_what_plan_says_for_every_input_and_nothing_of_the_one_before() {
    let layout =
        Layout { nodes: vec![NodeLayout { pods: 1, ..NodeLayout::default() }], clients: 0 };
    let cluster = Cluster::start(&layout).unwrap();
    let inputs = inputs::all(&objects::node(1, &json!({})));
    let names: BTreeSet<&String> = inputs.iter().map(|input| &input.name).collect();
    assert!(names.len() == inputs.len() && inputs.len() >= 60, "{}", inputs.len());
    let folder = cluster.path("manifests");
    std::fs::create_dir(&folder).unwrap();
    let mut running = None;
    let mut disagreements = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": input.objects});
        // As a whole or not at all.
        std::fs::write(cluster.path("next.json"), list.to_string()).unwrap();
        std::fs::rename(cluster.path("next.json"), folder.join("objects.json")).unwrap();
        let builder = configured(&cluster, &folder, &input.config);
        let config = builder.write_config().unwrap();
        let is_first = running.as_ref().is_none_or(|(config, _)| *config != &input.config);
        if is_first {
            drop(running.take());
            running = Some((&input.config, builder.start().unwrap()));
        }
        // Rules follow from the configuration only: they are read where that changes, and at the
        // end of each run and every fifth input, whatever has come and gone.
        let is_last = inputs.get(number + 1).is_none_or(|next| next.config != input.config);
        let with_rules = is_first || is_last || number % 5 == 0;
        disagreements.extend(disagreement(&cluster, &folder, &config, input, with_rules));
        assert!(disagreements.len() < 3, "{}", disagreements.join("\n"));
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
