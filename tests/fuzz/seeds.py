#!/usr/bin/env python3
"""seeds.py: writes the seeds anew: a few short programs for each target that reach every operation with an honest and with a lying device."""

import random
from pathlib import Path

from fuzz import SEEDS, TARGETS


def program(rng, hostile, kind):
    shape = rng.randrange(8) | rng.choice([0, 8]) | rng.choice([0, 16]) | {"general": 0, "fixed": 0x20, "presets": 0x40}[kind] | (0x80 if hostile else 0)
    head = [shape, rng.choice([7, 5, 9]), *(rng.randrange(5) for _ in range(5)), rng.choice([0, 0, 2])]
    body = []
    for _ in range(rng.randrange(20, 60)):
        body += rng.choice([
            [2, rng.randrange(80), 0x80 | rng.randrange(1, 64)],
            [0, rng.randrange(80), rng.randrange(1, 5), rng.randrange(3), *(rng.randrange(1, 64) for _ in range(4))],
            [7], [14], [9], [11, rng.randrange(8), 0, 1, 1], [4, 0, rng.randrange(1, 128)], [5, rng.randrange(80), rng.randrange(8)],
            [12, rng.randrange(2), rng.randrange(3)], [13], [15, 1, 3],
        ])
    return bytes(head + body)


def main():
    for target in TARGETS:
        folder = SEEDS / target
        folder.mkdir(parents=True, exist_ok=True)
        for kind in ("general", "fixed", "presets"):
            for hostile in (False, True):
                rng = random.Random(f"{target} {kind} {hostile}")
                name = f"{kind}_{'hostile' if hostile else 'referee'}"
                (folder / name).write_bytes(program(rng, hostile, kind))


if __name__ == "__main__":
    main()
