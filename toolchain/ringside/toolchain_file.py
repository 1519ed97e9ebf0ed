"""`ringside toolchain`: the path of a CMake toolchain file, for projects of one's own."""

from .paths import TOOLCHAIN
from .setup import ARCHITECTURES


def add_arguments(parser):
    parser.add_argument("processor", choices=ARCHITECTURES, help="what to build for")


def main(options):
    print(TOOLCHAIN / f"{options.processor}.cmake")
    return 0
