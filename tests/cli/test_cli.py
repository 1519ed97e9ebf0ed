#!/usr/bin/env python3
"""The front door from outside: wrong arguments are one clear line and status 2, set-up says what to type when it cannot become root,
and what needs no build works without one. Nothing here boots or installs anything."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ["setup", "run", "build", "test", "selftest", "platforms", "bench", "size", "image", "new", "toolchain"]
NOBODY = 65534


def ringside(*words, **options):
    return subprocess.run([ROOT / "ringside", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=100, **options)


class WrongArguments(unittest.TestCase):
    def refused(self, *words, naming=""):
        run = ringside(*words)
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertEqual(run.stdout, "")
        self.assertEqual(run.stderr.count("\n"), 1, f"not one line: {run.stderr}")
        self.assertIn(naming, run.stderr)
        self.assertNotIn("Traceback", run.stderr)

    def test_no_command(self):
        self.refused(naming="COMMAND")

    def test_unknown_command(self):
        self.refused("fly", naming="'fly'")

    def test_unknown_option(self):
        self.refused("size", "--colour", naming="--colour")

    def test_no_abbreviations(self):
        self.refused("run", "--mem", "64", naming="--mem")

    def test_unknown_machine(self):
        self.refused("run", "--machine", "vax", naming="'vax'")
        self.refused("run", "--machine", "virt", naming="--arch x86_64: there is q35, pc")
        self.refused("run", "--arch", "aarch64", "--machine", "q35", naming="there is virt")
        self.refused("run", "--arch", "z80", naming="'z80'")
        self.refused("run", "--machine", "microvm", "--transport", "pci-cfg", naming="microvm has no PCI")

    def test_unknown_ring(self):
        self.refused("run", "--ring", "round", naming="'round'")

    def test_missing_disk(self):
        self.refused("run", "--disk", "/nowhere/disk.img", naming="/nowhere/disk.img")

    def test_folder_as_disk(self):
        self.refused("run", "--disk", "/", naming="folder")

    def test_disk_of_broken_size(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x" * 700)
            file.flush()
            self.refused("run", "--disk", file.name, naming="512")

    def test_numbers(self):
        for option, value in (("--memory", "-3"), ("--memory", "0"), ("--memory", "lots"), ("--memory", "1.5"), ("--port", "0"), ("--port", "65536"),
                              ("--port", "-1"), ("--smp", "0"), ("--smp", "-2"), ("--timeout", "0"), ("--memory", "")):
            with self.subTest(option=option, value=value):
                self.refused("run", option, value, naming=option)

    def test_addresses(self):
        for value in ("10.0.2.15", "10.0.2.15/24", "10.0.2.300/24,10.0.2.2", "10.0.2.15/40,10.0.2.2", "10.0.2.15/24,192.168.1.1", "x",
                      "10.0.2.15/255.255.255.0,10.0.2.2", "10.0.2.15/0.0.0.255,10.0.2.2"):
            with self.subTest(value=value):
                self.refused("run", "--ip", value, naming="--ip")

    def test_unbalanced_quotes(self):
        self.refused("run", "--qemu-args", "'x", naming="--qemu-args")
        self.refused("run", "--append", "x='y", naming="--append")

    def test_both_kinds_of_quotes(self):
        self.refused("run", "--", "it's \"both\"", naming="both kinds of quotes")
        self.refused("run", "--append", "\"it's \\\"both\\\"\"", naming="both kinds of quotes")

    def test_examples_without_a_kernel(self):
        self.refused("run", "bare-armv7", "--command", "help", naming="--command does not go with bare-armv7")
        self.refused("run", "bare-armv7", "--memory", "64", naming="--memory")
        self.refused("run", "bare-aarch64-pci", "--", "word", naming="no arguments")

    def test_folder_that_cannot_be_made(self):
        made = ringside("new", "/proc/nowhere")
        self.assertEqual((made.returncode, made.stdout, made.stderr.count("\n")), (1, "", 1), made.stderr)
        self.assertIn("/proc/nowhere", made.stderr)

    def test_unknown_accelerator(self):
        self.refused("run", "--accel", "hvf", naming="'hvf'")

    def test_images(self):
        self.refused("image", naming="--format")
        self.refused("image", "--format", "vhd", naming="'vhd'")
        self.refused("image", "--arch", "aarch64", "--format", "bzimage", naming="elf, image, raw, qcow2")
        self.refused("image", "--arch", "riscv64", "--format", "raw", naming="elf")
        self.refused("image", "--format", "image", naming="bzimage")
        self.refused("image", "--format", "raw", "-o", "/", naming="'/' is a folder")
        self.refused("image", "--format", "raw", "-o", "/nowhere/disk.img", naming="/nowhere")
        self.refused("image", "--format", "elf", "--append", "log=debug", naming="--append")
        self.refused("image", "--format", "iso", "--append", "\"it's\"", naming="quotes")

    def test_unknown_program(self):
        self.refused("run", "no-such-program", naming="no-such-program")

    def test_folder_without_program(self):
        with tempfile.TemporaryDirectory() as folder:
            self.refused("run", folder, naming="CMakeLists.txt")

    def test_self_test_configurations_that_cannot_exist(self):
        self.refused("selftest", "--machine", "q35", "--transport", "mmio", naming="mmio")
        self.refused("selftest", "--machine", "microvm", "--transport", "pci", naming="pci")
        self.refused("selftest", "--transport", "mmio", "--irq", "msix", naming="msix")
        self.refused("selftest", "--arch", "riscv64", "--irq", "msix", naming="no controller for message interrupts")
        self.refused("selftest", "--transport", "pci-legacy", "--ring", "packed", naming="split rings only")
        self.refused("selftest", "--arch", "armv7", "--machine", "q35", naming="there is virt")
        self.refused("selftest", "--ring", "round", naming="'round'")

    def test_unknown_measurement(self):
        self.refused("bench", "luck", naming="luck")
        self.refused("bench", "--lucky", naming="--lucky")
        self.refused("bench", "--json", "/nowhere/out.json", naming="/nowhere")

    def test_sizes(self):
        self.refused("size", "--arch", "z80", naming="'z80'")
        self.refused("size", "--against", "no-such-commit", naming="no-such-commit")
        self.refused("size", "--history", "0", naming="--history")
        self.refused("size", "--json", "/nowhere/out.json", naming="/nowhere")

    def test_unknown_processor(self):
        self.refused("toolchain", "z80", naming="'z80'")

    def test_names_of_programs(self):
        self.refused("new", "9lives", naming="9lives")
        self.refused("new", naming="NAME")
        with tempfile.TemporaryDirectory() as folder:
            self.refused("new", folder, naming="there already" if Path(folder).name[0].isalpha() else "")


class NoSuchTest(unittest.TestCase):
    def refused(self, *words, naming):
        run = ringside("test", *words)
        self.assertEqual(run.returncode, 2, run.stderr + run.stdout)
        self.assertEqual(run.stdout, "")
        for word in naming:
            self.assertIn(word, run.stderr.splitlines()[-1])
        self.assertNotIn("Traceback", run.stderr)

    def test_label(self):
        self.refused("-L", "NOSUCH", naming=["'NOSUCH'", "unit", "qemu"])

    def test_name(self):
        self.refused("-R", "NOSUCH", naming=["'NOSUCH'", "--all"])

    def test_no_expression(self):
        self.refused("-L", "[", naming=["regular expression"])

    def test_both_and_a_list(self):
        self.refused("-L", "cli", "-R", "NOSUCH", "--list", naming=["'NOSUCH'", "'cli'"])


class Help(unittest.TestCase):
    def test_every_command(self):
        for words in [["--help"], *[[name, "--help"] for name in COMMANDS]]:
            with self.subTest(words=words):
                run = ringside(*words)
                self.assertEqual(run.returncode, 0)
                self.assertTrue(run.stdout.startswith("usage: ringside"))
                self.assertEqual(run.stderr, "")

    def test_overview_names_every_command(self):
        text = ringside("--help").stdout
        for name in COMMANDS:
            self.assertRegex(text, rf"(?m)^ +{name}\s+\w")


class Toolchain(unittest.TestCase):
    def test_prints_a_file(self):
        run = ringside("toolchain", "x86_64")
        self.assertEqual(run.returncode, 0)
        self.assertTrue(Path(run.stdout.strip()).is_file())

    def test_add_image_without_it_prints_the_line(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(x LANGUAGES C CXX ASM)\n"
                                                      f"include({ROOT}/toolchain/ringside.cmake)\nringside_add_image(NAME x SOURCES x.cpp)\n")
            Path(folder, "x.cpp").write_text("int main() {}\n")
            run = subprocess.run(["cmake", "-G", "Ninja", "-S", folder, "-B", f"{folder}/build"], capture_output=True, text=True, timeout=100)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn(f"-DCMAKE_TOOLCHAIN_FILE={ROOT}/toolchain/x86_64.cmake", run.stderr)


class New(unittest.TestCase):
    def test_makes_a_program(self):
        with tempfile.TemporaryDirectory() as folder:
            run = ringside("new", "my_app", cwd=folder)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("run my_app", run.stderr)
            text = Path(folder, "my_app", "CMakeLists.txt").read_text()
            self.assertIn("ringside_add_image(NAME my_app SOURCES main.cpp)", text)
            self.assertNotIn("@", text + Path(folder, "my_app", "main.cpp").read_text())
            again = ringside("new", "my_app", cwd=folder)
            self.assertEqual(again.returncode, 2)


class SetUp(unittest.TestCase):
    def test_second_run_is_quick_and_changes_nothing(self):
        ringside("setup")
        start = time.monotonic()
        run = ringside("setup")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("nothing to do", run.stderr)
        self.assertLess(time.monotonic() - start, 2)

    def test_without_home(self):
        environment = {name: value for name, value in os.environ.items() if name != "HOME"}
        with tempfile.TemporaryDirectory() as folder:
            run = ringside("toolchain", "x86_64", env=environment, cwd=folder)
        self.assertEqual(run.returncode, 0, run.stderr)

    def world(self, folder, missing):
        """A PATH in which a package is missing, and no sudo: the folder of programs to give."""
        for name in ("sh", "readlink", "dirname", "id", "getent", "cut", "env", "cat"):
            os.symlink(shutil.which(name), Path(folder, name))
        query = Path(folder, "dpkg-query")
        query.write_text(f"#!/bin/sh\nfor name; do case $name in -*|*\\$*|{missing}) ;; *) echo \"$name installed\" ;; esac; done\n")
        query.chmod(0o755)

    def as_nobody(self, *words, path):
        def drop():
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return ringside(*words, preexec_fn=drop if os.geteuid() == 0 else None, env={"PATH": path, "HOME": "/nonexistent"}, cwd="/")

    def copy_for_nobody(self, folder):
        """The front door where any user may read it."""
        global ROOT
        shutil.copytree(ROOT / "toolchain", Path(folder, "toolchain"), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "ringside", folder)
        os.chmod(folder, 0o755)
        self.addCleanup(lambda root=ROOT: globals().update(ROOT=root))
        ROOT = Path(folder)

    def test_neither_root_nor_sudo_names_the_command(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as programs:
            self.copy_for_nobody(folder)
            os.chmod(programs, 0o755)
            self.world(programs, missing="newlib-source")
            os.symlink(os.path.realpath("/usr/bin/python3"), Path(programs, "python3"))
            run = self.as_nobody("setup", path=programs)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("apt-get update && apt-get install -y --no-install-recommends newlib-source\n", run.stderr)

    def test_no_python_names_the_command(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as programs:
            self.copy_for_nobody(folder)
            os.chmod(programs, 0o755)
            self.world(programs, missing="none")
            run = self.as_nobody("run", path=programs)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("apt-get update && apt-get install -y --no-install-recommends python3\n", run.stderr)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "toolchain"))
    unittest.main()
