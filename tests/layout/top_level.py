#!/usr/bin/env python3
"""The top level of the repository holds what is listed here and nothing else."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {"libvirtio", "drivers", "arch", "kernel", "boot", "tests", "toolchain", "examples", "docs", "CMakeLists.txt", "CMakePresets.json",
           "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "ringside"}


def main():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    # Without git (an unpacked archive) the folder itself is looked at; build/ is ours to make there.
    names = listed.stdout.split("\0") if listed.returncode == 0 else [path.name for path in ROOT.iterdir() if path.name != "build"]
    tops = {name.split("/")[0] for name in names if name}
    wrong = sorted(name for name in tops if name not in ALLOWED and not name.startswith("."))
    for name in wrong:
        print(f"{name} does not belong at the top level")
    print(f"{len(tops)} names looked at, {len(wrong)} wrong")
    return 1 if wrong or not tops else 0


if __name__ == "__main__":
    sys.exit(main())
