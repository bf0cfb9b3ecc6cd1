"""The files that are generated from the chart, as path and content."""

from pathlib import Path

import yaml

from reference import readme
from rendering import CHART, Values, notes, objects, render, split, without_helm

CASES = CHART / "tests" / "cases"
GOLDEN = CHART / "tests" / "golden"
DEPLOY = CHART.parent
BASE = DEPLOY / "kustomize" / "base"

HEADER = """\
# Generated from deploy/chart by `cargo xtask chart --write`; change it there.
# {what}
"""


def cases() -> dict[str, Values]:
    """The sets of options that are rendered, by name."""
    return {
        path.stem: yaml.safe_load(path.read_text()) or {} for path in sorted(CASES.glob("*.yaml"))
    }


def files() -> dict[Path, str]:
    """Every generated file."""
    made = {GOLDEN / f"{name}.yaml": render(values) for name, values in cases().items()}
    made |= {GOLDEN / f"{name}.notes.txt": notes(values) for name, values in cases().items()}
    made[DEPLOY / "trimtab.yaml"] = manifest()
    made |= kustomize_base()
    made[CHART / "README.md"] = readme()
    return made


def manifest() -> str:
    """The chart's default rendering."""
    what = "Trimtab as a DaemonSet, in place of kube-proxy: README.md says what to set."
    return HEADER.format(what=what) + without_helm(render({}))


def kustomize_base() -> dict[Path, str]:
    """The same for kustomize, which makes the ConfigMap and its name itself."""
    text = without_helm(render({"hashedConfigMap": False}))
    documents = [part for part in split(text) if "kind: ConfigMap" not in part.splitlines()]
    config_map = next(one for one in objects(text) if one["kind"] == "ConfigMap")
    objects_header = HEADER.format(what="The chart's default rendering but for the ConfigMap.")
    config_header = HEADER.format(what="The program's configuration: replace it in an overlay.")
    return {
        BASE / "trimtab.yaml": objects_header + "---\n".join(documents),
        BASE / "config.yaml": config_header + config_map["data"]["config.yaml"],
    }
