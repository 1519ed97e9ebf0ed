#!/usr/bin/env python3
"""No part has grown beyond its budget (budgets.json): size_test.py ARCH LEVEL FOLDER. `ringside size` prints the figures, and after a change
that is worth its bytes `ringside size --set-budgets` writes new budgets, for the reviewer to see."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "toolchain"))

from ringside import size  # noqa: E402
from ringside.messages import UserError  # noqa: E402


def main(arch, level, folder):
    found = size.parts(arch, level, folder)
    empty = [part for part in size.COLUMNS if found[part]["text"] < 200]
    # The test can fail: with budgets of one byte less than there is, every part is over.
    tight = {arch: {level: {part: found[part]["text"] - 1 for part in size.COLUMNS}}}
    unseen = len(size.COLUMNS) - len(size.over_budget(arch, level, found, tight))
    faults = size.over_budget(arch, level, found, size.budgets())
    for line in faults:
        print(line)
    print(f"{arch} {level}: " + ", ".join(f"{part} {found[part]['text']}" for part in size.COLUMNS))
    return 1 if faults or empty or unseen else 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except UserError as error:
        print(error)
        sys.exit(1)
