#!/usr/bin/env python3
"""clang_tidy.py BUILD: clang-tidy finds nothing in libvirtio and the drivers. Exit status 77 (skipped, and said so) where it is not installed."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("libvirtio", "drivers")
# clang takes the first as a ban on long double even in the system's headers, and does not know the second.
GCC_ONLY = (" -mgeneral-regs-only", " -Wno-tsan")


def main(build):
    if not shutil.which("clang-tidy-19"):
        print("clang-tidy-19 is not installed: the code was not checked")
        return 77
    entries = json.loads(Path(build, "compile_commands.json").read_text())
    wanted = [entry for entry in entries if Path(entry["file"]).is_relative_to(ROOT) and Path(entry["file"]).relative_to(ROOT).parts[0] in FOLDERS]
    for entry in wanted:
        for option in GCC_ONLY:
            entry["command"] = entry["command"].replace(option, "")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "compile_commands.json").write_text(json.dumps(wanted))

        def check(path):
            return subprocess.run(["clang-tidy-19", "-p", folder, "--quiet", path], capture_output=True, text=True)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            runs = list(pool.map(check, sorted({entry["file"] for entry in wanted})))
    failed = [run for run in runs if run.returncode]
    for run in failed:
        print(run.stdout)
    print(f"{len(runs)} files looked at, {len(failed)} with findings")
    return 1 if failed or not runs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
