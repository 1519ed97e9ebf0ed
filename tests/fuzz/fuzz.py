#!/usr/bin/env python3
"""fuzz.py BUILD [TARGET | rings | firmware ...] [--seconds N | --hours H] [--plant]: libFuzzer with ASan and UBSan against the ring engines and
the readers of firmware's tables. Builds what is not built yet in the folder BUILD (clang 19), starts from the seeds in seeds/, from device trees that
QEMU dumps, and from what was found before, and fails on any crash, violated rule, sanitizer report or hang. The time is for all targets together.
--plant afterwards takes out single checks: each must be found."""

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
DICTIONARIES = Path(__file__).resolve().parent / "dictionaries"
COMPILER = "clang++-19"
RINGS = [f"{ring}_{kind}" for ring in ("split", "packed") for kind in ("direct", "indirect", "in_order")]
# NAME_fuzz.cpp and what it looks at.
FIRMWARE = {
    "device_tree": [f"kernel/firmware/{name}.cpp" for name in ("device_tree", "device_tree_address", "device_tree_lines", "tree_boot", "tree_buses",
                                                               "tree_hardware")],
    "acpi": [f"kernel/firmware/{name}.cpp" for name in ("acpi_hot_plug", "acpi_mmio", "acpi_tables")],
    "mp_table": ["kernel/firmware/mp_table.cpp"],
    "boot_info": [f"boot/x86_64/{name}.cpp" for name in ("efi", "firmware_scan", "linux", "multiboot2", "pvh")],
    "command_line": ["drivers/bus/mmio_slot.cpp", "kernel/firmware/command_line.cpp"],
}
GROUPS = {"rings": RINGS, "firmware": list(FIRMWARE)}
TARGETS = [*RINGS, *FIRMWARE]
LONGEST = {"device_tree": 16384, "boot_info": 8192, "acpi": 4096}
FLAGS = ["-std=c++23", "-O1", "-g1", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         "-DRINGSIDE_MEMORY_POLICY=\"tests/policy/memory_test.hpp\"", f"-I{ROOT}", f"-I{ROOT}/arch/host/include"]
ENGINES = ["libvirtio/base.cpp", "libvirtio/ring/packed.cpp", "libvirtio/ring/ring.cpp", "libvirtio/ring/split.cpp"]
# What the fuzzer must find within seconds when it is planted: engine, number of the switch (tests/policy/memory_test.hpp), target.
PLANTS = [("split", 5, "split_direct"), ("split", 6, "split_indirect"), ("packed", 40, "packed_direct"), ("packed", 42, "packed_indirect"),
          ("split", 8, "split_in_order"), ("packed", 50, "packed_in_order")]
