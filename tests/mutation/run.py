#!/usr/bin/env python3
"""Mutation tests: switches each validation off in turn and demands that a test notices.

Every check of what a device or a caller gives has a number (mutants.tsv). The programs of tests are built with a memory policy in
which RINGSIDE_MUTANT=N switches check N off; they run once per number, in processes of their own, in the order given. A failed test, a crash
or a hang kills the mutant. The test case that did it the last time (killers.tsv) is tried first, then the tests in files of a like name, then the whole program.
A mutant that lives must have its reason in survivors.tsv, and one that is listed there must live.

    run.py PROGRAM...                   all mutants; fails below 98 % or for a survivor without a reason
    run.py PROGRAM... --record          the same, and writes killers.tsv anew
    run.py PROGRAM... --only 17,300-399 some of them
    run.py PROGRAM... --table           says of each mutant what killed it
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from numbers_table import read_table  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
GOAL = 0.98
SLOW_SHARE = 0.15  # a test case that takes more of the whole time than this is tried only where it is known to notice
LEAST_SECONDS = 2  # of processor time; a test case gets ten times what it takes without a mutant, and never less than this

Outcome = collections.namedtuple("Outcome", "how test seconds")


def escaped(name):
    """A test case's name as doctest's filter takes it: a comma separates, a question mark stands for any character."""
    return "".join("?" if character in ",\\*" else character for character in name)


def near(place):
    """Filters for the files whose tests are most likely to notice a mutant of this source file."""
    path = pathlib.PurePosixPath(place)
    words = {path.stem, path.parent.name} - {"libvirtio", "drivers"}
    if words & {"bus", "pci", "pci_capabilities", "pci_modern", "mmio", "doorbell"}:
        words |= {"transport", "pci"}
    if "ring" in words or "virtqueue" in words:
        words.add("ring")
    if path.stem.startswith("device") or path.stem in ("feature", "status", "config", "platform"):
        words |= {"device", "feature"}
    if path.stem in ("config", "platform", "dma"):
        words.add("platform")
    return [f"--source-file={','.join(f'*{word}*' for word in sorted(words))}"]


def run(program, mutant, chosen, seconds):
    """How the program ends with this mutant, and in which test case. Processor time is limited: a busy machine is no hang."""
    environment = {**os.environ, "RINGSIDE_MUTANT": str(mutant)}
    command = [program, "--abort-after=1", "--no-intro", "--no-version", *chosen]

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    begun = time.monotonic()
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          preexec_fn=limit) as process:
        try:
            said = process.communicate(timeout=20 * seconds)[1]
            hung = process.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[1]
            hung = True
    lines = said.decode(errors="replace").splitlines()
    begun_tests = [line[2:] for line in lines if line.startswith("@ ")]
    last = begun_tests[-1] if begun_tests else ""
    if hung:
        how = "hangs"
    elif process.returncode < 0 or "AddressSanitizer" in said.decode(errors="replace"):
        how = "crashes"
    else:
        how = "fails" if process.returncode else "lives"
    return Outcome(how, last, time.monotonic() - begun), lines


def baseline(programs):
    """Every test case passes without a mutant: {name: (program, seconds)}, and the processor time of all of them."""
    found = {}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    for program in reversed(programs):
        outcome, lines = run(program, 0, [], 600)
        if outcome.how != "lives":
            raise SystemExit(f"without a mutant {program} {outcome.how} in: {outcome.test}")
        names = [line[2:] for line in lines if line.startswith("@ ")]
        times = [float(line[2:]) for line in lines if line.startswith("= ")]
        found |= {name: (program, seconds) for name, seconds in zip(names, times)}
    return found, int(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before) + 1


def numbers(text):
    chosen = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        chosen.update(range(int(first), int(last or first) + 1))
    return chosen


def hunt(programs, mutant, place, known, times, whole):
    """The first test case that notices, the last time's first."""
    outcome = Outcome("lives", "", 0.0)
    total = sum(seconds for _, seconds in times.values())
    slow = ",".join(escaped(name) for name, (_, seconds) in times.items() if seconds > SLOW_SHARE * total)
    without = [f"--test-case-exclude={slow}"] if slow else []
    attempts = [(program, chosen + without, whole) for chosen in (near(place), []) for program in programs]
    if known in times:
        program, seconds = times[known]
        attempts.insert(0, (program, [f"--test-case={escaped(known)}"], max(LEAST_SECONDS, min(whole, int(10 * seconds)))))
    for attempt in attempts:
        outcome, _ = run(attempt[0], mutant, *attempt[1:])
        if outcome.how != "lives":
            break
    return outcome


def judge(number, outcome, described, reason, table):
    """Says what became of a mutant; returns complaints."""
    place, guards = described
    if outcome.how == "lives":
        print(f"{number:4} lives    {place}: {guards}: {reason or 'NO TEST NOTICES'}", flush=True)
        return [] if reason else [f"mutant {number} lives and survivors.tsv gives no reason"]
    if table:
        print(f"{number:4} {outcome.how:8} {place}: {guards}: {outcome.test} ({outcome.seconds:.1f} s)", flush=True)
    return [f"mutant {number} is killed by \"{outcome.test}\": take it off survivors.tsv"] if reason else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="+", metavar="PROGRAM")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--only", type=numbers)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    begun = time.monotonic()
    mutants = {row[0]: row[1:] for row in read_table(HERE / "mutants.tsv", 3)}
    reasons = dict(read_table(HERE / "survivors.tsv", 2))
    killers = {row[0]: row[1:] for row in read_table(HERE / "killers.tsv", 3)}
    chosen = [number for number in mutants if arguments.only is None or number in arguments.only]

    times, whole = baseline(arguments.programs)
    whole = max(10, 2 * whole)
    complaints, found = [], {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        hunts = pool.map(lambda number: hunt(arguments.programs, number, mutants[number][0], killers.get(number, ("",))[0], times, whole),
                         chosen)
        for number, outcome in zip(chosen, hunts):
            found[number] = outcome
            complaints += judge(number, outcome, mutants[number], reasons.get(number), arguments.table)
            if arguments.record:
                record(killers, found)
    killed = sum(outcome.how != "lives" for outcome in found.values())
    how_many = collections.Counter(outcome.how for outcome in found.values())
    score = killed / len(chosen) if chosen else 0.0
    print(f"{len(chosen)} mutants: {killed} killed ({how_many['fails']} by a failing test, {how_many['crashes']} by a crash, "
          f"{how_many['hangs']} by a hang), {len(chosen) - killed} live; score {100 * score:.1f} %, goal {100 * GOAL:.0f} %; "
          f"{len(times)} test cases, {time.monotonic() - begun:.0f} s")
    if score < GOAL and arguments.only is None:
        complaints.append("the score is below the goal")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def record(killers, found):
    for number, outcome in found.items():
        killers.pop(number, None)
        if outcome.how != "lives":
            killers[number] = (outcome.test, outcome.how)
    lines = ["# Which test case noticed a mutant the last time, and how: it is tried first. Written by run.py --record."]
    lines += [f"{number}\t{killers[number][0]}\t{killers[number][1]}" for number in sorted(killers)]
    (HERE / "killers.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
