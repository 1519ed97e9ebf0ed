"""`ringside new`: a folder with a program to start from."""

import os
import re
from pathlib import Path

from .messages import UserError, say
from .paths import ROOT, TOOLCHAIN


def add_arguments(parser):
    parser.add_argument("name", metavar="NAME", help="the folder to make; its last part is the program's name")


def place_of_ringside(folder):
    """How the program's CMakeLists.txt names this repository: relative if it lies inside, so that the whole can be moved."""
    if folder.is_relative_to(ROOT):
        return "${CMAKE_CURRENT_LIST_DIR}/" + os.path.relpath(ROOT, folder)
    return str(ROOT)


def main(options):
    folder = Path(options.name).absolute()
    name = folder.name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise UserError(f"'{name}' is no name for a program: letters, digits, _ and -, a letter first", 2)
    if folder.exists():
        raise UserError(f"'{options.name}' is there already", 2)
    folder.mkdir(parents=True)
    for source in sorted((TOOLCHAIN / "template").iterdir()):
        text = source.read_text().replace("@NAME@", name).replace("@RINGSIDE@", place_of_ringside(folder.resolve()))
        (folder / source.name).write_text(text)
    say(f"made {options.name}/; boot it with:  {os.path.relpath(ROOT / 'ringside')} run {options.name}")
    return 0
