"""`ringside size`: how many bytes of code and data each library and each image has."""

import json
import subprocess

from . import build, setup
from .paths import build_folder


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="for programs: {name: {text, data, bss, file}}")


def measure(path):
    """text (with read-only data), data and bss; of an archive, the sum of its members."""
    output = subprocess.run(["x86_64-linux-gnu-size", str(path)], check=True, capture_output=True, text=True).stdout
    sums = [0, 0, 0]
    for line in output.splitlines()[1:]:
        for index, word in enumerate(line.split()[:3]):
            sums[index] += int(word)
    return {"text": sums[0], "data": sums[1], "bss": sums[2], "file": path.stat().st_size}


def main(options):
    setup.ensure()
    build.build("x86_64")
    folder = build_folder("x86_64")
    sizes = {path.name: measure(path) for path in [*sorted(folder.rglob("libringside_*.a")), *sorted(folder.rglob("*.elf"))]}
    if options.json:
        print(json.dumps(sizes, indent=2))
        return 0
    width = max(map(len, sizes), default=4)
    print(f"{'':{width}} {'text':>10} {'data':>10} {'bss':>10}   bytes; images without debugging information")
    for name, size in sizes.items():
        print(f"{name:{width}} {size['text']:>10} {size['data']:>10} {size['bss']:>10}")
    return 0
