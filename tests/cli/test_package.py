#!/usr/bin/env python3
"""libvirtio and the drivers in somebody else's project, installed (find_package) and as a subfolder (add_subdirectory), without newlib,
QEMU or root: a program that derives from the platform and opens a transport is compiled, linked and run."""

import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
#include <ringside/blk.hpp>
#include <ringside/feature.hpp>
#include <ringside/mmio.hpp>
static_assert(sizeof(virtio::MmioTransport) > 0 && sizeof(virtio::BlockDevice) > 0);
int main() { return virtio::message(virtio::Error::device_gone)[0] == 0; }
"""


def cmake(*words):
    run = subprocess.run(["cmake", *map(str, words)], capture_output=True, text=True, timeout=250)
    if run.returncode:
        raise AssertionError(f"cmake {words}:\n{run.stdout}{run.stderr}")


class Package(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def foreign(self, how, *options):
        source = self.folder / "foreign"
        source.mkdir()
        (source / "main.cpp").write_text(PROGRAM)
        (source / "CMakeLists.txt").write_text(f"cmake_minimum_required(VERSION 3.25)\nproject(foreign)\n{how}\nadd_executable(foreign main.cpp)\n"
                                               "target_link_libraries(foreign PRIVATE ringside::libvirtio ringside::drivers)\n")
        cmake("-G", "Ninja", "-S", source, "-B", self.folder / "build", *options)
        cmake("--build", self.folder / "build", "--target", "foreign")
        self.assertEqual(subprocess.run([self.folder / "build" / "foreign"]).returncode, 0)

    def test_installed(self):
        cmake("-G", "Ninja", "-S", ROOT, "-B", self.folder / "ringside", "-DRINGSIDE_KERNEL=OFF", "-DRINGSIDE_TESTS=OFF",
              f"-DCMAKE_INSTALL_PREFIX={self.folder}/prefix")
        cmake("--build", self.folder / "ringside")
        cmake("--install", self.folder / "ringside")
        self.foreign("find_package(ringside 0.1 REQUIRED)", f"-DCMAKE_PREFIX_PATH={self.folder}/prefix")

    def test_subfolder(self):
        self.foreign(f"add_subdirectory({ROOT} ringside EXCLUDE_FROM_ALL)")


if __name__ == "__main__":
    unittest.main()
