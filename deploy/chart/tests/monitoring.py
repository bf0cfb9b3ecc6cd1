"""The alerts and the dashboards: that they are valid and use only metrics that the program has."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import yaml

from rendering import CHART

RULES = CHART / "rules" / "trimtab.yaml"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
BOOK = CHART.parent.parent / "docs" / "src"
# Generated from the program's own tables.
METRICS = BOOK / "reference" / "metrics.md"
RUNBOOK = BOOK / "operate" / "alerts.md"
RUNBOOK_URL = "https://github.com/trimtab/trimtab/blob/main/docs/src/operate/alerts.md#"

# Metrics of Prometheus itself.
OF_PROMETHEUS = {"up", "ALERTS"}
# Values in place of Grafana's variables, for promtool.
VARIABLES = {
    "$__rate_interval": "5m",
    "$instance": "a",
    "$namespace": "n",
    "$service": "web",
    "$port": "http",
}


def checks() -> dict[str, list[str]]:
    """Every check, by its message."""
    rules = list(rule_queries())
    panels = list(dashboard_queries())
    known = "rules and dashboards ask for metrics that the program has"
    found = {known: [why for query in rules + panels for why in unknown_metrics(query)]}
    found["dashboards: identifiers, legends, units, places"] = dashboard_faults()
    found["every alert has a section in the runbook, and every section an alert"] = runbook_faults()
    if not shutil.which("promtool"):
        return found | {"NOT RUN, promtool is not installed: rules": []}
    found["promtool check rules"] = promtool("check", "rules", str(RULES))
    found["promtool test rules"] = promtool("test", "rules", str(CHART / "tests" / "rules.yaml"))
    found["promtool takes the dashboards' queries"] = parse(panels)
    return found


def parse(queries: list[str]) -> list[str]:
    """Errors that promtool finds in the queries, which it checks as queries of rules."""
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
        file.flush()
        return promtool("check", "rules", file.name)


def rule_queries() -> Iterator[str]:
    """The queries of the alerts and recording rules."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def dashboard_queries() -> Iterator[str]:
    """The queries of the dashboards, with values in place of their variables."""
    for panel in panels():
        for target in panel.get("targets", []):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield query


def panels() -> Iterator[dict[str, Any]]:
    """The panels of all dashboards."""
    for dashboard in DASHBOARDS:
        yield from json.loads(dashboard.read_text())["panels"]


def unknown_metrics(query: str) -> list[str]:
    """The metrics in a query that the program does not have. A histogram has three."""
    table = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \|", METRICS.read_text(), re.M)
    has = {name for name, kind in table if kind != "histogram"}
    for part in ("bucket", "sum", "count"):
        has |= {f"{name}_{part}" for name, kind in table if kind == "histogram"}
    used = set(re.findall(r"\b[a-z_]+(?=\{)|\b(?:kubeproxy|kubernetes|trimtab|process)_\w+", query))
    return [f"{name} in {query}" for name in sorted(used - has - OF_PROMETHEUS)]


def dashboard_faults() -> list[str]:
    """Dashboards and panels that Grafana would confuse or that nobody could read."""
    boards = {path.name: json.loads(path.read_text()) for path in DASHBOARDS}
    found = []
    if len({board["uid"] for board in boards.values()}) != len(boards):
        found.append("two dashboards have one uid")
    for name, board in boards.items():
        if len({panel["id"] for panel in board["panels"]}) != len(board["panels"]):
            found.append(f"{name}: two panels have one id")
        found += [f"{name}: {why}" for why in misplaced(board["panels"])]
        known = {variable["name"] for variable in board["templating"]["list"]}
        for panel in (one for one in board["panels"] if one["type"] != "row"):
            missing = [key for key in ("title", "description") if not panel.get(key)]
            missing += [] if panel["fieldConfig"]["defaults"].get("unit") else ["unit"]
            missing += ["legend" for target in panel["targets"] if not target.get("legendFormat")]
            for target in panel["targets"]:
                used = set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"}
                missing += [f"variable {one}" for one in sorted(used - known)]
            found += [f"{name}: {panel['title']}: no {what}" for what in missing]
    return found


def misplaced(panels: list[dict[str, Any]]) -> list[str]:
    """Panels that overlap or do not fit into the 24 columns."""
    taken: dict[tuple[int, int], str] = {}
    found = []
    for panel in panels:
        place, title = panel["gridPos"], panel["title"]
        if place["x"] + place["w"] > 24:
            found.append(f"{title} is too far to the right")
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), title)
                if other != title and f"{title} overlaps {other}" not in found:
                    found.append(f"{title} overlaps {other}")
    return found


def runbook_faults() -> list[str]:
    """Alerts whose link leads to no heading of the runbook, and headings without an alert."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    alerts = {rule["alert"]: rule["annotations"].get("runbook_url") for rule in rules if "alert" in rule}
    headings = set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.M))
    found = [
        f"{alert}: the runbook is at {url}"
        for alert, url in alerts.items()
        if url != RUNBOOK_URL + alert.lower()
    ]
    found += [f"{alert} is not in {RUNBOOK.name}" for alert in sorted(alerts.keys() - headings)]
    return found + [f"{one} in {RUNBOOK.name} is no alert" for one in sorted(headings - alerts.keys())]


def promtool(*arguments: str) -> list[str]:
    """The output of promtool if it fails."""
    run = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return [(run.stdout + run.stderr).strip()] if run.returncode else []
