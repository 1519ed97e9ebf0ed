#!/usr/bin/env python3
"""The parts of the front door that need no guest: command lines, exit codes, ports, package lists, the sample disk."""

import socket
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "toolchain"))

from ringside import bench, disk, lwip, machine, newlib, platforms, ports, results, run, size, test  # noqa: E402
from ringside.arguments import Parser, joined  # noqa: E402
from ringside.machine import Disk, Forward, Machine  # noqa: E402
from ringside.messages import UserError  # noqa: E402
from ringside.paths import ROOT  # noqa: E402


class CommandLine(unittest.TestCase):
    def test_pci_is_modern_only(self):
        words = Machine(image="x", disks=[Disk("a.img")], chardevs=["null,id=c"], console="c").arguments()
        devices = [word for word in words if word.startswith("virtio-")]
        self.assertEqual(len(devices), 5)
        for device in devices:
            self.assertIn("-pci,", device)
            self.assertIn("disable-legacy=on", device)

    def test_slots_are_found_in_tables(self):
        for arch, machine in (("x86_64", "microvm"), ("x86_64", "microvm-noacpi"), ("riscv64", "virt"), ("aarch64", "virt")):
            words = Machine(image="x", arch=arch, machine=machine, transport="mmio", disks=[Disk("a.img")], balloon=False).arguments()
            self.assertNotIn("virtio_mmio.device", words[words.index("-append") + 1])
            self.assertIn("virtio-mmio.force-legacy=false", words)
            # ARM's tree lists its slots from the first one up, and QEMU fills them from the last one down.
            wanted = [f"bus=virtio-mmio-bus.{i}" for i in range(3)] if arch == "aarch64" else []
            self.assertEqual([part for word in words for part in word.split(",") if part.startswith("bus=virtio-mmio-bus.")], wanted)

    def test_packed_rings(self):
        for kind in ("q35", "pc", "microvm"):
            for ring, expected in (("split", False), ("packed", True)):
                words = Machine(image="x", machine=kind, ring=ring, disks=[Disk("a.img")], chardevs=["null,id=c"], console="c").arguments()
                devices = [word for word in words if word.startswith("virtio-") and not word.startswith("virtio-mmio.")]
                self.assertEqual([",packed=on" in word for word in devices], [expected] * 5)

    def test_transports(self):
        expected = {"pci": ("-pci,", "disable-legacy=on"), "pci-cfg": ("-pci,", "disable-legacy=on"), "pci-legacy": ("-pci,", "disable-modern=on"),
                    "mmio": ("-device", "force-legacy=false"), "mmio-legacy": ("-device", "force-legacy=true")}
        for transport, (kind, word) in expected.items():
            words = Machine(image="x", arch="aarch64", transport=transport).arguments()
            self.assertEqual(words[0], "qemu-system-aarch64")
            devices = [w for w in words if w.startswith("virtio-") and not w.startswith("virtio-mmio.")]
            self.assertTrue(all(kind in device for device in devices), devices)
            self.assertTrue(any(word in w for w in words), words)
            self.assertIn(f"transport={transport} ", words[-1] + " ")
            self.assertIn("debug-exit=semihosting", words[-1])
        words = Machine(image="x", transport="pci-legacy", transitional=True).arguments()
        self.assertTrue(any("disable-legacy=off" in w for w in words) and not any("disable-modern" in w for w in words))

    def test_vectors_only_where_msix_exists(self):
        words = Machine(image="x", vectors=0).arguments()
        for word in words:
            if word.startswith("virtio-"):
                self.assertEqual("vectors=0" in word, not word.startswith("virtio-balloon"))

    def test_odd_file_names(self):
        words = Machine(image="x", disks=[Disk('a,b"c d.img')], network=False).arguments()
        self.assertTrue(any('a,b\\"c d.img' in word for word in words))
        self.assertTrue(any("serial=a_b_c_d.img" in word for word in words))

    def test_program_arguments_stand_behind_the_dashes(self):
        line = Machine(image="x", program_arguments=["one", "two words"]).arguments()[-1]
        self.assertTrue(line.endswith('-- one "two words"'), line)

    def test_quotes_are_the_kernels(self):
        """Which takes blanks and the other quote between two quotes, and has no way to make a quote a plain letter (command_line.cpp)."""
        for word, written in (("plain", "plain"), ("it's", '"it\'s"'), ('say "hi"', "'say \"hi\"'"), (r"C:\dir name", r'"C:\dir name"'), ("", '""'),
                              ("a\\b", "a\\b")):
            with self.subTest(word=word):
                self.assertEqual(machine.quoted(word), written)
                line = Machine(image="x", command_line=["key=a b"], program_arguments=[word, "next"]).arguments()[-1]
                self.assertTrue(line.endswith(f'"key=a b" -- {written} next'), line)
        with self.assertRaises(UserError) as caught:
            machine.quoted("it's \"both\"")
        self.assertEqual(caught.exception.status, 2)

    def test_asking_twice_gives_the_same(self):
        description = Machine(image="x", machine="microvm", disks=[Disk("a.img")])
        self.assertEqual(description.arguments(), description.arguments())

    def test_words_of_ours_stand_before_the_programs(self):
        """The kernel reads no ip= and no command= behind --."""
        with tempfile.TemporaryDirectory() as folder:
            options = Parser()
            run.add_arguments(options)
            options = options.parse_args(["--append=log=debug -- 'two words' x", "--ip", "10.0.2.15/24,10.0.2.2"])
            options.program_arguments = ["last"]
            run.split_words(options)
            line = run.make_machine(options, "x", folder).arguments()[-1]
        self.assertTrue(line.endswith('log=debug ip=10.0.2.15/24,10.0.2.2 -- "two words" x last'), line)

    def test_own_folder_with_an_examples_name(self):
        self.assertEqual(run.bare_example("bare-armv7"), "bare-armv7")
        self.assertEqual(run.bare_example(str(ROOT / "examples" / "bare-armv7")), "bare-armv7")
        self.assertEqual(run.bare_example("hello"), "")
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder) / "bare-armv7"
            own.mkdir()
            self.assertEqual(run.bare_example(str(own)), "")

    def test_every_transport_of_a_machine_has_interrupts_that_go_with_it(self):
        for board in platforms.BOARDS:
            for transport in platforms.TRANSPORTS:
                exists = any(not platforms.why_not(board, transport, "split", irq) for irq in platforms.INTERRUPTS)
                reason = platforms.why_not(board, transport, "split", platforms.best_interrupts(board, transport))
                self.assertEqual(reason == "", exists, f"{board.arch} {board.name} {transport}: {reason}")

    def test_values_with_a_dash(self):
        self.assertEqual(joined(["run", "--qemu-args", "-snapshot", "--gdb"], ("--qemu-args",)), ["run", "--qemu-args=-snapshot", "--gdb"])
        self.assertEqual(joined(["run", "--qemu-args"], ("--qemu-args",)), ["run", "--qemu-args"])

    def test_forwards(self):
        words = Machine(image="x", forwards=[Forward(8080, 80), Forward(9, 7, "udp", "10.0.2.20")]).arguments()
        netdev = words[words.index("-netdev") + 1]
        self.assertIn("hostfwd=tcp:127.0.0.1:8080-:80", netdev)
        self.assertIn("hostfwd=udp:127.0.0.1:9-10.0.2.20:7", netdev)


