"""What the rings alone cost a driver: instructions and ns per operation for every shape and batch, and between two processors. No guest."""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ringside import build
from ringside.messages import UserError, say
from ringside.paths import ROOT
from ringside.results import result

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))
import native_goals as goals  # noqa: E402

PRESETS = ()  # built below, in a folder of its own: without sanitizers
PACKAGES = ["g++", "cmake", "ninja-build", "doctest-dev", "valgrind", "libbenchmark-dev"]
BUILD = ROOT / "build" / "bench"
LINUX = "linux-source-6.1"
RINGTEST = f"{LINUX}/tools/virtio/ringtest"
TURNS = 15
OPERATIONS = 2_000_000
TIMEOUT = 300


def add_arguments(parser):
    parser.add_argument("--versus-ringtest", action="store_true",
                        help="also measure Linux's tools/virtio/ringtest: downloads the distribution's kernel source (140 MB) into build/bench")
    parser.add_argument("--bench-compiler", metavar="CXX", default="g++", help="compile with this (default: g++)")
    parser.add_argument("--no-time", action="store_true", help="count only")


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise UserError(f"{' '.join(str(word) for word in command)} failed:\n{(done.stdout + done.stderr).rstrip()}")
    return done.stdout


def compile_programs(compiler):
    folder = BUILD if compiler == "g++" else BUILD.with_name(f"bench-{Path(compiler).name}")
    run(["cmake", "--preset", "host", "-B", folder, "-DRINGSIDE_SANITIZE=", "-DRINGSIDE_BENCHMARK=ON", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
         "-DCMAKE_CXX_FLAGS=-gdwarf-4",  # valgrind cannot read clang's version 5
         f"-DCMAKE_CXX_COMPILER={compiler}"], cwd=ROOT)
    build.follow(["cmake", "--build", str(folder), "--target", "bench_native", "bench_native_time"], "building bench_native")
    return folder / "tests" / "bench" / "native"


def count(program, *arguments):
    """{dump's name: instructions per operation} of the functions driver_*, without `completed`, which is the caller's."""
    with tempfile.TemporaryDirectory(prefix="ringside-callgrind-") as folder:
        toggles = [f"--toggle-collect={pattern}" for pattern in ("*driver_submit*", "*driver_collect*", "bench::completed*")]
        printed = run(["valgrind", "--tool=callgrind", "--collect-atstart=no", *toggles, program, *arguments], cwd=folder, timeout=TIMEOUT)
        operations = int(re.search(r"operations (\d+)", printed)[1])
        counts = {}
        for dump in Path(folder).iterdir():
            text = dump.read_text(encoding="utf-8")
            name = re.search(r"(?m)^desc: Trigger: Client Request: (\S+)$", text)
            if name:
                counts[name[1]] = round(int(re.search(r"(?m)^(?:summary|totals): (\d+)$", text)[1]) / operations, 3)
    return counts


def nanoseconds(program):
    """{name: ns per operation}, the median of five."""
    text = run([program, "--benchmark_format=json", "--benchmark_min_time=0.02", "--benchmark_repetitions=5",
                "--benchmark_report_aggregates_only=true"], timeout=TIMEOUT)
    return {entry["run_name"]: round(1e9 / entry["items_per_second"], 2) for entry in json.loads(text)["benchmarks"]
            if entry["aggregate_name"] == "median"}


def fetch_ringtest():
    """Its folder; downloaded once, never installed."""
    folder = BUILD / RINGTEST
    if not (folder / "ring.c").exists():
        say(f"downloading {LINUX} for its tools/virtio/ringtest")
        with tempfile.TemporaryDirectory(dir=BUILD, prefix="download-") as download:
            run(["apt-get", "download", LINUX], cwd=download)
            package = next(Path(download).glob("*.deb"))
            run(["sh", "-c", f'set -e; dpkg-deb --fsys-tarfile "$1" | tar -xO ./usr/src/{LINUX}.tar.xz | tar -xJ -C "$2" --wildcards "{RINGTEST}/*"',
                 "extract", package, BUILD])
    return folder


def ringtest_counts(source):
    counts = {}
    for ring in sorted(set(goals.PEERS.values())):
        program = BUILD / f"ringtest_{ring}"
        run(["gcc", "-O2", "-g", "-w", "-I", source, f'-DRING="{ring}.c"', "-o", program, FOLDER / "native" / "ringtest.c"])
        counts.update({(ring, int(name[1:])): value for name, value in count(program).items()})
    return counts


def two_core(program, source):
    """Results of driver and device on two processors: ours and, where its source is at hand, Linux's, in turns."""
    if len(os.sched_getaffinity(0) & {0, 1}) < 2:
        say("two_core needs processors 0 and 1: left out")
        return []
    found = []
    for ring in goals.RINGS:
        peer = None
        if source:
            peer = BUILD / f"ringtest_two_core_{goals.TWO_CORE_PEERS[ring]}"
            run(["gcc", "-O2", "-w", "-pthread", "-flto", "-fwhole-program", "-o", peer, source / f"{goals.TWO_CORE_PEERS[ring]}.c",
                 source / "main.c"])
        ours, theirs = [], []
        for _ in range(TURNS):
            ours.append(float(run([program, "two_core", ring, OPERATIONS], timeout=TIMEOUT)))
            if peer:
                start = time.monotonic()
                run([peer, "--guest-affinity", "0", "--host-affinity", "1", "--run-cycles", OPERATIONS], timeout=TIMEOUT)
                theirs.append(1e9 * (time.monotonic() - start) / OPERATIONS)
        found.append(result(f"native.{ring}.two_core.ns", round(statistics.median(ours), 2), "ns", None, *((
            f"ringtest {goals.TWO_CORE_PEERS[ring]}", round(statistics.median(theirs), 2)) if peer else ())))
        if peer:
            ratio = statistics.median(one / other for one, other in zip(ours, theirs))
            found.append(result(f"native.{ring}.two_core.ratio", round(ratio, 3), "ratio", goals.TWO_CORE_GOAL))
    return found


def main(options):
    programs = compile_programs(options.bench_compiler)
    program = programs / "bench_native"
    run([program, "check"], timeout=TIMEOUT)
    counts = count(program, "count")
    times = {} if options.no_time else nanoseconds(programs / "bench_native_time")
    source = fetch_ringtest() if options.versus_ringtest else None
    peers = ringtest_counts(source) if source else {}
    found = []
    for ring in goals.RINGS:
        for shape in goals.SHAPES:
            for batch in goals.BATCHES:
                name = f"{ring}.{shape}.b{batch}"
                peer = goals.PEERS.get((ring, shape))
                versus = (f"ringtest {peer}", peers[peer, batch]) if (peer, batch) in peers else ()
                found.append(result(f"native.{name}.instructions", counts[name], "instructions", goals.GOALS.get((shape, batch)), *versus))
                if times:
                    found.append(result(f"native.{name}.ns", times[name], "ns"))
    return 0, found + ([] if options.no_time else two_core(program, source))
