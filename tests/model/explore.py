#!/usr/bin/env python3
"""explore.py PROGRAM [--long]: the fix-point explorer over all its rings, and then again with each switch of the ring engines' checks off
(mutant(N), see tests/policy/memory_test.hpp): it must see nearly all of these planted bugs. Prints both tables."""

import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What cannot be seen from outside an engine, or only beyond the rings explored here, is at most this part of all switches.
SURVIVORS = 0.15


def mutants():
    """Engine and number of every switch in the ring engines."""
    for kind in ("split", "packed"):
        text = "".join(path.read_text() for path in sorted((ROOT / "libvirtio" / "ring").glob(kind + ".*")))
        for number in sorted({int(match) for match in re.findall(r"\bmutant\((\d+)\)", text)}):
            yield kind, number


def plant(program, kind, number):
    # A switch may also make the engine run wild: a crash or a hang is found as well.
    try:
        run = subprocess.run([program, "--small", kind], env={**os.environ, "RINGSIDE_MUTANT": str(number)}, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return kind, number, "hangs"
    violated = re.search(r"^(.*?)  +\d.*VIOLATED: (.*)$", run.stdout, re.MULTILINE)
    if violated:
        return kind, number, f"{violated[1].strip()}: {violated[2]}"
    return kind, number, "" if run.returncode == 0 else f"ends with {run.returncode}"


def main():
    program = sys.argv[1]
    wrong = subprocess.run([program, *sys.argv[2:]]).returncode
    print(f"\n{'planted bug':14} first seen by", flush=True)
    planted = list(mutants())
    survivors = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for kind, number, seen in pool.map(lambda mutant: plant(program, *mutant), planted):
            print(f"{kind:7} {number:6} {seen or 'NOT SEEN'}", flush=True)
            if not seen:
                survivors.append(f"{kind} {number}")
    print(f"{len(planted) - len(survivors)} of {len(planted)} planted bugs seen; not seen: {', '.join(survivors) or 'none'}")
    return 1 if wrong or not planted or len(survivors) > SURVIVORS * len(planted) else 0


if __name__ == "__main__":
    sys.exit(main())
