#!/usr/bin/env python3
"""spin_models.py [--long] [--model NAME]: examines the SPIN models in spin/ completely, in every order of stores, with all fences and with
each of them taken away. Prints a table; fails on a surprise: an error with all fences, or none where a missing one must show."""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDERS = {"SC": 0, "TSO": 1, "WEAK": 2}
LOST, STALE = "lost wake-up", "stale read"

# name: bit, the first order in which its absence shows, how. The bits are those of the models.
RING_FENCES = {
    "PUBLISH_RELEASE": (1, "WEAK", STALE),
    "PUBLISH_BARRIER": (2, "TSO", LOST),
    "ARM_BARRIER": (4, "TSO", LOST),
    "DEVICE_RELEASE": (16, "WEAK", STALE),
    "DEVICE_NOTIFY": (32, "TSO", LOST),
    "DEVICE_ARM": (64, "TSO", LOST),
    "SECOND_LOOK": (128, "SC", LOST),
}
# Where the owner kicks without asking, nothing but the doorbell's barrier stands between the ring and the kick.
ALWAYS_FENCES = {"DOORBELL_BARRIER": (8, "WEAK", LOST)}
INTERRUPT_STEPS = {
    "ACKNOWLEDGE_FIRST": (1, "SC", LOST),
    "TAKE_FIRST": (2, "SC", LOST),
    "SECOND_LOOK": (4, "SC", LOST),
    "MASKED_TEST": (8, "SC", LOST),
}

WAKE_STEPS = {
    "HINT_RELEASE": (1, "WEAK", STALE),
    "HINT_FENCE": (2, "TSO", LOST),
    "HALT_FENCE": (4, "TSO", LOST),
    "HALTING_FIRST": (8, "SC", LOST),
    "MASKED_HALT": (16, "SC", LOST),
}

# title, file, settings, defines, what is taken away, whether only --long examines it with all fences
MODELS = [
    ("split, flags", "split", {"EVENT_INDEX": 0, "ALWAYS": 0}, [], RING_FENCES, False),
    ("split, flags, kick always", "split", {"EVENT_INDEX": 0, "ALWAYS": 1}, [], ALWAYS_FENCES, False),
    ("split, EVENT_IDX", "split", {"EVENT_INDEX": 1, "ALWAYS": 0}, [], RING_FENCES, False),
    ("split, EVENT_IDX, kick always", "split", {"EVENT_INDEX": 1, "ALWAYS": 1}, [], ALWAYS_FENCES, False),
    ("split of 1, EVENT_IDX", "split", {"EVENT_INDEX": 1, "ALWAYS": 0}, ["N=1"], {}, False),
    ("packed, ENABLE/DISABLE", "packed", {"EVENT_INDEX": 0, "ALWAYS": 0, "CHAINS": 0}, [], RING_FENCES, False),
    ("packed, ENABLE/DISABLE, chains", "packed", {"EVENT_INDEX": 0, "ALWAYS": 0, "CHAINS": 1}, [], {}, False),
    ("packed, ENABLE/DISABLE, kick always", "packed", {"EVENT_INDEX": 0, "ALWAYS": 1, "CHAINS": 0}, [], ALWAYS_FENCES, False),
    ("packed, DESC", "packed", {"EVENT_INDEX": 1, "ALWAYS": 0, "CHAINS": 0}, [], RING_FENCES, False),
    ("packed, DESC, chains", "packed", {"EVENT_INDEX": 1, "ALWAYS": 0, "CHAINS": 1}, [], {}, True),
    ("packed, DESC, kick always", "packed", {"EVENT_INDEX": 1, "ALWAYS": 1, "CHAINS": 0}, [], ALWAYS_FENCES, True),
    ("packed of 3, DESC", "packed", {"EVENT_INDEX": 1, "ALWAYS": 0, "CHAINS": 0}, ["N=3", "FIRST=4"], {}, True),
    ("packed of 1, DESC", "packed", {"EVENT_INDEX": 1, "ALWAYS": 0, "CHAINS": 0}, ["N=1"], {}, False),
    ("interrupt, event, sleep", "interrupt", {}, [], INTERRUPT_STEPS, False),
    ("another processor's wake-up, halt", "wake", {}, [], WAKE_STEPS, False),
]