class Platforms(unittest.TestCase):
    def test_document(self):
        self.assertEqual(platforms.DOCUMENT.read_text(), platforms.document(), "docs/platforms.md is stale: './ringside platforms --write'")

    def test_every_combination_exists_or_has_a_reason(self):
        cells = platforms.cells()
        self.assertEqual(len(cells), len({cell.name for cell in cells}))
        self.assertLessEqual(set(platforms.MACHINE_TESTS), {cell.name for cell in cells})
        kinds = {(cell.board.arch, cell.transport) for cell in cells}
        self.assertEqual(kinds, {(arch, transport) for arch in platforms.ARCHS for transport in platforms.TRANSPORTS})
        for board in platforms.BOARDS:
            of_board = [cell for cell in cells if cell.board == board]
            self.assertTrue(any(cell.sample or cell.name in platforms.MACHINE_TESTS for cell in of_board), board.name)
            for transport in platforms.TRANSPORTS:
                reasons = [platforms.why_not(board, transport, ring, irq) for ring in platforms.RINGS for irq in platforms.INTERRUPTS]
                self.assertEqual(all(reasons), not any(cell.transport == transport for cell in of_board) and not board.few, (board.name, transport))
        self.assertEqual(platforms.cell("x86_64.q35.pci.split.msix").board.name, "q35")
        with self.assertRaises(UserError):
            platforms.cell("x86_64.q35.mmio.split.msix")

    def test_boards(self):
        self.assertEqual([platforms.board(arch).name for arch in platforms.ARCHS], ["q35", "virt", "virt", "virt"])
        with self.assertRaises(UserError):
            platforms.board("riscv64", "virt-gicv3")


