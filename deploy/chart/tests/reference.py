"""The chart's README: its own text, and a table made of the comments in values.yaml."""

import json
import re
from dataclasses import dataclass

import yaml

from rendering import CHART

KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):")


@dataclass
class Value:
    """A value that has a comment: its path, default and comment."""

    path: str
    default: object
    comment: str


def documented() -> list[Value]:
    """The values with a comment that begins with `# -- `, in the file's order."""
    text = (CHART / "values.yaml").read_text()
    defaults = yaml.safe_load(text)
    found: list[Value] = []
    path: list[str] = []
    comment: list[str] | None = None
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            comment = [stripped.removeprefix("# -- ")]
        elif stripped.startswith("#") and comment is not None:
            comment.append(stripped.removeprefix("#").strip())
        elif key := KEY.match(line):
            path = path[: len(key[1]) // 2] + [key[2]]
            if comment is not None:
                default = defaults
                for name in path:
                    default = default[name]
                found.append(Value(".".join(path), default, " ".join(comment)))
            comment = None
        elif not stripped:
            comment = None
    return found


def undocumented() -> list[str]:
    """The values without a comment: neither they nor any above or below them have one."""
    known = {value.path for value in documented()}

    def visit(path: str, node: object) -> list[str]:
        if path in known:
            return []
        if isinstance(node, dict) and node:
            below = [visit(f"{path}.{key}".lstrip("."), inner) for key, inner in node.items()]
            return [one for some in below for one in some]
        return [path]

    return visit("", yaml.safe_load((CHART / "values.yaml").read_text()))


def readme() -> str:
    """README.md: the template with the table in place of its marker."""
    rows = ["| value | default | what |", "|---|---|---|"]
    for value in documented():
        default = json.dumps(value.default).replace("|", "\\|")
        comment = value.comment.replace("|", "\\|")
        rows.append(f"| `{value.path}` | `{default}` | {comment} |")
    template = (CHART / "tests" / "README.md.in").read_text()
    return template.replace("@VALUES@", "\n".join(rows))
