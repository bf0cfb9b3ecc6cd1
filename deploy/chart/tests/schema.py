"""The documents against Kubernetes' own schemas, and values that must be refused."""

from typing import Any

import helm_python as helm
import kubernetes_validate
from kubernetes_validate.utils import all_versions, major_minor

from rendering import Values, objects, render

# Values that are refused, and what the error message must contain.
REFUSED: list[tuple[Values, str]] = [
    ({"confg": {}}, "additional properties 'confg' not allowed"),
    ({"config": {"ipvs": {"sheduler": "rr"}}}, "'/config/ipvs': additional properties 'sheduler'"),
    ({"config": {"ipvs": {"scheduler": 1}}}, "'/config/ipvs/scheduler'"),
    ({"config": {"ipvs": {"syncPeriod": "30 seconds"}}}, "'/config/ipvs/syncPeriod'"),
    ({"config": {"ipvs": {"syncPeriod": 30}}}, "'/config/ipvs/syncPeriod'"),
    ({"config": {"clusterCIDR": "10.244.0.0"}}, "'/config/clusterCIDR'"),
    ({"config": {"detectLocalMode": "clusterCIDR"}}, "'/config/detectLocalMode'"),
    ({"config": {"trimtab": {"vipBinding": "both"}}}, "'/config/trimtab/vipBinding'"),
    ({"config": {"trimtab": {"connectionTableBits": 40}}}, "'/config/trimtab/connectionTableBits'"),
    ({"config": {"trimtab": {"iptablesBackend": "nftables"}}}, "'/config/trimtab/iptablesBackend'"),
    ({"config": {"healthzBindAddress": "10256"}}, "'/config/healthzBindAddress'"),
    (
        {"config": {"healthzBindAddress": "0.0.0.0:0"}},
        "config.healthzBindAddress: the pod's probes",
    ),
    ({"apiServer": {"url": "10.0.0.10:6443"}}, "'/apiServer/url'"),
    ({"apiServer": {"fromConfigMap": {"name": ""}}}, "apiServer: set url, or fromConfigMap.name"),
    ({"image": {"digest": "sha256:1"}}, "'/image/digest'"),
    ({"updateStrategy": {"maxUnavailable": 0}}, "'/updateStrategy/maxUnavailable'"),
    ({"serviceAccount": {"create": False}}, "serviceAccount.name: needed"),
    (
        {"configFromConfigMap": {"name": "kube-proxy"}, "config": {"clusterCIDR": "10.0.0.0/8"}},
        "config.clusterCIDR has no effect with configFromConfigMap.name",
    ),
    (
        {"configFromConfigMap": {"name": "kube-proxy"}, "extraConfig": {"ipvs": {}}},
        "extraConfig has no effect with configFromConfigMap.name",
    ),
    ({"monitoring": {"podMonitor": {"enabled": True}}}, "set config.metricsBindAddress"),
]

# Kinds that are not Kubernetes' own: the Prometheus operator defines them.
NOT_KUBERNETES = "monitoring.coreos.com/"


def releases() -> list[str]:
    """The last three Kubernetes releases that kubernetes-validate knows."""
    known = {major_minor(one) for one in all_versions()}
    return sorted(known, key=lambda release: [int(part) for part in release.split(".")])[-3:]


def complaints(text: str) -> list[str]:
    """What the schemas of these releases reject in the documents, including unknown fields."""
    found: list[str] = []
    for document in objects(text):
        if document["apiVersion"].startswith(NOT_KUBERNETES):
            continue
        found += [
            f"{release}: {why}" for release in releases() if (why := refusal(document, release))
        ]
    return found


def refusal(document: dict[str, Any], release: str) -> str | None:
    """Why a release would reject a document."""
    try:
        kubernetes_validate.validate(document, release, strict=True)
    except kubernetes_validate.ValidationError as error:
        path = ".".join(str(part) for part in error.path)
        return f"{document['kind']}: {path}: {error.message}"
    return None


def accepted() -> list[str]:
    """Values of the list above that were not refused, or refused with another message."""
    found: list[str] = []
    for values, words in REFUSED:
        try:
            render(values)
        except helm.HelmError as error:
            if words not in str(error):
                found.append(f"{values}: refused without {words!r}: {error}")
        else:
            found.append(f"{values}: not refused")
    return found
