#!/usr/bin/env python3
"""Every C++ file is as clang-format writes it. Exit status 77 (skipped, and said so) where clang-format 19 is not to be had."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["libvirtio", "drivers", "arch", "kernel", "boot", "tests", "examples", "toolchain"]


def main():
    if not shutil.which("clang-format-19"):
        print("clang-format-19 is not installed: the format was not checked")
        return 77
    files = sorted(str(path) for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in (".hpp", ".cpp", ".h"))
    if "--fix" in sys.argv:
        return subprocess.run(["clang-format-19", "-i", *files]).returncode
    run = subprocess.run(["clang-format-19", "--dry-run", "--Werror", *files], capture_output=True, text=True)
    print(run.stderr, end="")
    print(f"{len(files)} files looked at; tests/layout/clang_format.py --fix writes them anew" if run.returncode else f"{len(files)} files looked at")
    return 1 if run.returncode or not files else 0


if __name__ == "__main__":
    sys.exit(main())
