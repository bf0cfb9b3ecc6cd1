//! The program accepts what the Helm chart renders: every argument of both containers, and every
//! key of the configuration.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The renderings of the chart with every set of options.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart/tests/golden");

/// A configuration as kubeadm writes it, for renderings that use its ConfigMap.
const FOREIGN: &str = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n\
                       mode: iptables\nclusterCIDR: 10.244.0.0/16\n";

/// The objects of a rendering.
fn objects(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Option<&'a Value> {
    objects.iter().find(|object| object["kind"] == kind)
}

/// Runs the program with a container's arguments, so that it only reads its configuration; returns
/// its output.
fn run(container: &Value, config: &str, folder: &Path) -> String {
    let file = folder.join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let config_flag = format!("--config={}", file.display());
    let arguments: Vec<String> = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap().replace("$(NODE_NAME)", "node-a"))
        .map(|argument| match argument.as_str() {
            "--config=/etc/trimtab/config.yaml" => config_flag.clone(),
            _ => argument,
        })
        .collect();
    assert!(arguments.contains(&config_flag), "{arguments:?}");
    let output = Command::new(env!("CARGO_BIN_EXE_trimtab"))
        .args(&arguments)
        .arg("--write-config-to")
        .arg(folder.join("written.json"))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

#[test]
fn the_program_takes_every_argument_and_every_key_that_the_chart_renders() {
    let folder = tempfile::tempdir().unwrap();
    let mut renderings: Vec<PathBuf> = std::fs::read_dir(GOLDEN)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    renderings.sort();
    assert!(renderings.len() > 5, "{renderings:?}");
    for path in renderings {
        let objects = objects(&path);
        let own =
            of_kind(&objects, "ConfigMap").and_then(|map| map["data"]["config.yaml"].as_str());
        let pod = &of_kind(&objects, "DaemonSet").unwrap()["spec"]["template"]["spec"];
        for containers in ["initContainers", "containers"] {
            for container in pod[containers].as_array().unwrap() {
                let said = run(container, own.unwrap_or(FOREIGN), folder.path());
                assert!(!said.contains("unknown field"), "{}: {said}", path.display());
            }
        }
    }
}
