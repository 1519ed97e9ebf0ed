"""Figures that were measured: a list of {"name", "value", "unit", "goal", "peer", "peer_value"}, as a table and as JSON. Less is better everywhere.

    results = [result("native.split.one.b32.instructions", 53.2, "instructions", goal=54, peer="ringtest", peer_value=63.0)]
    print(table(results))
    write(results, "out.json")
"""

import json
import os
import tempfile
from pathlib import Path

from .messages import UserError

FIELDS = ("name", "value", "unit", "goal", "peer", "peer_value")


def result(name, value, unit, goal=None, peer=None, peer_value=None):
    """One figure. goal: what it is to be at most. peer: who does the same, in words; peer_value: what it takes there, in the same unit."""
    if (peer is None) != (peer_value is None):
        raise ValueError(f"{name}: a peer and its value come together")
    return {"name": name, "value": value, "unit": unit, "goal": goal, "peer": peer, "peer_value": peer_value}


def check(results):
    """What is wrong with the list, in words, or None. A name stands for one figure, for good."""
    names = set()
    for entry in results:
        if tuple(entry) != FIELDS:
            return f"a result needs {', '.join(FIELDS)} in this order: {entry}"
        if entry["name"] in names:
            return f"{entry['name']} stands twice among the results"
        names.add(entry["name"])
        for key in ("value", "goal", "peer_value"):
            if (key == "value" or entry[key] is not None) and (isinstance(entry[key], bool) or not isinstance(entry[key], (int, float))):
                return f"{entry['name']}: {key} is not a number: {entry[key]!r}"
    return None


def number(value):
    """Whole numbers as they are, others with as many digits as they deserve."""
    if value is None:
        return ""
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1000):
        return f"{int(value)}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def verdict(entry):
    """Against the goal: "ok", or by how much it is missed."""
    if entry["goal"] is None:
        return ""
    if entry["value"] <= entry["goal"]:
        return "ok"
    return f"+{100 * (entry['value'] / entry['goal'] - 1):.0f} %" if entry["goal"] else "missed"


def table(results):
    """Columns name, value, unit, goal, against the goal, peer, its value, ratio (below 1: better than the peer)."""
    rows = [("name", "value", "unit", "goal", "", "peer", "its value", "ratio")]
    for entry in results:
        ratio = f"{entry['value'] / entry['peer_value']:.2f}" if entry["peer_value"] else ""
        rows.append((entry["name"], number(entry["value"]), entry["unit"], number(entry["goal"]), verdict(entry), entry["peer"] or "",
                     number(entry["peer_value"]), ratio))
    used = [column for column in range(len(rows[0])) if any(row[column] for row in rows[1:])]
    widths = {column: max(len(row[column]) for row in rows) for column in used}
    left = {0, 2, 5}
    lines = []
    for row in rows:
        cells = [row[c].ljust(widths[c]) if c in left else row[c].rjust(widths[c]) for c in used]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def write(results, path):
    """All or nothing: a file that is cut short would pass for a shorter list."""
    wrong = check(results)
    if wrong:
        raise ValueError(wrong)
    path = Path(path)
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8") as file:
            file.write("[\n" + ",\n".join("  " + json.dumps(entry) for entry in results) + "\n]\n")
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def read(path):
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no list of results: {error}") from None
    wrong = check(results)
    if wrong:
        raise UserError(f"{path}: {wrong}")
    return results
