#!/usr/bin/env python3
"""Draws the dashboards from a run of `cargo xtask observe`, whose output is standard input.

  cargo xtask observe | deploy/chart/tests/picture.py docs/src/operate

writes an SVG for each dashboard into that folder. Grafana draws the same panels more beautifully; it
is not among the packages of any distribution that the tests run on.
"""

import json
import re
import sys
from html import escape
from pathlib import Path
from typing import Any

COLUMN, ROW, GAP = 44, 26, 6
COLOURS = ["#5794f2", "#73bf69", "#ff9830", "#f2495c", "#b877d9", "#fade2a", "#8ab8ff", "#96d98d"]
DECIMAL = ["", "k", "M", "G", "T"]
SUFFIX = {
    "cps": "/s", "ops": "/s", "pps": " p/s", "Bps": "B/s", "bytes": "B", "s": " s", "cpm": "/min",
}


def text_of(value: float, unit: str) -> str:
    """A number as Grafana shows it."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s" and abs(value) < 1:
        return f"{1000 * value:.3g} ms"
    power = 0
    while abs(value) >= 1000 and power < len(DECIMAL) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g} {DECIMAL[power]}{SUFFIX.get(unit, '')}".strip()


def legend(template: str, labels: dict[str, str]) -> str:
    """The name of a series."""
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), template)


def series(panel: dict[str, Any]) -> list[tuple[str, list[tuple[float, float]]]]:
    """Name and points of each line of a panel."""
    found = []
    for target in panel["targets"]:
        for one in target["result"]:
            points = [(float(at), float(value)) for at, value in one["values"]]
            points = [point for point in points if point[1] == point[1]]
            found.append((legend(target["legend"], one["metric"]), points))
    return found


def label(x: float, y: float, text: str, size: int = 10, colour: str = "#8e8e9b", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" {more}>{escape(text)}</text>'


def draw(panel: dict[str, Any], lines: list[tuple[str, list[tuple[float, float]]]]) -> list[str]:
    """The panel's picture."""
    place = panel["place"]
    x, y = place["x"] * COLUMN + GAP, place["y"] * ROW + GAP
    width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
    out = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="3" fill="#181b1f"/>']
    title = panel["title"]
    size = min(11, int(1.7 * width / max(len(title), 1)))
    out.append(label(x + 8, y + 16, title, size, "#d8d9da"))
    last = [points[-1][1] for _, points in lines if points]
    if panel["type"] == "stat":
        words = " / ".join(text_of(value, panel["unit"]) for value in last) or "no data"
        out.append(label(x + width / 2, y + 64, words, 24, "#73bf69", 'text-anchor="middle"'))
        return out
    points = [point for _, line in lines for point in line]
    if not points:
        return [*out, label(x + width / 2, y + height / 2, "no data", more='text-anchor="middle"')]
    shown = lines[:4]
    left, top, right, bottom = x + 58, y + 28, x + width - 10, y + height - 28 - 13 * len(shown)
    first, final = min(at for at, _ in points), max(at for at, _ in points)
    high = max(value for _, value in points) or 1
    for step in range(5):
        at = bottom - (bottom - top) * step / 4
        out.append(f'<line x1="{left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}" stroke="#2c3235"/>')
        words = text_of(high * step / 4, panel["unit"])
        out.append(label(left - 5, at + 3, words, 9, more='text-anchor="end"'))
    for part, anchor in ((0, "start"), (0.5, "middle"), (1, "end")):
        words = f"{part * (final - first):.0f} s"
        at = left + (right - left) * part
        out.append(label(at, bottom + 13, words, 9, more=f'text-anchor="{anchor}"'))
    for number, (_, line) in enumerate(lines):
        scale = (right - left) / ((final - first) or 1)
        path = " ".join(
            f"{left + (at - first) * scale:.1f},{bottom - (bottom - top) * value / high:.1f}"
            for at, value in line
        )
        colour = COLOURS[number % len(COLOURS)]
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
    for number, (name, line) in enumerate(shown):
        at = bottom + 27 + 13 * number
        colour = COLOURS[number % len(COLOURS)]
        out.append(f'<rect x="{left - 45}" y="{at - 5:.1f}" width="10" height="3" fill="{colour}"/>')
        value = text_of(line[-1][1], panel["unit"]) if line else ""
        more = f" (and {len(lines) - len(shown)} more)" if number == 3 and len(lines) > 4 else ""
        out.append(label(left - 30, at, f"{name}: {value}{more}", 9, "#c7d0d9"))
    return out


def main() -> int:
    folder = Path(sys.argv[1])
    boards: dict[str, list[dict[str, Any]]] = {}
    for line in sys.stdin:
        if line.startswith("PANEL "):
            panel = json.loads(line.removeprefix("PANEL "))
            boards.setdefault(panel["dashboard"], []).append(panel)
        else:
            print(line, end="")
    for title, panels in boards.items():
        width = 24 * COLUMN + GAP
        height = max(panel["place"]["y"] + panel["place"]["h"] for panel in panels) * ROW + GAP
        body = [part for panel in panels for part in draw(panel, series(panel))]
        name = "dashboard-" + title.split("/")[-1].strip().lower() + ".svg"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="Helvetica, Arial, sans-serif">'
        )
        ground = f'<rect width="{width}" height="{height}" fill="#111217"/>'
        (folder / name).write_text("\n".join([head, ground, *body, "</svg>"]) + "\n")
        print(f"wrote {folder / name}: {len(panels)} panels")
    return 0 if boards else 1


if __name__ == "__main__":
    sys.exit(main())
