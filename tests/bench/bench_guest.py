"""What disk reads, frames, console output and a start cost the guest: instructions, kicks and interrupts. QEMU counts; the same in every run."""

import dataclasses
import sys
from pathlib import Path

from ringside import app, build, paths, platforms, setup
from ringside.messages import UserError
from ringside.results import result

sys.path.insert(0, str(Path(__file__).resolve().parent))
import guest_goals  # noqa: E402
import guest_linux  # noqa: E402
import guest_ours  # noqa: E402
from counting import Counter, Functions  # noqa: E402

PRESETS = ("x86_64",)
SHOWN_FUNCTIONS = 25


def add_arguments(parser):
    parser.add_argument("--ioeventfd", action="store_true", help="leave QEMU's event loop to handle kicks (faster, but two may count as one)")
    parser.add_argument("--ring", choices=("split", "packed", "both"), default="split", help="which ring the devices offer (default: split)")
    parser.add_argument("--arch", choices=platforms.archs(), default="x86_64", help="the guest's processor (default: x86_64)")
    parser.add_argument("--profile", action="store_true", help="print the instructions per operation of each function")
    parser.add_argument("--operations", type=int, default=2048, metavar="N", help="how many of each (default: 2048)")


def print_profile(image, name, operations, span):
    print(f"{name}: {span.total / operations:.1f} instructions per operation")
    for function, count in Functions(image).count(span.profile)[:SHOWN_FUNCTIONS]:
        if count / operations >= 0.05:
            print(f"  {count / operations:10.2f}  {function}")


def measure(image, setting, profile):
    """{name of the result: value} and a line per measurement"""
    with Counter() as counter:
        figures = guest_ours.measure(counter, image, setting, profile)
        span = guest_ours.boot(counter, image, setting, ["profile"] if profile else [])
    ring = "packed" if setting.packed else "split"
    print(f"{setting.arch} {setting.machine}, {ring} rings, ioeventfd {'on' if setting.ioeventfd else 'off'}, {setting.operations} operations each:")
    for name, found in figures.items():
        print(f"  {name:10}  {found.instructions:9.2f} instructions, {found.kicks:.4f} kicks, {found.interrupts:.4f} interrupts, "
              f"{found.mmio:.3f} accesses to device registers, {found.span.halt / found.operations:.3f} halts per operation")
    print(f"  entry to main() with a disk and a network card: {span.total} instructions", flush=True)
    if profile:
        for name, found in figures.items():
            print_profile(image, name, found.operations, found.span)
        print_profile(image, "boot", 1, span)
    values = {name: guest_goals.value(name, figures[what]) for name, (_, _, what, _) in guest_goals.RESULTS.items()}
    values[guest_goals.BOOT[0]] = span.total
    return values


def with_prefix(name, arch, packed):
    """guest.blk... with split rings, guest.packed.blk... with packed ones; of x86_64, or guest.aarch64.blk..."""
    words = [*([arch] if arch != "x86_64" else []), *(["packed"] if packed else [])]
    return name.replace("guest.", ".".join(["guest", *words, ""]), 1)


def main(options):
    if options.versus_linux and options.arch != "x86_64":
        raise UserError("--versus-linux: the Linux guest is one of x86_64", 2)
    if options.arch == "x86_64":
        image = build.image("bench")
    else:
        setup.ensure(architectures=[options.arch])
        image = app.image("bench", options.arch)
    goals = {name: (unit, goal) for name, (unit, goal, _, _) in guest_goals.RESULTS.items()}
    goals[guest_goals.BOOT[0]] = guest_goals.BOOT[1:]
    setting = guest_ours.Setting(arch=options.arch, machine=platforms.board(options.arch).name, ioeventfd=options.ioeventfd, operations=options.operations)
    found = []
    # Its devices offer split rings, which is what Linux uses unless somebody asks for others.
    peer, theirs = None, {}
    if options.versus_linux:
        peer = guest_linux.prepare(paths.build_folder("x86_64") / "linux-peer")
        with Counter() as counter:
            theirs = guest_linux.measure(counter, peer, setting)
    for packed in {"split": (False,), "packed": (True,), "both": (False, True)}[options.ring]:
        values = measure(image, dataclasses.replace(setting, packed=packed), options.profile)
        for name, value in values.items():
            unit, goal = goals[name]
            compared = peer is not None and name in theirs
            found.append(result(with_prefix(name, options.arch, packed), value, unit, goal, peer.name if compared else None, theirs[name] if compared else None))
    return 0, found
