#!/usr/bin/env python3
"""Renders the chart with every set of options and compares the results with the generated files.

`cargo xtask chart` starts it in a virtual environment with what requirements.txt names; with
--write it writes the generated files instead of comparing them.
"""

import argparse
import difflib
import sys
from pathlib import Path

import helm_python as helm

import generated
import manifests
import monitoring
import reference
import schema
from rendering import CHART

ROOT = CHART.parent.parent


def write(files: dict[Path, str]) -> None:
    """Writes the generated files, and removes golden files without a case."""
    for path in generated.GOLDEN.glob("*"):
        if path not in files:
            path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"wrote {len(files)} files")


def stale(files: dict[Path, str]) -> list[str]:
    """How the generated files in the repository differ from what the chart renders now."""
    found = [
        f"{path}: no case makes it" for path in generated.GOLDEN.glob("*") if path not in files
    ]
    for path, text in files.items():
        name = str(path.relative_to(ROOT))
        present = path.read_text() if path.exists() else ""
        lines = difflib.unified_diff(
            present.splitlines(), text.splitlines(), name, f"{name}, rendered", lineterm="", n=2
        )
        found += ["\n".join(difference)] if (difference := list(lines)) else []
    return found


def lint() -> list[str]:
    """Warnings and errors of `helm lint --strict`."""
    information = 1
    return [
        f"{name}: {message['path']}: {message['error']}"
        for name, values in generated.cases().items()
        for message in helm.lint(CHART, values, strict=True)["messages"]
        if message["severity"] > information
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--write", action="store_true", help="write the generated files")
    files = generated.files()
    if arguments.parse_args().write:
        write(files)
    rendered = {path: text for path, text in files.items() if path.suffix == ".yaml"}
    checks: dict[str, list[str]] = {
        "generated files are what the chart makes": stale(files),
        f"{len(schema.REFUSED)} wrong values are refused by name": schema.accepted(),
        f"{len(rendered)} renderings fit Kubernetes {', '.join(schema.releases())}": [
            f"{path.name}: {why}"
            for path, text in rendered.items()
            if path.name != "config.yaml"
            for why in schema.complaints(text)
        ],
        "helm lint": lint(),
        "every value has a comment": reference.undocumented(),
        "what must hold of every rendering": manifests.faults(rendered),
        "a configuration is rolled out with its pods": manifests.rollout(),
        **monitoring.checks(),
        **manifests.kubectl(),
    }
    for name, found in checks.items():
        print(f"{'FAILED' if found else 'ok'}: {name}")
        for one in found:
            print(f"  {one}")
    return 1 if any(checks.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