# The same for the readers, which have no switches: a check's text in a source, and what a copy of the source has instead.
TEXT_PLANTS = [
    ("device_tree", "kernel/firmware/device_tree_address.cpp", "if (!cpu || range.size == 0 ||", "if (!cpu ||"),
    ("device_tree", "kernel/firmware/device_tree_lines.cpp", "count > TreeInterrupt::kMostCells || at > length", "at > length"),
    ("device_tree", "kernel/firmware/tree_buses.cpp", "registers->size < kLeastMmioBytes", "false"),
    ("acpi", "kernel/firmware/acpi_mmio.cpp", "else if (result.found == into.size())", "else if (false)"),
    ("acpi", "kernel/firmware/acpi_tables.cpp", "madt.override_count >= madt.overrides.size()", "false"),
    ("acpi", "kernel/firmware/acpi_hot_plug.cpp", "|| found.count == found.buses.size()", ""),
    ("mp_table", "kernel/firmware/mp_table.cpp", "if (found.interrupt_count >= found.interrupts.size()) break;", ""),
    ("boot_info", "boot/x86_64/memory_map.hpp", "if (size == 0 || base + size < base || base + size > ~std::uint64_t{0xfff}) return;", ""),
    ("command_line", "kernel/firmware/command_line.cpp", "if (length == out.size()) return std::nullopt;", ""),
]
# Machines whose device trees the fuzzer starts from.
TREES = {"aarch64-gicv2": ["qemu-system-aarch64", "-M", "virt,gic-version=2", "-smp", "2"],
         "aarch64-gicv3": ["qemu-system-aarch64", "-M", "virt,gic-version=3"],
         "riscv64": ["qemu-system-riscv64", "-M", "virt", "-smp", "2", "-bios", "none"],
         "riscv64-aia": ["qemu-system-riscv64", "-M", "virt,aia=aplic-imsic", "-smp", "2", "-bios", "none"]}


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

    def link(self, program, objects):
        if program.exists() and all(program.stat().st_mtime >= each.stat().st_mtime for each in objects):
            return
        linked = run([COMPILER, "-fsanitize=fuzzer,address,undefined", "-o", program, *objects])
        if linked.returncode:
            sys.exit(linked.stdout + linked.stderr)

    def build(self, targets):
        probe = ["-fsanitize=fuzzer-no-link"]
        parts = {}   # target -> its jobs
        rings = [(source.replace("/", "-"), source, probe if source in ENGINES else []) for source in ENGINES + referee_sources()]
        for target in targets:
            if target in RINGS:
                words = "-DFUZZ_RING=%s -DFUZZ_KIND=%s" % tuple(target.split("_", 1))
                parts[target] = [(target, "tests/fuzz/ring_fuzz.cpp", [*probe, *words.split()]), *rings]
            else:
                parts[target] = [(source.replace("/", "-"), source, probe) for source in [f"tests/fuzz/{target}_fuzz.cpp", *FIRMWARE[target]]]
        jobs = list({job[0]: job for jobs in parts.values() for job in jobs}.values())
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            made = dict(zip((job[0] for job in jobs), pool.map(self.compile, jobs)))
        for _, errors in made.values():
            if errors:
                sys.exit(errors)
        for target, jobs in parts.items():
            self.link(self.folder / target, [made[job[0]][0] for job in jobs])

    def build_planted(self, number):
        """The target of a text plant, with a copy of the source that has not got the check (a header's copy is found first)."""
        target, source, check, instead = TEXT_PLANTS[number]
        folder = self.folder / "planted" / f"text-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        text = (ROOT / source).read_text()
        if text.count(check) != 1:
            sys.exit(f"{source}: the check to take out is not there once: {check}")
        (folder / source).parent.mkdir(parents=True)
        (folder / source).write_text(text.replace(check, instead))
        paths = [folder / each if (folder / each).exists() else ROOT / each for each in [f"tests/fuzz/{target}_fuzz.cpp", *FIRMWARE[target]]]
        made = run([COMPILER, f"-I{folder}", *FLAGS, "-Wno-unused", "-fsanitize=fuzzer", "-o", folder / target, *paths])
        if made.returncode:
            sys.exit(made.stdout + made.stderr)
        return folder / target


