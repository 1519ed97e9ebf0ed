"""Which clauses of the specification have a test, and which do not.

    coverage.py PROGRAM...      the conformance programs; asks each for the names of its tests
    coverage.py --self-check    proves that every complaint can be raised

A test is named after its clause, "SPLIT-003 a chain never loops", and its negative twin "SPLIT-003 twin". clauses.tsv holds the
clauses with a keyword, extra.tsv those without one, waived.tsv what is not tested here, why, and where it is proved instead.
Exit status 1 and a line per complaint: a clause without test and waiver, a test without twin, a waiver that is not needed,
an id that nobody knows.
"""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# What is in question here: the rings, and every rule about their features that stands elsewhere.
PREFIXES = ("VQ", "SPLIT", "PACKED", "NOTIF", "RESET", "RULE", "X")
ALSO = (
    "FEAT-019", "FEAT-020", "FEAT-027",
    "PCI-018", "PCI-019", "PCI-020", "PCI-024", "PCI-025", "PCI-026", "PCI-040", "PCI-041", "PCI-042", "PCI-043", "PCI-044", "PCI-045",
    "MMIO-016", "MMIO-017", "MMIO-023", "MMIO-024", "MMIO-025",
)
NAME = re.compile(r"([A-Z]+(?:-[A-Z]+)*-(?:\d{3}|[A-Z0-9]+)) (.+)")


def table(path):
    """The rows of a tab-separated file with a heading line."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    heading = lines[0].split("\t")
    rows = []
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(heading) or not all(cells):
            raise SystemExit(f"{path.name}: not {len(heading)} filled columns: {line}")
        rows.append(dict(zip(heading, cells)))
    return rows


def in_scope(clause):
    return clause.split("-")[0] in PREFIXES or clause in ALSO


def test_names(program):
    """The names of a doctest program's tests."""
    listing = subprocess.run([program, "--list-test-cases", "--no-intro"], check=True, capture_output=True, text=True, timeout=60).stdout
    return [line for line in listing.splitlines() if line and not line.startswith(("[doctest]", "==="))]


def judge(clauses, waivers, names, exists=lambda path: True):
    """Returns (complaints, the ids with a test, the ids with a twin). `exists` tells of a path from the repository's root."""
    complaints = []
    known = {row["id"] for row in clauses}
    if len(known) != len(clauses):
        complaints.append("an id stands twice in the tables of clauses")
    complaints += [f"{clause}: in scope, but in no table" for clause in ALSO if clause not in known]

    tests, twins = set(), set()
    for name in names:
        match = NAME.fullmatch(name)
        if not match:
            continue  # a test of the tests' own means
        clause, rest = match.groups()
        found = twins if rest == "twin" or rest.startswith("twin:") else tests
        if clause not in known:
            complaints.append(f"{name}: no such clause")
        elif clause in found and found is tests:
            complaints.append(f"{clause}: two tests of this name")
        found.add(clause)

    waived = {"test": {}, "twin": {}}
    for row in waivers:
        clause, what = row["id"], row["what"]
        if what not in waived:
            complaints.append(f"{clause}: waives '{what}', neither test nor twin")
        elif clause not in known:
            complaints.append(f"{clause}: waived, but no such clause")
        elif clause in waived["test"] or clause in waived["twin"]:
            complaints.append(f"{clause}: waived twice")
        elif not in_scope(clause):
            complaints.append(f"{clause}: waived, but not in question")
        else:
            waived[what][clause] = row
        complaints += [f"{clause}: waived for {path}, which is not there" for path in row["where"].split() if path != "-" and not exists(path)]

    for row in clauses:
        clause = row["id"]
        if clause in tests and clause in waived["test"]:
            complaints.append(f"{clause}: waived, but it has a test")
        if clause in twins and (clause in waived["twin"] or clause in waived["test"]):
            complaints.append(f"{clause}: its twin is waived, but it has one")
        if in_scope(clause) and clause not in tests and clause not in waived["test"]:
            complaints.append(f"{clause}: no test and no waiver ({row['requirement']})")
        if clause in tests and clause not in twins and clause not in waived["twin"]:
            complaints.append(f"{clause}: a test without a negative twin")
        if clause in twins and clause not in tests:
            complaints.append(f"{clause}: a twin without a test")
        if clause in waived["twin"] and clause not in tests:
            complaints.append(f"{clause}: its twin is waived, but it has no test")
    return complaints, tests, twins


