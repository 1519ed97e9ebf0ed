"""The commands, their help and their errors."""

import signal
import sys

from . import bench, build, image, new, platforms, run, selftest, setup, size, test, toolchain_file
from .arguments import Parser, joined
from .messages import UserError, say

COMMANDS = {
    "setup": (setup, "install and build the dependencies; does nothing when all is there"),
    "run": (run, "boot the appliance, or a program of your own, in QEMU"),
    "build": (build, "build what has changed"),
    "test": (test, "build everything and run every test"),
    "selftest": (selftest, "boot the self-test image in one configuration"),
    "platforms": (platforms, "where it runs: processors, machines, transports"),
    "bench": (bench, "measure"),
    "size": (size, "bytes of code and data"),
    "image": (image, "make a file that other monitors, loaders and machines boot"),
    "new": (new, "make a folder with a program to start from"),
    "toolchain": (toolchain_file, "print the path of a CMake toolchain file"),
}


def parser(chosen=""):
    top = Parser(prog="ringside", description="Virtio drivers for guests, and a small kernel to run programs on them. "
                                              "Two commands to begin with: 'ringside run' and 'ringside test'.")
    commands = top.add_subparsers(dest="command_name", required=True, metavar="COMMAND", parser_class=Parser)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=(module.__doc__ or summary).strip())
        module.add_arguments(command)
        if name == chosen == "bench":
            # Measurements bring their own options; a mistake in one of them is no concern of the other commands.
            bench.add_measurements(command)
        command.set_defaults(main=module.main)
    return top


def main(words):
    # A polite end, or a terminal that is closed, runs the clean-up (QEMU, scratch files) like any other.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    # What stands behind -- belongs to the program that is run, not to us.
    program_arguments = []
    if words[:1] == ["run"] and "--" in words:
        program_arguments = words[words.index("--") + 1:]
        words = words[:words.index("--")]
    options = parser(words[0] if words else "").parse_args(joined(words, ("--qemu-args", "--append", "--command")))
    options.program_arguments = program_arguments
    try:
        return options.main(options)
    except UserError as error:
        say(str(error))
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has left: there is nobody to tell.
        sys.stderr.close()
        return 141
    except OSError as error:
        # A file or folder that cannot be made, read or written.
        say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1
