#!/usr/bin/env python3
"""Mutation tests: switches each validation off in turn and demands that a test notices.

Every check of what a device or a caller gives has a number (mutants.tsv). The programs of tests are built with a memory policy in
which RINGSIDE_MUTANT=N switches check N off; a process runs per number. A failed test, a crash or a hang kills the mutant. A first run
without a mutant tells which test cases set off which checks: only those can notice, so only those are tried, the one that noticed the
last time first (killers.tsv). A mutant that lives must have its reason in survivors.tsv, and one that is listed there must live.

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
LEAST_SECONDS = 3  # of processor time; a process gets five times what its test cases take without a mutant, and never less than this
BATCH = 40         # test cases per process
UNDEFINED = "undefined behaviour"  # a survivor for such a reason may die under a sanitizer

Outcome = collections.namedtuple("Outcome", "how test seconds")
Case = collections.namedtuple("Case", "program seconds asked")


def escaped(name):
    """A test case's name as doctest's filter takes it: a comma separates, a question mark stands for any character."""
    return "".join("?" if character in ",\\*" else character for character in name)


def run(program, mutant, names, seconds):
    """How the program ends with this mutant, and in which test case. Processor time is limited: a busy machine is no hang."""
    command = [program, "--abort-after=1", "--no-intro", "--no-version"]
    if names:
        command.append("--test-case=" + ",".join(escaped(name) for name in names))
    seconds = int(seconds) + 1

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    begun = time.monotonic()
    with subprocess.Popen(command, env={**os.environ, "RINGSIDE_MUTANT": str(mutant)}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=limit) as process:
        try:
            said = process.communicate(timeout=40 * seconds)[1]
            hung = process.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[1]
            hung = True
    text = said.decode(errors="replace")
    lines = text.splitlines()
    begun_tests = [line[2:] for line in lines if line.startswith("@ ")]
    if hung:
        how = "hangs"
    elif process.returncode < 0 or "AddressSanitizer" in text:
        how = "crashes"
    else:
        how = "fails" if process.returncode else "lives"
    return Outcome(how, begun_tests[-1] if begun_tests else "", time.monotonic() - begun), lines


def baseline(program):
    """Every test case passes without a mutant: {name: Case}."""
    outcome, lines = run(program, 0, [], 900)
    if outcome.how != "lives":
        raise SystemExit(f"without a mutant {program} {outcome.how} in: {outcome.test}")
    cases, name, seconds = {}, "", 0.0
    for line in lines:
        if line.startswith("@ "):
            name = line[2:]
        elif line.startswith("= "):
            seconds = float(line[2:])
        elif line.startswith("~"):
            cases[name] = Case(program, seconds, {int(number) for number in line[1:].split()})
    return cases


def numbers(text):
    chosen = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        chosen.update(range(int(first), int(last or first) + 1))
    return chosen


def hunt(mutant, known, cases):
    """The first test case that notices: the last time's, then the quickest one of those that set the check off, then all others."""
    able = sorted((name for name, case in cases.items() if mutant in case.asked), key=lambda name: cases[name].seconds)
    attempts = [[known]] if known in able else []
    able = [name for name in able if name != known]
    attempts += [[name] for name in able[:1]]
    for program in {case.program for case in cases.values()}:
        its = [name for name in able[1:] if cases[name].program == program]
        attempts += [its[at:at + BATCH] for at in range(0, len(its), BATCH)]
    for names in attempts:
        seconds = max(LEAST_SECONDS, 5 * sum(cases[name].seconds for name in names))
        outcome, _ = run(cases[names[0]].program, mutant, names, seconds)
        if outcome.how != "lives":
            return outcome
    return Outcome("lives", "", 0.0)


def judge(number, outcome, described, reason, table):
    """Says what became of a mutant; returns complaints."""
    place, guards = described
    if outcome.how == "lives":
        print(f"{number:4} lives    {place}: {guards}: {reason or 'NO TEST NOTICES'}", flush=True)
        return [] if reason else [f"mutant {number} lives and survivors.tsv gives no reason"]
    if table:
        print(f"{number:4} {outcome.how:8} {place}: {guards}: {outcome.test} ({outcome.seconds:.1f} s)", flush=True)
    if reason and not reason.startswith(UNDEFINED):
        return [f"mutant {number} is killed by \"{outcome.test}\": take it off survivors.tsv"]
    return []


def record(killers, found):
    for number, outcome in found.items():
        killers.pop(number, None)
        if outcome.how != "lives":
            killers[number] = (outcome.test, outcome.how)
    lines = ["# Which test case noticed a mutant the last time, and how: it is tried first. Written by run.py --record."]
    lines += [f"{number}\t{killers[number][0]}\t{killers[number][1]}" for number in sorted(killers)]
    (HERE / "killers.tsv").write_text("\n".join(lines) + "\n")


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

    complaints, found = [], {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        cases = {}
        for its in pool.map(baseline, arguments.programs):
            cases = its | cases
        print(f"{len(cases)} test cases pass without a mutant, {time.monotonic() - begun:.0f} s", flush=True)
        hunts = pool.map(lambda number: hunt(number, killers.get(number, ("",))[0], cases), chosen)
        for number, outcome in zip(chosen, hunts):
            found[number] = outcome
            complaints += judge(number, outcome, mutants[number], reasons.get(number), arguments.table)
    killed = sum(outcome.how != "lives" for outcome in found.values())
    how_many = collections.Counter(outcome.how for outcome in found.values())
    score = killed / len(chosen) if chosen else 0.0
    print(f"{len(chosen)} mutants: {killed} killed ({how_many['fails']} by a failing test, {how_many['crashes']} by a crash, "
          f"{how_many['hangs']} by a hang), {len(chosen) - killed} live; score {100 * score:.1f} %, goal {100 * GOAL:.0f} %; "
          f"{time.monotonic() - begun:.0f} s")
    if score < GOAL and arguments.only is None:
        complaints.append("the score is below the goal")
    if arguments.record:
        record(killers, found)
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
