"""`ringside test`: builds everything, runs every test by ctest, and counts. The last line is `N passed, N failed`."""

import collections
import json
import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree
from pathlib import Path

from . import build, platforms, setup
from .messages import UserError, seconds

# Tests with this label take minutes: they run with --all, or when they are asked for by label.
LONG = "long"


def add_arguments(parser):
    parser.add_argument("-L", "--label", metavar="REGEX", help="only tests with such a label: unit, cli, style, qemu, ...")
    parser.add_argument("-R", "--regex", metavar="REGEX", help="only tests with such a name")
    parser.add_argument("--all", action="store_true", help=f"also those labelled '{LONG}'")
    parser.add_argument("--list", action="store_true", help="name the tests and stop")


def _selection(options):
    words = []
    if options.label:
        words += ["-L", options.label]
    if options.regex:
        words += ["-R", options.regex]
    if not options.all and not options.label:
        words += ["-LE", f"^{LONG}$"]
    return words


def known(folder, selection):
    """{test name: labels}"""
    output = subprocess.run(["ctest", "--test-dir", str(folder), "--show-only=json-v1", *selection], check=True, capture_output=True,
                            text=True).stdout
    if not output.startswith("{"):
        # CMake's own words about an expression that it cannot read stand before the list.
        raise UserError(output.splitlines()[0].replace("RegularExpression::compile(): ", "-L or -R is no regular expression: "), 2)
    tests = {}
    for test in json.loads(output)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        tests[test["name"]] = properties.get("LABELS", [])
    return tests


def nothing_matches(options, labels):
    """What was asked for, in words, when no test is like that."""
    asked = [f"the label '{options.label}'"] if options.label else []
    if options.regex:
        asked.append(f"a name that matches '{options.regex}'")
    text = f"no test has {' and '.join(asked)}" if asked else "there are no tests"
    if options.label and labels:
        text += f" (labels: {', '.join(sorted(labels))})"
    elif options.regex and not options.all:
        text += f", among those that run without --all ('{LONG}' ones need it)"
    return text


def why(output):
    """The lines of a failed test's output that say it in short; the last one if none does. The whole of it stands where the test ran."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"FAIL|\w*Error\b|PANIC|.*: (ERROR|error): ", line)]
    return [line[:300] for line in telling[:4] or lines[-1:]]


def run(folder, selection, junit):
    """Runs ctest with its output as it comes, and reads the outcome of each test from its report: (name, outcome, seconds, why)."""
    subprocess.run(["ctest", "--test-dir", str(folder), "--output-on-failure", "--no-tests=ignore", "-j", str(os.cpu_count() or 1),
                    "--output-junit", str(junit), *selection], stdin=subprocess.DEVNULL)
    if not junit.exists():
        return []
    results = []
    for case in xml.etree.ElementTree.parse(junit).getroot().iter("testcase"):
        outcome = {"run": "passed", "fail": "failed"}.get(case.get("status"), "skipped")
        if case.find("failure") is not None:
            outcome = "failed"
        results.append((case.get("name"), outcome, float(case.get("time", 0)),
                        why(case.findtext("system-out", "")) if outcome == "failed" else []))
    return results


def main(options):
    setup.ensure(with_tests=True, with_long_tests=options.all)
    selection = _selection(options)
    counts = collections.Counter()
    times = collections.Counter()
    named = collections.defaultdict(list)
    reasons = {}
    presets = build.bootable()
    selected = {preset: known(build.prepare(preset), selection) for preset in presets}
    if not any(selected.values()):
        everything = {label for preset in presets for its in known(build.prepare(preset), []).values() for label in its}
        # Nothing run is not a success: a misspelt label would look like one.
        raise UserError(nothing_matches(options, everything), 2)
    for preset in presets:
        folder = build.prepare(preset)
        labels = selected[preset]
        if options.list:
            for name, its in labels.items():
                print(f"{name}  [{', '.join(its)}]")
            continue
        # `test -L unit` need not wait for the kernel.
        if not labels:
            continue
        build.build(preset)
        # A build may have changed the list (a CMakeLists.txt was edited).
        labels = known(folder, selection)
        with tempfile.TemporaryDirectory(prefix="ringside-") as scratch:
            results = run(folder, selection, Path(scratch) / "report.xml")
        reported = {result[0] for result in results}
        # A test that ctest never got to (it was killed, or the report is torn) has not passed.
        results += [(name, "failed", 0.0, ["no report"]) for name in labels if name not in reported]
        for name, outcome, time, lines in results:
            counts[outcome] += 1
            named[outcome].append(name)
            reasons[name] = lines
            for label in labels.get(name, []):
                times[label] += time
    if options.list:
        return 0
    for label, time in sorted(times.items()):
        print(f"{label}: {seconds(time)}")
    cells = [name for outcome in named.values() for name in outcome if name.startswith("qemu.matrix.")]
    if cells:
        every = len(platforms.cells())
        sample = len(cells) < every and not options.label and not options.regex
        print(f"{len(cells)} of the {every} cells of the QEMU matrix were run" + (f": the fixed sample, with {len(platforms.MACHINE_TESTS)} more as "
              "qemu.machine tests; 'ringside test --all' runs all (docs/platforms.md)" if sample else ""))
    for outcome in ("skipped", "failed"):
        for name in named[outcome]:
            print("\n    ".join([f"{outcome.upper()}: {name}", *reasons[name]]))
    print(f"{counts['passed']} passed, {counts['failed']} failed" + (f", {counts['skipped']} skipped" if counts["skipped"] else ""), flush=True)
    return 0 if counts["passed"] and not counts["failed"] else 1
