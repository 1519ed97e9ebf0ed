#!/usr/bin/env python3
"""The fences are in the binary: codegen_test.py EMULATOR ARCH gcc|clang [--show]

The probes are compiled with -O0 to -O3 and run in an emulator. Of each run the accesses to the ring, to the device's registers and to a
lent buffer are looked at, in the order in which the processor was told to do them: wherever the device could be misled by another order, an
instruction has to stand that forbids it. The same with VIRTIO_F_ORDER_PLATFORM, where the device is no processor. Last, the probes are
compiled with barriers that are empty, and with accesses that are neither release nor acquire: exactly the rules that hang on them must be
found broken, or the test could not fail."""

import argparse
import re
import struct
import sys
import tempfile
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parents[1] / "toolchain"), str(FOLDER)]

from orders import is_full_fence, orders  # noqa: E402
from ringside import cross  # noqa: E402
from ringside.messages import UserError  # noqa: E402
from emulated import Program  # noqa: E402

SIZE = 4                      # kSize of probes.cpp
EVENT_INDEX, PLATFORM, IN_ORDER = 1, 2, 4  # its bits
LEVELS = ("-O0", "-O1", "-O2", "-O3")


def split_role(kind, offset, driver, device, bits):
    """What stands at an offset of the split ring's memory (VIRTIO 1.4, 2.7)."""
    used_event, available_event = driver + 4 + 2 * SIZE, device + 4 + 8 * SIZE
    if offset < driver:
        return "body"
    if offset == driver + 2:
        return "index"
    if offset == (used_event if bits & EVENT_INDEX else driver):
        return "arm"
    if offset in (driver, used_event):
        return "unused"
    if offset < used_event:
        return "body"
    if offset == device + 2:
        return "used"
    if offset == (available_event if bits & EVENT_INDEX else device):
        return "event"
    if device + 4 <= offset < available_event:
        return "element"
    raise UserError(f"{kind} of the split ring's memory at {offset:#x}: nothing stands there that a driver may touch")


def packed_role(kind, offset, driver, device, _bits):
    """... of the packed ring's (2.8). The flags of the first descriptor are what the device looks at in these runs."""
    if offset < driver:
        if kind == "W":
            return "index" if offset == 14 else "body"
        return "used" if offset == 14 or offset % 16 == 14 else "element"
    if offset < driver + 4:
        return "arm"
    if device <= offset < device + 4:
        return "event"
    raise UserError(f"{kind} of the packed ring's memory at {offset:#x}: nothing stands there that a driver may touch")


# (name, earlier access, which of them, later access, which of them): kinds and roles of the two accesses that must stay in order.
SEND = [
    ("what was read out of a buffer, before it is lent again", ("R", "payload"), -1, ("W", "index"), 0),
    ("descriptors, before they are lent", ("W", "body"), -1, ("W", "index"), 0),
    ("lending, before looking whether the device wants a kick", ("W", "index"), -1, ("R", "event"), 0),
    ("lending, before the doorbell", ("W", "index"), -1, ("O", "doorbell"), 0),
    ("descriptors, before the doorbell", ("W", "body"), -1, ("O", "doorbell"), 0),
]
RECEIVE = [
    ("interrupt status, before the used ring", ("I", "status"), -1, ("R", "used"), 0),
    ("acknowledgement, before the used ring", ("O", "acknowledge"), -1, ("R", "used"), 0),
    ("that there is a used buffer, before which one", ("R", "used"), 0, ("R", "element"), 0),
    ("that there is a used buffer, before what is in it", ("R", "used"), 0, ("R", "payload"), 0),
    ("arming interrupts, before the second look", ("W", "arm"), -1, ("R", "used"), -1),
]

# A store to a register followed by a load from memory: on x86-64 devices that are acknowledged so are virtual ones, whose register access
# stops the processor until it is done.
NOT_NEEDED = {("x86_64", "acknowledgement, before the used ring")}

# What must be found broken without barriers and without release and acquire.
WITHOUT_BARRIERS = {
    "x86_64": {SEND[2][0], RECEIVE[4][0]},
    "other": {SEND[2][0], SEND[3][0], SEND[4][0], RECEIVE[0][0], RECEIVE[1][0], RECEIVE[4][0]},
    "platform": {SEND[0][0], SEND[1][0], SEND[2][0], SEND[3][0], SEND[4][0], *[rule[0] for rule in RECEIVE]},
}
WITHOUT_ORDER = {"x86_64": set(), "other": {SEND[0][0], SEND[1][0], RECEIVE[2][0], RECEIVE[3][0]}}