class ExitStatus(unittest.TestCase):
    def test_decoding(self):
        self.assertEqual(machine.exit_status(0), (0, ""))
        self.assertEqual(machine.exit_status((101 << 1) | 1), (101, ""))
        self.assertEqual(machine.exit_status(3), (1, ""))
        self.assertEqual(machine.exit_status(1)[0], 1)
        self.assertTrue(machine.exit_status(1)[1])
        self.assertEqual(machine.exit_status(-9)[0], 137)
        self.assertEqual(machine.exit_status(101, "riscv64"), (101, ""))
        self.assertEqual(machine.exit_status(-9, "aarch64")[0], 137)


class Ports(unittest.TestCase):
    def test_next_free_one(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assertGreater(run.free_port(port), port)
        self.assertEqual(run.free_port(port), port)

    def test_none_left(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with self.assertRaisesRegex(UserError, f"no free port among {port} to {port}: Address already in use"):
                ports.reserve([port])

    def test_what_another_ringside_is_about_to_use(self):
        """Nobody listens there yet, and two that start at once must not choose the same."""
        first = run.free_port(28080)
        code = "from ringside import run; print(run.free_port(28080), flush=True); input()"
        with subprocess.Popen([sys.executable, "-c", code], cwd=Path(run.__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as other:
            second = int(other.stdout.readline())
            third = run.free_port(28080)
            other.communicate("\n")
        self.assertEqual(len({first, second, third}), 3)
        self.assertEqual(run.free_port(second), second)  # it went with its process


class SetupLock(unittest.TestCase):
    """A word about another set-up is for those who really wait: most are through in a moment."""

    CODE = """if True:
        import pathlib, sys
        from ringside import setup
        setup.cache_folder, setup.PATIENCE = lambda: pathlib.Path(sys.argv[1]), float(sys.argv[2])
        with setup._lock():
            print("mine", flush=True)
            input()
        """

    def holder(self, folder, patience):
        return subprocess.Popen([sys.executable, "-c", self.CODE, folder, str(patience)], cwd=Path(run.__file__).parents[1], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_a_moment(self):
        with tempfile.TemporaryDirectory() as folder, self.holder(folder, 60) as first:
            first.stdout.readline()
            with self.holder(folder, 60) as second:
                with self.assertRaises(subprocess.TimeoutExpired):
                    second.wait(0.3)
                first.communicate("\n")
                self.assertEqual(second.communicate("\n"), ("mine\n", ""))

    def test_longer(self):
        with tempfile.TemporaryDirectory() as folder, self.holder(folder, 60) as first:
            first.stdout.readline()
            with self.holder(folder, 0.05) as second:
                self.assertIn("another set-up is running", second.stderr.readline())
                first.communicate("\n")
                self.assertEqual(second.communicate("\n"), ("mine\n", ""))


class FailedTests(unittest.TestCase):
    def test_what_is_said_of_one_at_the_end(self):
        self.assertEqual(test.why("ok one (0.1 s)\n  FAIL two: 3 instead of 4\n[  0.1] hello\nPANIC: page fault\nmachine: 1 passed, 1 failed\n"),
                         ["FAIL two: 3 instead of 4", "PANIC: page fault"])
        self.assertEqual(test.why("Traceback (most recent call last):\n  File \"x\", line 1\nAssertionError: the status is not 0\n--- status 1"),
                         ["AssertionError: the status is not 0"])
        self.assertEqual(test.why("x.cpp:52: ERROR: CHECK( a == b ) is NOT correct!\n  values: CHECK( 1 == 2 )\n"),
                         ["x.cpp:52: ERROR: CHECK( a == b ) is NOT correct!"])
        self.assertEqual(test.why("first\n\nlast\n"), ["last"])
        self.assertEqual(test.why(""), [])


class PackageLists(unittest.TestCase):
    def test_deb822(self):
        text = "Types: deb\nURIs: http://one\nSuites: a\n\nTypes: deb deb-src\nURIs: http://two\n\nEnabled: no\nTypes: deb\nURIs: http://three\n"
        stanzas, lines = lwip.source_lists([text], [])
        self.assertEqual(stanzas.count("Types: deb-src\n"), 2)
        self.assertNotIn("three", stanzas)
        self.assertEqual(lines.strip(), "")

    def test_one_line(self):
        text = "# deb http://no a main\ndeb [signed-by=/k] http://one a main\ndeb-src [signed-by=/k] http://one a main\n"
        self.assertEqual(lwip.source_lists([], [text])[1], "deb-src [signed-by=/k] http://one a main\n")


class CacheKey(unittest.TestCase):
    def test_python_and_cmake_agree(self):
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "key.cmake")
            script.write_text(f"include({newlib.TOOLCHAIN}/dependencies.cmake)\n"
                              "ringside_newlib_folder(folder x86_64 x86_64-linux-gnu-gcc)\nmessage(STATUS \"${folder}\")\n")
            output = subprocess.run(["cmake", "-P", str(script)], check=True, capture_output=True, text=True).stdout
        self.assertEqual(output.strip().removeprefix("-- "), str(newlib.folder("x86_64")))


class SampleDisk(unittest.TestCase):
    def test_content(self):
        with tempfile.TemporaryDirectory() as folder:
            content, image = Path(folder, "content"), Path(folder, "image")
            content.mkdir()
            disk.write_content(content)
            disk.make_tar_disk(content, image)
            self.assertEqual(image.stat().st_size % disk.MEBIBYTE, 0)
            self.assertEqual(image.read_bytes()[257:263], b"ustar\0")
            with tarfile.open(image) as archive:
                names = archive.getnames()
                self.assertIn("index.html", names)
                self.assertEqual(archive.extractfile("text/words.txt").read(), (content / "text/words.txt").read_bytes())
            first = image.read_bytes()
            disk.make_tar_disk(content, image)
            self.assertEqual(image.read_bytes(), first)
            page = (content / "index.html").read_text()
            for name in names:
                if name.startswith("pictures/"):
                    self.assertIn(name, page + "pictures/")


class Results(unittest.TestCase):
    def setUp(self):
        self.good = [results.result("a.b", 55.5, "instructions", goal=54, peer="ringtest", peer_value=111), results.result("c", 3, "kicks")]

    def test_table(self):
        head, first, second = results.table(self.good).splitlines()
        self.assertEqual(head.split(), ["name", "value", "unit", "goal", "peer", "its", "value", "ratio"])
        self.assertEqual(first.split(), ["a.b", "55.5", "instructions", "54", "+3", "%", "ringtest", "111", "0.50"])
        self.assertEqual(second.split(), ["c", "3", "kicks"])

    def test_goal(self):
        for value, goal, said in ((5, 5, "ok"), (6, 5, "+20 %"), (0, 0, "ok"), (1, 0, "missed"), (9, None, "")):
            self.assertEqual(results.verdict(results.result("x", value, "u", goal=goal)), said)

    def test_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "out.json")
            results.write(self.good, path)
            self.assertEqual(results.read(path), self.good)
            path.write_text("[{}]")
            self.assertRaises(UserError, results.read, path)

    def test_what_is_no_list_of_results(self):
        self.assertIsNone(results.check(self.good))
        self.assertIn("twice", results.check(self.good + self.good[:1]))
        self.assertIn("no", results.check([{**self.good[0], "value": None}]))
        self.assertIn("goal", results.check([{**self.good[0], "goal": "54"}]))
        self.assertIn("needs", results.check([{"name": "x", "value": 1}]))
        with self.assertRaises(ValueError):
            results.result("x", 1, "u", peer="somebody")

    def test_budgets(self):
        found = {part: {"text": 100, "data": 0, "bss": 0} for part in size.COLUMNS}
        enough = {"x86_64": {"-Os": dict.fromkeys(size.COLUMNS, 100)}}
        self.assertEqual(size.over_budget("x86_64", "-Os", found, enough), [])
        found["net"]["text"] = 101
        (line,) = size.over_budget("x86_64", "-Os", found, enough)
        self.assertIn("net", line)
        self.assertIn("1 more", line)
        self.assertEqual(len(size.over_budget("riscv64", "-Os", found, enough)), len(size.COLUMNS))

    def test_every_measurement_keeps_the_form(self):
        for name, path in bench.programs().items():
            with self.subTest(name=name):
                module = bench.load(name, path)
                self.assertTrue(callable(module.main))
                self.assertTrue(module.__doc__)


if __name__ == "__main__":
    unittest.main()
