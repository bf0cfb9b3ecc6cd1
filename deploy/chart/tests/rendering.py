"""The chart rendered by Helm's own library."""

from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

CHART = Path(__file__).resolve().parent.parent
RELEASE = "trimtab"
NAMESPACE = "kube-system"

Values = dict[str, Any]

# The order in which Helm itself applies the kinds that the chart has.
KINDS = [
    "ServiceAccount", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "Service", "DaemonSet",
    "PodMonitor", "ServiceMonitor", "PrometheusRule",
]  # fmt: skip


def render(values: Values, name: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """The documents that `helm install` would apply with these values."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name=name, namespace=namespace)
    manifests = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
    documents = [part for text in manifests for part in split(text)]
    documents.sort(key=lambda part: KINDS.index(yaml.safe_load(part)["kind"]))
    return "---\n".join(documents)


def notes(values: Values) -> str:
    """What Helm prints after an installation with these values."""
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    return files["trimtab/templates/NOTES.txt"].strip() + "\n"


def split(text: str) -> list[str]:
    """The documents of a YAML file, without those that have no content."""
    documents = [part.strip("\n") + "\n" for part in ("\n" + text).split("\n---\n")]
    return [part for part in documents if yaml.safe_load(part) is not None]


def without_helm(text: str) -> str:
    """For those who apply it without Helm: without the labels that say that Helm manages it."""
    labels = ("helm.sh/chart: ", "app.kubernetes.io/managed-by: Helm")
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.strip().startswith(labels))


def objects(text: str) -> list[dict[str, Any]]:
    """The documents, parsed."""
    return [document for document in yaml.safe_load_all(text) if document is not None]