def tool(name):
    path = shutil.which(name)
    if path is None:
        sys.exit(f"{name} is not installed: nothing was examined (packages: spin, gcc)")
    return path


class Examiner:
    def __init__(self, folder, spin, compiler):
        self.folder, self.spin, self.compiler = Path(folder), spin, compiler
        self.surprises = 0

    def build(self, model, defines):
        place = self.folder / "-".join([model, *defines])
        if not place.exists():
            place.mkdir()
            for command in ([self.spin, *["-D" + define for define in defines], "-a", str(HERE / "spin" / (model + ".pml"))],
                            [self.compiler, "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=6000", "-o", "pan", "pan.c"]):
                run = subprocess.run(command, cwd=place, capture_output=True, text=True)
                if run.returncode or not (place / "pan.c").exists():
                    sys.exit(f"{' '.join(command)}\n{run.stdout}{run.stderr}")
        return place

    def examine(self, job):
        title, place, settings, order, fences, missing, expected = job
        environment = {**os.environ, **{name: str(value) for name, value in settings.items()}, "ORDER": str(ORDERS[order]), "FENCES": str(fences)}
        # Each in a folder of its own: pan leaves the path to an error beside itself.
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            run = subprocess.run([place / "pan", "-m100000", "-n"], cwd=folder, env=environment, capture_output=True, text=True)
            verdict, states = read_verdict(run.stdout)
            path = ""
            if verdict != expected:
                if list(Path(folder).glob("*.trail")):
                    path = subprocess.run([place / "pan", "-r"], cwd=folder, env=environment, capture_output=True, text=True).stdout
                else:
                    path = run.stdout + run.stderr
        return title, order, missing, states, verdict, expected, path


def read_verdict(text):
    states = next((line.split()[0] for line in text.splitlines() if "states, stored" in line), "?")
    if re.search(r"^pan:\d+: invalid end state", text, re.MULTILINE):
        return LOST, states
    if re.search(r"^pan:\d+: assertion violated", text, re.MULTILINE):
        return STALE, states
    if "errors: 0" in text and "not completed" not in text and "too small" not in text:
        return "holds", states
    return "not examined", states


def jobs(examiner, long, wanted):
    for title, model, settings, defines, removable, only_long in MODELS:
        if wanted and wanted != model:
            continue
        place = examiner.build(model, defines)
        orders = ["SC"] if model == "interrupt" else list(ORDERS)
        every = {"interrupt": 15, "wake": 31}.get(model, 255)
        if long or not only_long:
            for order in orders:
                yield title, place, settings, order, every, "none", "holds"
        for name, (bit, first, how) in removable.items():
            for order in orders:
                shows = ORDERS[order] >= ORDERS[first]
                # The short form looks where a fence first matters; the long one also at the orders that do without it.
                if long or order == first:
                    yield title, place, settings, order, every & ~bit, name, how if shows else "holds"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="every removal in every order, and the largest models")
    parser.add_argument("--model", help="split, packed, interrupt or wake only")
    options = parser.parse_args()
    surprises = runs = 0
    with tempfile.TemporaryDirectory() as folder:
        examiner = Examiner(folder, tool("spin"), tool("gcc"))
        print(f"{'model':36} {'order':5} {'missing':17} {'states':>9}  verdict")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for title, order, missing, states, verdict, expected, path in pool.map(examiner.examine, jobs(examiner, options.long, options.model)):
                runs += 1
                print(f"{title:36} {order:5} {missing:17} {states:>9}  {verdict}", flush=True)
                if verdict != expected:
                    surprises += 1
                    print(f"SURPRISE: expected: {expected}. The way there:\n" + "\n".join(path.splitlines()[-120:]), flush=True)
    print(f"{runs} examined, {surprises} surprises")
    return 1 if surprises or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
