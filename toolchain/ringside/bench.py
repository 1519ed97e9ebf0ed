"""`ringside bench`: runs the measuring programs of tests/bench, each a file bench_NAME.py with main() -> status."""

import importlib.util

from . import build, setup
from .messages import UserError, say
from .paths import ROOT

FOLDER = ROOT / "tests" / "bench"


def programs():
    return {path.stem.removeprefix("bench_"): path for path in sorted(FOLDER.glob("bench_*.py"))}


def add_arguments(parser):
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--list", action="store_true", help="name the measurements and stop")


def main(options):
    there = programs()
    for name in options.names:
        if name not in there:
            raise UserError(f"there is no measurement '{name}' (there are: {', '.join(there) or 'none'})", 2)
    if not there:
        raise UserError("nothing can be measured yet: tests/bench holds no bench_NAME.py")
    if options.list:
        for name in there:
            print(name)
        return 0
    setup.ensure()
    build.build("x86_64")
    status = 0
    for name in options.names or there:
        say(f"measuring {name}")
        specification = importlib.util.spec_from_file_location(f"bench_{name}", there[name])
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        status = module.main() or status
    return status
