//! A pod of a DaemonSet as a kubelet hands it to its container runtime.
//!
//! | in the manifest | what the runtime gets instead |
//! |---|---|
//! | a field of the node or the pod in the environment | its value |
//! | `$(NAME)` in a command or an argument | the variable's value |
//! | a volume of kind `emptyDir` | a fresh directory of the node |
//! | the account's token, which the API server adds as a volume | a directory with the same three files |
//! | a `hostPath` without a type | the same, and the directory is made if it is not there, as containerd does |
//! | ports | nothing: in the node's own network there is nothing to forward |
//! | probes | nothing: the kubelet asks, see [`super::probe`] |
//!
//! ConfigMaps stay what they are: podman takes them in the same file. Capabilities, mounts, user,
//! read-only root and command are not touched. podman, like a kubelet with `seccompProfile:
//! RuntimeDefault`, has its default profile filter system calls, and knows no such field.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::Probe;

/// Where every container finds the account's token.
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Has podman keep an init container, with its log, when it has ended.
const KEEP_INIT: &str = "io.podman.annotations.init.container.type";

/// The objects of a manifest that has one DaemonSet.
#[derive(Clone, Debug)]
pub struct PodManifest {
    objects: Vec<Value>,
}

/// What a kubelet knows of its node.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// The name of its Node object.
    pub name: &'a str,
    /// Its first address.
    pub address: std::net::IpAddr,
    /// A directory of the node, for what a kubelet makes for a pod.
    pub folder: &'a Path,
}

impl PodManifest {
    /// Reads the documents of a YAML file.
    ///
    /// # Errors
    /// If it is no YAML.
    pub fn read(yaml: &str) -> anyhow::Result<Self> {
        let options = serde_saphyr::options! { strict_booleans: true };
        let objects = serde_saphyr::from_multiple_with_options(yaml, options)
            .context("the manifest is no YAML")?;
        Ok(Self { objects })
    }

    /// Adds an object, such as a ConfigMap that is already in the cluster.
    pub fn add(&mut self, object: Value) {
        self.objects.push(object);
    }

    /// The pod's specification, to look at or to change.
    ///
    /// # Panics
    /// If there is no DaemonSet.
    pub fn spec(&mut self) -> &mut Value {
        let set = self.objects.iter_mut().find(|object| object["kind"] == "DaemonSet");
        &mut set.expect("a manifest with a DaemonSet")["spec"]["template"]["spec"]
    }

    /// A container's specification.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn container(&mut self, name: &str) -> &mut Value {
        let spec = self.spec();
        let kinds = ["containers", "initContainers"];
        let found = kinds.into_iter().find_map(|kind| {
            let all = spec[kind].as_array()?;
            Some((kind, all.iter().position(|container| container["name"] == name)?))
        });
        let (kind, index) = found.expect("a container of this name");
        &mut spec[kind][index]
    }

    /// Puts one word for another wherever it is in a ConfigMap.
    pub fn replace_in_config(&mut self, from: &str, to: &str) {
        for object in self.objects.iter_mut().filter(|object| object["kind"] == "ConfigMap") {
            for value in
                object["data"].as_object_mut().into_iter().flat_map(|data| data.values_mut())
            {
                if let Value::String(text) = value {
                    *text = text.replace(from, to);
                }
            }
        }
    }

    /// A probe of a container: `startupProbe`, `livenessProbe` or `readinessProbe`.
    ///
    /// # Errors
    /// If there is no such probe, or one that is not by HTTP.
    pub fn probe(&mut self, container: &str, kind: &str) -> anyhow::Result<Probe> {
        Probe::read(&self.container(container)[kind]).with_context(|| kind.to_owned())
    }

    /// The pod for a node, and the ConfigMaps, as podman takes them.
    ///
    /// # Errors
    /// If the pod has something that is not known here, and if a directory cannot be made.
    pub fn pod(&self, node: &Node<'_>) -> anyhow::Result<Vec<Value>> {
        let set = self.objects.iter().find(|object| object["kind"] == "DaemonSet");
        let template = &set.context("no DaemonSet")?["spec"]["template"];
        let mut spec = template["spec"].clone();
        add_token(&mut spec, node.folder)?;
        for volume in spec["volumes"].as_array_mut().into_iter().flatten() {
            make_volume(volume, node.folder)?;
        }
        for kind in ["initContainers", "containers"] {
            for container in spec[kind].as_array_mut().into_iter().flatten() {
                set_environment(container, node)?;
                let fields = container.as_object_mut().context("a container is an object")?;
                fields.retain(|field, _| !field.ends_with("Probe") && field != "ports");
            }
        }
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "trimtab",
                "labels": template["metadata"]["labels"],
                "annotations": {KEEP_INIT: "always"},
            },
            "spec": spec,
        });
        let maps = self.objects.iter().filter(|object| object["kind"] == "ConfigMap").cloned();
        Ok(maps.chain([pod]).collect())
    }
}

