"""`ringside bench`: runs the measuring programs of tests/bench, prints one table and writes one list of results."""

# A measurement is a file tests/bench/bench_NAME.py:
#     """One line that says what it measures."""
#     PRESETS = ("x86_64",)                  # optional: what is built before it runs (default: x86_64)
#     PACKAGES = ["valgrind"]                # optional: what is installed before it runs
#     def add_arguments(parser): ...         # optional: options of its own; a name that another one has is an error
#     def main(options): return 0, [results.result("native.split.one.b32.instructions", 53.2, "instructions", goal=54)]
# options holds the options below too: names, json, versus_linux. Whatever it prints goes before the table.

import argparse
import importlib.util
import sys
from pathlib import Path

from . import build, packages, results, setup
from .messages import UserError, say
from .paths import ROOT

FOLDER = ROOT / "tests" / "bench"


def programs():
    return {path.stem.removeprefix("bench_"): path for path in sorted(FOLDER.glob("bench_*.py"))}


def load(name, path):
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    specification = importlib.util.spec_from_file_location(f"bench_{name}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def json_file(text):
    folder = Path(text).absolute().parent
    if Path(text).is_dir() or not folder.is_dir():
        # Said before the measuring starts, not after half an hour of it.
        raise argparse.ArgumentTypeError(f"'{text}' is a folder" if Path(text).is_dir() else f"there is no folder '{folder}'")
    return Path(text).absolute()


def add_arguments(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--list", action="store_true", help="name the measurements and stop")
    parser.add_argument("--json", type=json_file, metavar="FILE",
                        help='also write the results there: a list of {"name", "value", "unit", "goal", "peer", "peer_value"}; less is better')
    parser.add_argument("--versus-linux", action="store_true", help="also measure a Linux guest, where a measurement knows how")


def add_measurements(parser):
    """The options of every measurement, each under its own heading."""
    parser.set_defaults(modules={name: load(name, path) for name, path in programs().items()})
    for name, module in parser.get_default("modules").items():
        if hasattr(module, "add_arguments"):
            module.add_arguments(parser.add_argument_group(f"options of '{name}'"))


def main(options):
    there = options.modules
    for name in options.names:
        if name not in there:
            raise UserError(f"there is no measurement '{name}' (there are: {', '.join(there) or 'none'})", 2)
    if not there:
        raise UserError("nothing can be measured yet: tests/bench holds no bench_NAME.py")
    if options.list:
        width = max(map(len, there))
        for name, module in there.items():
            print(f"{name:{width}}  {(module.__doc__ or '').strip().splitlines()[0]}")
        return 0
    setup.ensure()
    status, found = 0, []
    for name in options.names or there:
        packages.ensure(getattr(there[name], "PACKAGES", []))
        for preset in getattr(there[name], "PRESETS", ("x86_64",)):
            build.build(preset)
        say(f"measuring {name}")
        its, figures = there[name].main(options)
        status = its or status
        found += figures
    wrong = results.check(found)
    if wrong:
        raise ValueError(wrong)
    if found:
        print(results.table(found), flush=True)
    if options.json:
        results.write(found, options.json)
    return status
