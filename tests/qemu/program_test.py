#!/usr/bin/env python3
"""A program of one's own: `ringside new`, `ringside run`, an edit that boots within 5 s; and the same program as a CMake project that
knows nothing but the toolchain file."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ringside.guest import Guest
from ringside.machine import Machine
from ringside.paths import ROOT, TOOLCHAIN

DOOR = ROOT / "ringside"


def ringside(*words, timeout=200, **options):
    return subprocess.run([DOOR, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, **options)


def own_program(folder):
    run = ringside("new", "my_app", cwd=folder)
    assert run.returncode == 0, run.stderr
    # Output without a terminal: the console's text comes out all the same.
    run = ringside("run", "my_app", cwd=folder)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "my_app is running" in run.stdout, run.stdout + run.stderr

    source = Path(folder, "my_app", "main.cpp")
    source.write_text(source.read_text().replace("is running", "was edited").replace("return 0;", "return 3;"))
    start = time.monotonic()
    run = ringside("run", "my_app", cwd=folder)
    elapsed = time.monotonic() - start
    assert "my_app was edited" in run.stdout, run.stdout + run.stderr
    assert run.returncode == 3, f"the program's status 3 became {run.returncode}"
    print(f"edit to boot and end: {elapsed:.1f} s")
    assert elapsed < 5, f"edit to boot took {elapsed:.1f} s"

    source.write_text(source.read_text().replace("int main", "int man"))
    run = ringside("run", "my_app", cwd=folder)
    assert run.returncode == 1 and "building my_app failed" in run.stderr and "Traceback" not in run.stderr, run.stderr


def foreign_project(folder):
    """Ringside compiled along with the project, under warnings and flags of the project's own."""
    source = Path(folder, "foreign")
    source.mkdir()
    (source / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.25)\nproject(foreign LANGUAGES CXX)\n"
                                           f"include({TOOLCHAIN}/ringside.cmake)\nringside_add_image(NAME abroad SOURCES main.cpp)\n")
    (source / "main.cpp").write_text('#include <cstdio>\nint main() { std::puts("greetings from abroad"); return 7; }\n')
    toolchain = ringside("toolchain", "x86_64").stdout.strip()
    build = Path(folder, "foreign-build")
    for command in (["cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DCMAKE_BUILD_TYPE=Release"],
                    ["cmake", "--build", build]):
        run = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert run.returncode == 0, run.stdout + run.stderr
    with Guest(Machine(image=build / "abroad.elf")) as guest:
        guest.expect("greetings from abroad")
        assert guest.wait() == 7


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ringside-") as scratch:
        own_program(scratch) if sys.argv[1] == "own" else foreign_project(scratch)
    # Build folders of programs that are gone are of no use to anybody.
    for cache in (ROOT / "build" / "programs").glob("*/CMakeCache.txt"):
        source = re.search(r"(?m)^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache.read_text())
        if source and not Path(source[1]).exists():
            shutil.rmtree(cache.parent)