def summary(clauses, waivers, tests, twins):
    """A table by prefix."""
    waived = {row["id"] for row in waivers if row["what"] == "test"}
    prefixes = []
    for row in clauses:
        prefix = row["id"].split("-")[0]
        if prefix not in prefixes and (in_scope(row["id"]) or row["id"] in tests):
            prefixes.append(prefix)
    lines = [f"{'prefix':<10}{'clauses':>8}{'tested':>8}{'twins':>8}{'waived':>8}"]
    totals = [0, 0, 0, 0]
    for prefix in prefixes:
        ids = {row["id"] for row in clauses if row["id"].split("-")[0] == prefix and (in_scope(row["id"]) or row["id"] in tests)}
        counts = [len(ids), len(ids & tests), len(ids & twins), len(ids & waived)]
        totals = [total + count for total, count in zip(totals, counts)]
        lines.append(f"{prefix:<10}" + "".join(f"{count:>8}" for count in counts))
    lines.append(f"{'all':<10}" + "".join(f"{count:>8}" for count in totals))
    return "\n".join(lines)


def self_check():
    """Every complaint is raised when its cause is there, and none when there is no cause."""
    clauses = [{"id": "SPLIT-001", "requirement": "a"}, {"id": "SPLIT-002", "requirement": "b"}, {"id": "NET-001", "requirement": "c"}]
    clauses += [{"id": clause, "requirement": "also"} for clause in ALSO]
    good_names = ["SPLIT-001 aligned", "SPLIT-001 twin", "a test of something else"]
    for clause in ALSO:
        good_names += [f"{clause} x", f"{clause} twin"]
    waiver = {"id": "SPLIT-002", "what": "test", "where": "-"}
    good_waivers = [waiver]
    cases = [
        ("nothing wrong", good_waivers, good_names, None),
        ("several twins are fine", good_waivers, good_names + ["SPLIT-001 twin: another way"], None),
        ("a clause without test", [], good_names, "SPLIT-002: no test and no waiver"),
        ("a test without twin", good_waivers, [n for n in good_names if n != "SPLIT-001 twin"], "SPLIT-001: a test without a negative twin"),
        ("a twin without test", good_waivers, [n for n in good_names if n != "SPLIT-001 aligned"], "SPLIT-001: a twin without a test"),
        ("a twin waived", [waiver, {**waiver, "id": "SPLIT-001", "what": "twin"}], good_names, "SPLIT-001: its twin is waived, but it has one"),
        ("a waiver too many", good_waivers, good_names + ["SPLIT-002 x"], "SPLIT-002: waived, but it has a test"),
        ("waived twice", good_waivers * 2, good_names, "SPLIT-002: waived twice"),
        ("an unknown waiver", [waiver, {**waiver, "id": "SPLIT-999"}], good_names, "SPLIT-999: waived, but no such clause"),
        ("a waiver out of scope", [waiver, {**waiver, "id": "NET-001"}], good_names, "NET-001: waived, but not in question"),
        ("proved nowhere", [{**waiver, "where": "- nowhere.cpp"}], good_names, "SPLIT-002: waived for nowhere.cpp"),
        ("a strange waiver", [waiver, {**waiver, "id": "SPLIT-001", "what": "all"}], good_names, "SPLIT-001: waives 'all'"),
        ("an unknown test", good_waivers, good_names + ["SPLIT-999 x"], "SPLIT-999 x: no such clause"),
        ("two tests", good_waivers, good_names + ["SPLIT-001 again"], "SPLIT-001: two tests"),
        ("a clause of the scope that is in no table", good_waivers, good_names, "PCI-018: in scope, but in no table"),
        ("an id twice", good_waivers, good_names, "an id stands twice"),
    ]
    for title, waivers, names, expected in cases:
        rows = list(clauses)
        if expected and "in no table" in expected:
            rows = [row for row in rows if row["id"] != "PCI-018"]
        if expected and "stands twice" in expected:
            rows.append(rows[0])
        complaints, _, _ = judge(rows, waivers, names, lambda path: path != "nowhere.cpp")
        if expected is None and complaints:
            raise SystemExit(f"{title}: {complaints}")
        if expected is not None and not any(complaint.startswith(expected) for complaint in complaints):
            raise SystemExit(f"{title}: not raised, but {complaints}")
    print(f"{len(cases)} cases: every complaint can be raised")


def main():
    if sys.argv[1:] == ["--self-check"]:
        self_check()
        return
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    clauses = table(HERE / "clauses.tsv") + table(HERE / "extra.tsv")
    waivers = table(HERE / "waived.tsv")
    names = [name for program in sys.argv[1:] for name in test_names(program)]
    complaints, tests, twins = judge(clauses, waivers, names, lambda path: (HERE.parents[1] / path).is_file())
    print(summary(clauses, waivers, tests, twins))
    for complaint in complaints:
        print(complaint)
    if complaints:
        raise SystemExit(f"{len(complaints)} complaints")


if __name__ == "__main__":
    main()