/// The volume that the API server adds to pods that want their account's token.
fn add_token(spec: &mut Value, folder: &Path) -> anyhow::Result<()> {
    if spec["automountServiceAccountToken"] == false {
        return Ok(());
    }
    let path = folder.join("token");
    std::fs::create_dir_all(&path)?;
    for (name, content) in [("token", "t"), ("namespace", "kube-system"), ("ca.crt", "")] {
        std::fs::write(path.join(name), content)?;
    }
    let volume = json!({"name": "kube-api-access", "hostPath": {"path": path}});
    push(&mut spec["volumes"], volume);
    for kind in ["initContainers", "containers"] {
        for container in spec[kind].as_array_mut().into_iter().flatten() {
            let mount = json!({"name": "kube-api-access", "mountPath": TOKEN, "readOnly": true});
            push(&mut container["volumeMounts"], mount);
        }
    }
    Ok(())
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(list) => list.push(item),
        other => *other = json!([item]),
    }
}

fn make_volume(volume: &mut Value, folder: &Path) -> anyhow::Result<()> {
    let name = volume["name"].as_str().context("a volume without a name")?.to_owned();
    if volume.get("emptyDir").is_some() {
        let path = folder.join("empty").join(&name);
        std::fs::create_dir_all(&path)?;
        *volume = json!({"name": name, "hostPath": {"path": path}});
    } else if let Some(host_path) = volume.get("hostPath") {
        if host_path["type"].as_str().unwrap_or_default().is_empty() {
            let path = host_path["path"].as_str().context("a hostPath without a path")?;
            if !Path::new(path).exists() {
                std::fs::create_dir_all(path).with_context(|| path.to_owned())?;
            }
        }
    } else if volume.get("configMap").is_none() {
        bail!("the volume {name} is of a kind that is not known here: {volume}");
    }
    Ok(())
}

/// Gives variables their values, and words that name variables theirs.
fn set_environment(container: &mut Value, node: &Node<'_>) -> anyhow::Result<()> {
    let mut values = Vec::new();
    for variable in container["env"].as_array_mut().into_iter().flatten() {
        let name = variable["name"].as_str().context("a variable without a name")?.to_owned();
        if let Some(from) = variable.get("valueFrom") {
            let value = match from["fieldRef"]["fieldPath"].as_str() {
                Some("spec.nodeName") => node.name.to_owned(),
                Some("status.hostIP" | "status.podIP") => node.address.to_string(),
                _ => bail!("the variable {name} is from a place that is not known here: {from}"),
            };
            *variable = json!({"name": name, "value": value});
        }
        values.push((name, variable["value"].as_str().unwrap_or_default().to_owned()));
    }
    for kind in ["command", "args"] {
        for word in container[kind].as_array_mut().into_iter().flatten() {
            let mut text = word.as_str().context("a word that is no text")?.to_owned();
            for (name, value) in &values {
                text = text.replace(&format!("$({name})"), value);
            }
            ensure!(!text.contains("$("), "`{text}` names a variable that is not there");
            *word = text.into();
        }
    }
    Ok(())
}

/// The manifest that the repository ships.
///
/// # Errors
/// If it cannot be read.
pub fn shipped() -> anyhow::Result<PodManifest> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/trimtab.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    PodManifest::read(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(spec: &str) -> anyhow::Result<Value> {
        let folder = tempfile::tempdir()?;
        let yaml = format!("kind: DaemonSet\nspec:\n  template:\n    spec:\n{spec}");
        let node = Node { name: "n1", address: [192, 0, 2, 1].into(), folder: folder.path() };
        let mut objects = PodManifest::read(&yaml)?.pod(&node)?;
        objects.pop().context("a pod")
    }

    #[test]
    fn what_a_kubelet_knows_takes_the_place_of_its_names() {
        let pod = pod("      containers:
      - name: c
        args: [--node=$(NODE), --ip=$(IP)]
        env:
        - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
        livenessProbe: {httpGet: {path: /, port: 1}}
")
        .unwrap();
        let container = &pod["spec"]["containers"][0];
        assert_eq!(container["args"], json!(["--node=n1", "--ip=192.0.2.1"]));
        assert_eq!(container["env"][0], json!({"name": "NODE", "value": "n1"}));
        assert_eq!(container.get("livenessProbe"), None);
        assert_eq!(container["volumeMounts"][0]["mountPath"], TOKEN);
    }

    #[test]
    fn what_is_not_known_here_is_an_error() {
        assert!(pod("      volumes: [{name: v, nfs: {}}]\n").is_err());
        assert!(pod("      containers: [{name: c, args: [$(NO)]}]\n").is_err());
    }
}