# GCC 12 makes every release and acquire on riscv64 a fence for registers as well, and so keeps more than it has to.
KEPT_BY_GCC = {SEND[0][0], SEND[1][0], SEND[4][0], RECEIVE[2][0], RECEIVE[3][0]}


class Probes:
    """The probes of one compiler, one processor and one level of optimisation."""

    def __init__(self, options, level, folder, extra=()):
        self.arch = options.arch
        tools = cross.PROCESSORS[options.arch].gnu
        image = Path(folder) / "probes"
        self._run(cross.compile_command(options.arch, options.compiler, level, FOLDER / "probes.cpp", f"{image}.o", extra))
        # GCC's driver links for clang as well: it knows where libgcc is.
        self._run([f"{tools}-g++", "-nostdlib", "-static", "-no-pie", *cross.PROCESSORS[options.arch].flags, "-Wl,-e,probe_split_setup",
                   "-Wl,--no-relax", "-Wl,--build-id=none", "-o", str(image), f"{image}.o", "-lgcc"])
        self.program = Program(options.emulator, options.arch, image, tools)
        self.layout = struct.unpack("<4I", self.program.read(self.program.symbols["probe_layout"], 16))

    @staticmethod
    def _run(command):
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            raise UserError(f"{command[0]} failed:\n{run.stdout}{run.stderr}")

    def _roles(self, steps, engine, bits):
        """[(step, kind, role)]; role None: neither the device's nor the buffer's."""
        at = self.program.symbols
        areas = {at[f"probe_{engine}_memory"]: "ring", at["probe_payload"]: "payload", at["probe_registers"]: "registers"}
        driver, device = self.layout[:2] if engine == "split" else self.layout[2:]
        role_of = split_role if engine == "split" else packed_role
        result = []
        for step in steps:
            area = areas.get(step.address & ~0xFFF) if step.kind != "x" else None
            offset = step.address & 0xFFF
            if area == "ring":
                result.append((step, step.kind, role_of(step.kind, offset, driver, device, bits)))
            elif area == "payload":
                result.append((step, step.kind, "payload"))
            elif area == "registers":
                role = {0x0: "doorbell", 0x10: "status", 0x14: "acknowledge"}[offset]
                result.append((step, "I" if step.kind == "R" else "O", role))
            else:
                result.append((step, step.kind, None))
        return result

    def _device_answers(self, engine):
        """The first chain comes back with 16 bytes written, and the interrupt status says so."""
        memory = self.program.symbols[f"probe_{engine}_memory"]
        self.program.write(self.program.symbols["probe_registers"] + 0x10, struct.pack("<I", 1))
        if engine == "split":
            self.program.write(memory + self.layout[1] + 4, struct.pack("<II", 0, 16))
            self.program.write(memory + self.layout[1] + 2, struct.pack("<H", 1))
        else:
            flags = struct.unpack("<H", self.program.read(memory + 14, 2))[0]
            # The id as it stands; used bit = available bit of this round (first: 1).
            self.program.write(memory + 8, struct.pack("<I", 16))
            self.program.write(memory + 14, struct.pack("<H", (flags & ~0x8080) | 0x8080))

    def run(self, engine, bits):
        """(what send did, what receive did), as _roles gives it."""
        memory = self.program.symbols[f"probe_{engine}_memory"]
        self.program.write(memory, bytes(4096))
        self.program.call(f"probe_{engine}_setup", bits)
        send = self._roles(self.program.call(f"probe_{engine}_send"), engine, bits)
        self._expect(engine, "send", 0)
        self._device_answers(engine)
        receive = self._roles(self.program.call(f"probe_{engine}_receive"), engine, bits)
        self._expect(engine, "receive", 16)
        return send, receive

    def _expect(self, engine, what, value):
        found = struct.unpack("<I", self.program.read(self.program.symbols["probe_sink"], 4))[0]
        if found != value:
            raise UserError(f"{engine}: {what} gave {found:#x} instead of {value:#x}")


def verdicts(arch, trace, rules, platform):
    """[(rule's name, what is wrong)]"""
    faults = []
    for name, (kind, role), which, (kind2, role2), which2 in rules:
        if (arch, name) in NOT_NEEDED:
            continue
        earlier = [i for i, entry in enumerate(trace) if entry[1:] == (kind, role)]
        later = [i for i, entry in enumerate(trace) if entry[1:] == (kind2, role2)]
        if not earlier or not later:
            faults.append((name, f"no {kind} of '{role if not earlier else role2}' was seen: the probe does not get there"))
            continue
        first, second = earlier[which], later[which2]
        if first >= second:
            faults.append((name, "the later access comes first:\n" + shown(trace, second, first)))
        elif not any(orders(arch, trace[i][0].text, kind, kind2, platform, i == first, i == second) for i in range(first, second + 1)):
            faults.append((name, "nothing keeps them in order:\n" + shown(trace, first, second)))
    return faults