def dump_trees(folder):
    """Device trees of the machines of the QEMUs that are installed, without their padding, as inputs of the fuzzer."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, command in TREES.items():
        if (folder / name).exists():
            continue
        path = folder / (name + ".dtb")
        made = run(["timeout", "60", *command, "-nodefaults", "-display", "none", "-machine", f"dumpdtb={path}"])
        if made.returncode or not path.exists():
            sys.exit(f"no device tree from {' '.join(command)}: {made.stderr}")
        blob = bytearray(path.read_bytes())
        path.unlink()
        field = lambda at: int.from_bytes(blob[at:at + 4], "big")
        used = max(field(8) + field(36), field(12) + field(32))
        blob[4:8] = used.to_bytes(4, "big")
        (folder / name).write_bytes(b"\0" + blob[:used])   # the first byte: a blob as it stands


def fuzz_command(folder, program, target, place, seconds):
    command = [program, place, SEEDS / target, f"-artifact_prefix={place if 'planted' in place.parts else folder / 'found' / target}/",
               f"-max_total_time={seconds}", "-timeout=5", f"-max_len={LONGEST.get(target, 2048)}", "-detect_leaks=0"]
    if target == "device_tree":
        command.insert(3, folder / "trees")
    if (DICTIONARIES / f"{target}.dict").exists():
        command.append(f"-dict={DICTIONARIES / target}.dict")
    return command


def fuzz(folder, target, seconds):
    corpus = folder / "corpus" / target
    found = folder / "found" / target
    for place in (corpus, found):
        place.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    made = run([*fuzz_command(folder, folder / target, target, corpus, seconds), "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=1"])
    text = made.stdout + made.stderr
    count = re.search(r"number_of_executed_units:\s+(\d+)", text)
    coverage = re.findall(r"cov: (\d+)", text)
    return {"target": target, "rc": made.returncode, "runs": int(count[1]) if count else 0, "seconds": time.monotonic() - began,
            "coverage": coverage[-1] if coverage else "?", "text": text}


def hunt(folder, program, target, name, seconds, mutant=""):
    """Looks for a planted bug: the exit status, and what was said of it."""
    place = folder / "planted" / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    # What is new goes to the first folder: never to the seeds.
    made = run(fuzz_command(folder, program, target, place, seconds), env={**os.environ, "RINGSIDE_MUTANT": mutant} if mutant else None)
    text = made.stdout + made.stderr
    why = re.search(r"VIOLATED: (.*)|SUMMARY: (.*)|(runtime error: .*)", text)
    return made.returncode, next((group for group in why.groups() if group), "") if why else ""


def hunt_all(builder, targets, workers, seconds=90):
    """Each planted bug, a few at a time; how many were not found."""
    folder = builder.folder

    def switched(ring, number, target):
        code, why = hunt(folder, folder / target, target, f"{target}-{number}", seconds, str(number))
        return target, f"check {number:3} of {ring} off", code, why

    def taken_out(number):
        target, source, check, _ = TEXT_PLANTS[number]
        code, why = hunt(folder, builder.build_planted(number), target, f"found-{number}", seconds)
        return target, f"without \"{check}\" of {source}", code, why

    jobs = [lambda one=one: switched(*one) for one in PLANTS if one[2] in targets]
    jobs += [lambda number=number: taken_out(number) for number, one in enumerate(TEXT_PLANTS) if one[0] in targets]
    missed = 0
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for target, what, code, why in pool.map(lambda job: job(), jobs):
            missed += code == 0
            print(f"{target:16} {what}: {why or 'found' if code else 'NOT FOUND'}", flush=True)
    return missed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="rings, firmware, " + ", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hours", type=float)
    parser.add_argument("--plant", action="store_true")
    options = parser.parse_args()
    named = [target for name in options.targets for target in GROUPS.get(name, [name])]
    unknown = set(named) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if not shutil.which(COMPILER):
        sys.exit(f"{COMPILER} is not installed: nothing was fuzzed (packages: clang-19, libclang-rt-19-dev)")
    targets = named or TARGETS
    builder = Builder(options.build.resolve())
    builder.build(targets)
    if "device_tree" in targets:
        dump_trees(builder.folder / "trees")
    wrong = 0
    workers = os.cpu_count() or 1
    seconds = max(1, int((options.hours * 3600 if options.hours else options.seconds) * min(workers, len(targets)) / len(targets)))
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for result in pool.map(lambda target: fuzz(builder.folder, target, seconds), targets):
            good = result["rc"] == 0 and result["runs"] > 0
            wrong += not good
            rate = result["runs"] / max(result["seconds"], 0.001)
            print(f"{result['target']:16} {result['runs']:10} runs {rate:8.0f}/s  {result['coverage']:>5} edges  {'holds' if good else 'FAILED'}", flush=True)
            if not good:
                print(result["text"][-6000:])
                print(f"replay: {builder.folder / result['target']} {builder.folder / 'found' / result['target']}/FILE", flush=True)
    if options.plant:
        wrong += hunt_all(builder, targets, workers)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
