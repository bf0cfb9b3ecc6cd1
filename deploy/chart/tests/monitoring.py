"""The alerts and the dashboard: that they are valid and use only metrics that the program has."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import yaml

from rendering import CHART

RULES = CHART / "rules" / "trimtab.yaml"
DASHBOARD = CHART / "dashboards" / "trimtab.json"
METRICS = CHART.parent.parent / "crates" / "trimtab-metrics" / "src" / "table.rs"

# Metrics of Prometheus itself.
OF_PROMETHEUS = {"up", "ALERTS"}
# Values in place of Grafana's variables, for promtool.
VARIABLES = {"$__rate_interval": "5m", "$instance": "a"}


def checks() -> dict[str, list[str]]:
    """Every check, by its message."""
    rules = list(rule_queries())
    panels = list(dashboard_queries())
    known = "alerts and dashboard ask for metrics that the program has"
    found = {known: [why for query in rules + panels for why in unknown_metrics(query)]}
    found["dashboard: identifiers, legends, units"] = dashboard_faults()
    if not shutil.which("promtool"):
        return found | {"NOT RUN, promtool is not installed: alerts": []}
    found["promtool check rules"] = promtool("check", "rules", str(RULES))
    found["promtool test rules"] = promtool("test", "rules", str(CHART / "tests" / "rules.yaml"))
    found["promtool takes the dashboard's queries"] = parse(panels)
    return found


def parse(queries: list[str]) -> list[str]:
    """Errors that promtool finds in the queries, which it checks as queries of rules."""
    rules = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
        file.flush()
        return promtool("check", "rules", file.name)


def rule_queries() -> Iterator[str]:
    """The queries of the alerts."""
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]


def dashboard_queries() -> Iterator[str]:
    """The queries of the dashboard, with values in place of its variables."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield query


def unknown_metrics(query: str) -> list[str]:
    """The metrics in a query that the program does not have. A histogram has three."""
    table = re.findall(r'= (Counter|Gauge|Histogram)\s+"([a-z_]+)"', METRICS.read_text())
    has = {name for kind, name in table if kind != "Histogram"}
    for part in ("bucket", "sum", "count"):
        has |= {f"{name}_{part}" for kind, name in table if kind == "Histogram"}
    used = set(re.findall(r"\b[a-z_]+(?=\{)|\b(?:kubeproxy|trimtab)_\w+", query))
    return [f"{name} in {query}" for name in sorted(used - has - OF_PROMETHEUS)]


def dashboard_faults() -> list[str]:
    """Panels that Grafana would confuse or that nobody could read."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = [] if len({p["id"] for p in panels}) == len(panels) else ["two panels have one id"]
    for panel in (one for one in panels if one["type"] != "row"):
        missing = [key for key in ("title", "description") if not panel.get(key)]
        missing += [] if panel["fieldConfig"]["defaults"].get("unit") else ["unit"]
        missing += ["legend" for target in panel["targets"] if not target.get("legendFormat")]
        found += [f"{panel['title']}: no {name}" for name in missing]
    return found


def promtool(*arguments: str) -> list[str]:
    """The output of promtool if it fails."""
    run = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return [(run.stdout + run.stderr).strip()] if run.returncode else []
