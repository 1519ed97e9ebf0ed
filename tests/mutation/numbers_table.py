#!/usr/bin/env python3
"""Mutant numbers: each mutant(N) of libvirtio/ and drivers/ stands once in the sources and has its line in mutants.tsv, in the
file that the line names, and the other tables name only numbers that exist."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FOLDERS = ("libvirtio", "drivers")
MOST = 1024  # as asked_mutants() of tests/policy/mutant.hpp
SWITCH = re.compile(r"\bmutant\(\s*([^()]*?)\s*\)")


def read_table(path, columns):
    """[(number, ...)] of a table of tab-separated lines; '#' begins a comment."""
    rows = []
    for place, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != columns or not cells[0].isdigit() or not all(cell.strip() for cell in cells):
            raise SystemExit(f"{path.name}:{place}: {columns} columns wanted, the first a number: {line!r}")
        rows.append((int(cells[0]), *cells[1:]))
    return rows


def switches(root):
    """[(number, file)] as they stand in the sources, and complaints about those that are no literals."""
    found, complaints = [], []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".hpp", ".cpp") or path.name == "memory_real.hpp":
                continue
            name = path.relative_to(root).as_posix()
            for match in SWITCH.finditer(path.read_text()):
                if match.group(1).isdigit():
                    found.append((int(match.group(1)), name))
                else:
                    complaints.append(f"{name}: mutant({match.group(1)}) is not a plain number")
    return found, complaints


def check(found, table, others):
    complaints = []
    where = {}
    for number, name in found:
        if number in where:
            complaints.append(f"mutant({number}) stands twice: {where[number]}, {name}")
        where[number] = name
        if not 1 <= number < MOST:
            complaints.append(f"{name}: mutant({number}) is outside 1 .. {MOST - 1}")
    listed = {}
    for number, name, _ in table:
        if number in listed:
            complaints.append(f"mutants.tsv: {number} is listed twice")
        listed[number] = name
        if number not in where:
            complaints.append(f"mutants.tsv: {number} stands in no source")
        elif where[number] != name:
            complaints.append(f"mutants.tsv: {number} is in {where[number]}, not in {name}")
    complaints += [f"{name}: mutant({number}) has no line in mutants.tsv" for number, name in found if number not in listed]
    if [row[0] for row in table] != sorted(row[0] for row in table):
        complaints.append("mutants.tsv is not sorted")
    for table_name, numbers in others.items():
        complaints += [f"{table_name}: no such mutant: {number}" for number in numbers if number not in where]
        complaints += [f"{table_name}: {number} is listed twice" for number in sorted(set(numbers)) if numbers.count(number) > 1]
    return complaints


def self_check():
    """Each kind of mistake is seen."""
    table = [(1, "a.cpp", "x"), (2, "a.cpp", "y")]
    good = [(1, "a.cpp"), (2, "a.cpp")]
    if check(good, table, {"killers.tsv": [1]}):
        raise SystemExit("self-check: complaints about good numbers")
    for name, arguments in {"twice": (good + [(2, "b.cpp")], table, {}), "unlisted": (good + [(3, "a.cpp")], table, {}),
                            "gone": (good[:1], table, {}), "moved": ([(1, "b.cpp"), (2, "a.cpp")], table, {}), "too large": (good + [(MOST, "a.cpp")], table + [(MOST, "a.cpp", "z")], {}),
                            "unsorted": (good, table[::-1], {}), "unknown": (good, table, {"survivors.tsv": [7]})}.items():
        if not check(*arguments):
            raise SystemExit(f"self-check: not seen: {name}")


def main():
    self_check()
    found, complaints = switches(ROOT)
    others = {name: [row[0] for row in read_table(HERE / name, columns)] for name, columns in (("killers.tsv", 3), ("survivors.tsv", 2))}
    complaints += check(found, read_table(HERE / "mutants.tsv", 3), others)
    for complaint in complaints:
        print(complaint)
    print(f"{len(found)} mutants")
    return 1 if complaints or not found else 0


if __name__ == "__main__":
    sys.exit(main())
