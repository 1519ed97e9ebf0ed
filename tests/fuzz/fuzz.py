#!/usr/bin/env python3
"""fuzz.py BUILD [TARGET ...] [--seconds N | --hours H] [--plant]: libFuzzer with ASan and UBSan against the ring engines. Builds what is not
built yet in the folder BUILD (clang 19), starts from the seeds in seeds/ and from what was found before, and fails on any crash, violated rule,
sanitizer report or hang. The time is for all targets together. --plant afterwards switches single checks of the engines off: each must be found."""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).resolve().parent / "seeds"
COMPILER = "clang++-19"
TARGETS = [f"{ring}_{kind}" for ring in ("split", "packed") for kind in ("direct", "indirect", "in_order")]
FLAGS = ["-std=c++23", "-O1", "-g1", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         "-DRINGSIDE_MEMORY_POLICY=\"tests/policy/memory_test.hpp\"", f"-I{ROOT}", f"-I{ROOT}/arch/host/include"]
ENGINES = ["libvirtio/base.cpp", "libvirtio/ring/packed.cpp", "libvirtio/ring/ring.cpp", "libvirtio/ring/split.cpp"]
# What the fuzzer must find within seconds when it is planted: engine, number of the switch (tests/policy/memory_test.hpp), target.
PLANTS = [("split", 5, "split_direct"), ("split", 6, "split_indirect"), ("packed", 40, "packed_direct"), ("packed", 42, "packed_indirect"),
          ("split", 8, "split_in_order"), ("packed", 50, "packed_in_order")]


def run(command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace", **options)


def referee_sources():
    text = (ROOT / "tests/referee/CMakeLists.txt").read_text()
    named = re.search(r"set\(referee_sources(.*?)\)", text, re.DOTALL)
    if not named:
        sys.exit("tests/referee/CMakeLists.txt does not say which sources the referee has")
    return ["tests/referee/" + name for name in named[1].split()]


class Builder:
    """Compiles what is older than its source or a header that it includes."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def stale(self, object_file):
        notes = object_file.with_suffix(".d")
        if not object_file.exists() or not notes.exists():
            return True
        made = object_file.stat().st_mtime
        names = notes.read_text().replace("\\\n", " ").split(":", 1)[1].split()
        return any(not Path(name).exists() or Path(name).stat().st_mtime > made for name in names)

    def compile(self, job):
        name, source, extra = job
        object_file = self.folder / (name + ".o")
        if self.stale(object_file):
            made = run([COMPILER, *FLAGS, *extra, "-MMD", "-c", "-o", object_file, ROOT / source])
            if made.returncode:
                object_file.unlink(missing_ok=True)
                return object_file, made.stdout + made.stderr
        return object_file, ""

    def build(self, targets):
        probe = ["-fsanitize=fuzzer-no-link"]
        shared = [(source.replace("/", "-"), source, probe if source in ENGINES else []) for source in ENGINES + referee_sources()]
        own = [(target, "tests/fuzz/ring_fuzz.cpp", [*probe, *("-DFUZZ_RING=%s -DFUZZ_KIND=%s" % tuple(target.split("_", 1))).split()])
               for target in targets]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            made = list(pool.map(self.compile, shared + own))
        for _, errors in made:
            if errors:
                sys.exit(errors)
        objects = [object_file for object_file, _ in made]
        for target, object_file in zip(targets, objects[len(shared):]):
            program = self.folder / target
            needed = [object_file, *objects[:len(shared)]]
            if program.exists() and all(program.stat().st_mtime >= each.stat().st_mtime for each in needed):
                continue
            linked = run([COMPILER, "-fsanitize=fuzzer,address,undefined", "-o", program, *needed])
            if linked.returncode:
                sys.exit(linked.stdout + linked.stderr)


def fuzz(folder, target, seconds):
    corpus = folder / "corpus" / target
    found = folder / "found" / target
    for place in (corpus, found):
        place.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    made = run([folder / target, corpus, SEEDS / target, f"-artifact_prefix={found}/", f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=2048",
                "-max_len=2048", "-print_final_stats=1", "-verbosity=1", "-detect_leaks=0"])
    text = made.stdout + made.stderr
    count = re.search(r"number_of_executed_units:\s+(\d+)", text)
    coverage = re.findall(r"cov: (\d+)", text)
    return {"target": target, "rc": made.returncode, "runs": int(count[1]) if count else 0, "seconds": time.monotonic() - began,
            "coverage": coverage[-1] if coverage else "?", "text": text}


def plant(folder, number, target, seconds):
    place = folder / "planted" / f"{target}-{number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    # What is new goes to the first folder: never to the seeds.
    made = run([folder / target, place, SEEDS / target, f"-artifact_prefix={place}/", f"-max_total_time={seconds}", "-timeout=5", "-max_len=2048", "-detect_leaks=0"],
               env={**os.environ, "RINGSIDE_MUTANT": str(number)})
    text = made.stdout + made.stderr
    why = re.search(r"VIOLATED: (.*)|SUMMARY: (.*)|(runtime error: .*)", text)
    return made.returncode, next((group for group in why.groups() if group), "") if why else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hours", type=float)
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if not shutil.which(COMPILER):
        sys.exit(f"{COMPILER} is not installed: nothing was fuzzed (packages: clang-19, libclang-rt-19-dev)")
    targets = options.targets or TARGETS
    Builder(options.build).build(targets)
    wrong = 0
    workers = os.cpu_count() or 1
    seconds = max(1, int((options.hours * 3600 if options.hours else options.seconds) * min(workers, len(targets)) / len(targets)))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for result in pool.map(lambda target: fuzz(options.build, target, seconds), targets):
            good = result["rc"] == 0 and result["runs"] > 0
            wrong += not good
            rate = result["runs"] / max(result["seconds"], 0.001)
            print(f"{result['target']:16} {result['runs']:10} runs {rate:8.0f}/s  {result['coverage']:>5} edges  {'holds' if good else 'FAILED'}", flush=True)
            if not good:
                print(result["text"][-6000:])
                print(f"replay: {options.build / result['target']} {options.build / 'found' / result['target']}/FILE", flush=True)
    if options.plant:
        chosen = [plant for plant in PLANTS if plant[2] in targets]
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for (ring, number, target), (code, why) in zip(chosen, pool.map(lambda one: plant(options.build, one[1], one[2], 90), chosen)):
                wrong += code == 0
                print(f"{target:16} check {number:3} of {ring} off: {why or 'found' if code else 'NOT FOUND'}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