def shown(trace, first, last, most=40):
    lines = [f"    {step.pc:x}: {step.text}" + (f"    <- {kind} {role}" if role else "") for step, kind, role in trace[first:last + 1]
             if step.kind != "x" or not any(entry[0].pc == step.pc and entry[0].kind != "x" for entry in trace[first:last + 1])]
    return "\n".join(lines if len(lines) <= most else [*lines[:most // 2], "    ...", *lines[-most // 2:]])


def fences(trace):
    return [step.text for step, kind, role in trace if step.kind == "x" and re.match(r"mfence|lock |xchg .*\(|d[ms]b|lda|stl|fence", step.text)]


def check(options, probes, engines):
    """{(engine, bits): [(rule, fault)]} over all runs of these probes."""
    found = {}
    for engine in engines:
        for bits in range(8):
            send, receive = probes.run(engine, bits)
            platform = bool(bits & PLATFORM)
            faults = verdicts(options.arch, send, SEND, platform) + verdicts(options.arch, receive, RECEIVE, platform)
            found[engine, bits] = faults, send, receive
    return found


def described(engine, bits):
    return f"{engine} ring{', EVENT_IDX' if bits & EVENT_INDEX else ''}{', ORDER_PLATFORM' if bits & PLATFORM else ''}{', IN_ORDER' if bits & IN_ORDER else ''}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("emulator")
    parser.add_argument("arch", choices=cross.PROCESSORS)
    parser.add_argument("compiler", choices=cross.COMPILERS)
    parser.add_argument("--show", action="store_true", help="print the fences that were seen")
    options = parser.parse_args()
    engines = ["split", "packed"]
    checks = failures = 0

    def fail(text):
        nonlocal failures
        failures += 1
        print(text)

    def probes(level, folder, *extra):
        return Probes(options, level, folder, extra)

    with tempfile.TemporaryDirectory(prefix="ringside-codegen-") as folder:
        for level in LEVELS:
            built = probes(level, folder)
            with built.program:
                for (engine, bits), (faults, send, receive) in check(options, built, engines).items():
                    checks += len(SEND) + len(RECEIVE)
                    where = f"{options.compiler} {level}, {options.arch}, {described(engine, bits)}"
                    for name, fault in faults:
                        fail(f"{where}: {name}: {fault}")
                    for what, trace in (("send", send), ("receive", receive)):
                        if options.show:
                            print(f"{where}, {what}: {'; '.join(fences(trace))}")
                        # A fence is dear: one of the full kind each way, no more. (Without optimisation every atomic store is one.)
                        full = [step.text for step, kind, _ in trace if step.kind == "x" and is_full_fence(options.arch, step.text)]
                        own = 1 + (what == "receive" and options.arch in ("aarch64", "armv7"))  # the interrupt status barrier is full there
                        # armv7 has no other fence, and GCC 12 none for riscv64.
                        counted = options.arch in ("x86_64", "aarch64") or (options.arch, options.compiler) == ("riscv64", "clang")
                        if counted and level != "-O0" and not bits & PLATFORM and len(full) != own:
                            fail(f"{where}, {what}: {len(full)} full fences, {own} needed: {full}")
        for what, extra, table in (("without barriers", [f"-I{FOLDER}/without_barriers"], WITHOUT_BARRIERS),
                                   ("without release and acquire", [f'-DRINGSIDE_MEMORY_POLICY="{FOLDER}/relaxed_memory.hpp"'], WITHOUT_ORDER)):
            built = probes("-O2", folder, *extra)
            with built.program:
                for (engine, bits), (faults, *_) in check(options, built, engines).items():
                    checks += 1
                    expected = set(table["x86_64" if options.arch == "x86_64" else "other"])
                    if bits & PLATFORM and options.arch != "x86_64":
                        expected = set(table.get("platform", set()))
                    if table is WITHOUT_BARRIERS and (options.arch, options.compiler) == ("riscv64", "gcc"):
                        expected -= KEPT_BY_GCC
                    broken = {name for name, _ in faults}
                    if broken != expected:
                        fail(f"{what}, {options.arch}, {described(engine, bits)}: not noticed: {sorted(expected - broken)}, "
                             f"broken though it hangs on something else: {sorted(broken - expected)}")
    print(f"{options.compiler}, {options.arch}: {checks} checks, {failures} failures")
    return 1 if failures or not checks else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        print(error)
        sys.exit(1)
