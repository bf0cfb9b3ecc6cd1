"""Checks on every rendering, and on what kubectl makes of our files."""

import json
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import yaml

from rendering import CHART, Values, objects, render

KUSTOMIZE = CHART.parent / "kustomize"
KUBE_PROXY = CHART / "tests" / "kube-proxy.yaml"


def faults(rendered: dict[Path, str]) -> list[str]:
    """Every fault of every rendering."""
    found = version_faults()
    for path, text in rendered.items():
        documents = objects(text)
        for daemon_set in (one for one in documents if one.get("kind") == "DaemonSet"):
            pod = daemon_set["spec"]["template"]
            found += [f"{path.name}: {why}" for why in daemon_set_faults(daemon_set["spec"], pod)]
            found += [f"{path.name}: {why}" for why in container_faults(pod["spec"])]
            found += [f"{path.name}: {why}" for why in volume_faults(pod["spec"], documents)]
    return found


def version_faults() -> list[str]:
    """The chart installs the program of the same version."""
    with (CHART.parent.parent / "Cargo.toml").open("rb") as file:
        program = tomllib.load(file)["workspace"]["package"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    return [] if chart == program else [f"appVersion is {chart}, the program's version {program}"]


def daemon_set_faults(spec: dict[str, Any], pod: dict[str, Any]) -> list[str]:
    """A selector cannot be changed in an upgrade: it is the same with all values."""
    selector = spec["selector"]["matchLabels"]
    found = []
    wanted = {"app.kubernetes.io/name": "trimtab", "app.kubernetes.io/instance": "trimtab"}
    if selector != wanted:
        found.append(f"the selector is {selector}")
    if not selector.items() <= pod["metadata"]["labels"].items():
        found.append("the selector does not match the pod")
    return found


def container_faults(pod: dict[str, Any]) -> list[str]:
    """Only the init container is privileged, and only mounts can be written."""
    found = []
    for container in pod["initContainers"] + pod["containers"]:
        name, context = container["name"], container["securityContext"]
        if not context["readOnlyRootFilesystem"]:
            found.append(f"{name}: its root file system is writable")
        # runc refuses these: "cannot be mounted because it is inside /proc".
        inside = [
            m["mountPath"] for m in container["volumeMounts"] if m["mountPath"].startswith("/proc")
        ]
        found += [f"{name}: the mount {path} is inside /proc" for path in inside]
    for container in pod["containers"]:
        context = container["securityContext"]
        if context.get("privileged") or context["allowPrivilegeEscalation"]:
            found.append(f"{container['name']}: can become privileged")
        if context["capabilities"]["drop"] != ["ALL"]:
            found.append(f"{container['name']}: keeps the runtime's own capabilities")
        if context["seccompProfile"] != {"type": "RuntimeDefault"}:
            found.append(f"{container['name']}: has no seccomp profile")
    return found


def volume_faults(pod: dict[str, Any], documents: list[dict[str, Any]]) -> list[str]:
    """Every mount has its volume and every volume a mount, and ConfigMaps have the keys."""
    volumes = {volume["name"] for volume in pod["volumes"]}
    containers = pod["initContainers"] + pod["containers"]
    mounted = {mount["name"] for container in containers for mount in container["volumeMounts"]}
    found = [f"volume {name} is not there, or not used" for name in volumes ^ mounted]
    own = {one["metadata"]["name"]: one["data"] for one in documents if one["kind"] == "ConfigMap"}
    for volume in pod["volumes"]:
        source = volume.get("configMap", {})
        data = own.get(source.get("name"), {})
        missing = [item["key"] for item in source.get("items", []) if item["key"] not in data]
        if data and missing:
            found.append(f"volume {volume['name']}: the ConfigMap lacks {missing}")
    return found


def rollout() -> list[str]:
    """Another configuration is another ConfigMap and other pods; the same one changes neither."""

    def config_map(values: Values) -> tuple[str, str]:
        documents = objects(render(values))
        name = next(one for one in documents if one["kind"] == "ConfigMap")["metadata"]["name"]
        pod = next(one for one in documents if one["kind"] == "DaemonSet")["spec"]["template"]
        return name, yaml.safe_dump(pod)

    present = config_map({})
    name, pod = config_map({"config": {"ipvs": {"scheduler": "lc"}}})
    found = [] if name != present[0] else ["another configuration has the same ConfigMap"]
    found += [] if pod != present[1] else ["another configuration has the same pods"]
    same = config_map({"updateStrategy": {"maxUnavailable": 1}, "config": {"logging": {}}})
    return found + ([] if same == present else ["what is no configuration replaces the pods"])


def kubectl() -> dict[str, list[str]]:
    """What kubectl makes of our files; it needs no cluster for that."""
    if not shutil.which("kubectl"):
        return {"NOT RUN, kubectl is not installed: kustomize, the notes' patch": []}
    return {"kubectl kustomize": kustomize(), "the notes' kubectl patch": patch()}


def patch() -> list[str]:
    """The command in the notes keeps kube-proxy off the nodes of Trimtab, and only off those."""
    notes = (CHART / "tests" / "golden" / "migration.notes.txt").read_text()
    values = yaml.safe_load((CHART / "tests" / "cases" / "migration.yaml").read_text())
    label = values["migration"]["label"]
    given = re.search(r"patch daemonset kube-proxy --patch '(.*?)'", notes, re.DOTALL)
    if given is None:
        return ["the notes have no patch"]
    command = [
        "kubectl",
        "patch",
        "--local",
        "-f",
        str(KUBE_PROXY),
        "-o",
        "json",
        "--patch",
        given[1],
    ]
    patched = subprocess.run(command, capture_output=True, text=True, check=False)
    if patched.returncode:
        return [patched.stderr.strip()]
    pod = json.loads(patched.stdout)["spec"]["template"]["spec"]
    present = yaml.safe_load(KUBE_PROXY.read_text())["spec"]["template"]["spec"]
    terms = [
        {
            "matchExpressions": [
                {"key": label["key"], "operator": "NotIn", "values": [label["value"]]}
            ]
        }
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    wanted = present | {"affinity": {"nodeAffinity": required}}
    return [] if pod == wanted else [f"kube-proxy's pod becomes {pod}"]


def kustomize() -> list[str]:
    """The base and the example as `kubectl kustomize` builds them."""
    found = []
    for folder in ["base", "example"]:
        command = ["kubectl", "kustomize", str(KUSTOMIZE / folder)]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            found.append(f"{folder}: {built.stderr.strip()}")
            continue
        documents = objects(built.stdout)
        pod = next(one for one in documents if one["kind"] == "DaemonSet")["spec"]["template"][
            "spec"
        ]
        used = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
        made = {one["metadata"]["name"] for one in documents if one["kind"] == "ConfigMap"}
        if not made or not made <= used:
            found.append(f"{folder}: the pod mounts {sorted(used)}, of {sorted(made)}")
    return found + startup_taint()


def startup_taint() -> list[str]:
    """With the component, the account may patch Nodes, and nothing else more than before."""
    rules = []
    with tempfile.TemporaryDirectory(dir=KUSTOMIZE) as folder:
        for components in ["[]", "[../startup-taint]"]:
            overlay = f"resources: [../base]\ncomponents: {components}\n"
            (Path(folder) / "kustomization.yaml").write_text(overlay)
            command = ["kubectl", "kustomize", folder]
            built = subprocess.run(command, capture_output=True, text=True, check=False)
            if built.returncode:
                return [f"startup-taint: {built.stderr.strip()}"]
            roles = [one for one in objects(built.stdout) if one["kind"] == "ClusterRole"]
            rules.append(roles[0]["rules"])
    more = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"]}
    return [] if rules[1] == [*rules[0], more] else [f"startup-taint: the rules are {rules[1]}"]
