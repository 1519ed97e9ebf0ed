"""`ringside size`: how many bytes of code and data each library, each driver, a minimal firmware, each example without our kernel and each
image has."""

import concurrent.futures
import contextlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

from . import bare, build, cross, packages, results, setup
from .arguments import integer
from .bench import json_file
from .messages import UserError, say
from .paths import BUILD, ROOT, build_folder

LEVELS = ("-Os", "-O2")
FIRMWARE = Path("tests/size/blk_firmware.cpp")
BUDGETS = ROOT / "tests" / "size" / "budgets.json"
# What the libraries together are to be, -Os on x86_64.
GOAL = {("x86_64", "-Os", "total"): 32 * 1024}
PARTS = ("libvirtio", "blk", "net", "console", "balloon", "entropy", "bus")
COLUMNS = (*PARTS, "drivers", "total", "blk_firmware")


def add_arguments(parser):
    parser.add_argument("--json", type=json_file, metavar="FILE", help="also write the results (-Os) there, as 'bench' does")
    parser.add_argument("--arch", action="append", choices=cross.PROCESSORS,
                        help="only this processor, and its images (default: all, and the images of x86_64); may be given several times")
    parser.add_argument("--against", metavar="REV", help="also show the growth since a commit")
    parser.add_argument("--history", type=integer(1, 1000), metavar="N", help="instead: the last N commits that changed the product, -Os on x86_64")
    parser.add_argument("--functions", type=integer(1, 10000), metavar="N", help="instead: the N largest functions, -Os on x86_64")
    parser.add_argument("--set-budgets", action="store_true", help="write what is measured, and 5 %% of room, into tests/size/budgets.json")
    parser.add_argument("--no-images", action="store_true", help="without the images, which take the longest to build")


def measure(path, tool="x86_64-linux-gnu-size"):
    """An image's or an archive's text (with read-only data), data and bss; of an archive, the sum of its members."""
    output = subprocess.run([tool, str(path)], check=True, capture_output=True, text=True).stdout
    sums = [0, 0, 0]
    for line in output.splitlines()[1:]:
        sums = [have + int(word) for have, word in zip(sums, line.split())]
    return dict(zip(("text", "data", "bss"), sums)) | {"file": Path(path).stat().st_size}


def _size(tool, path):
    line = subprocess.run([tool, str(path)], check=True, capture_output=True, text=True).stdout.splitlines()[1]
    return dict(zip(("text", "data", "bss"), map(int, line.split())))


def _joined(arch, folder, name, paths):
    """Object files as one: what several of them have alike (inline functions) counts once, as in a program."""
    tools = cross.PROCESSORS[arch].gnu
    target = Path(folder) / f"{name}.joined.o"
    subprocess.run([f"{tools}-ld", "-r", "-o", str(target), *map(str, paths)], check=True, capture_output=True)
    return _size(f"{tools}-size", target)


def parts(arch, level, folder, source=ROOT):
    """{part: {text, data, bss}} of the libraries, of each driver and of the firmware, as GCC compiles them from that source tree."""
    cross.build_libraries(arch, "gcc", level, folder, source)
    grouped = {part: [] for part in PARTS}
    for path in sorted(Path(folder).rglob("*.obj")):
        below = path.relative_to(folder).parts
        if "ringside_libvirtio.dir" in below:
            grouped["libvirtio"].append(path)
        elif "ringside_drivers.dir" in below:
            grouped.setdefault(below[below.index("ringside_drivers.dir") + 1], []).append(path)
    grouped["drivers"] = [path for part, paths in grouped.items() if part != "libvirtio" for path in paths]
    grouped["total"] = grouped["libvirtio"] + grouped["drivers"]
    found = {part: _joined(arch, folder, part, paths) for part, paths in grouped.items() if paths}
    image = Path(folder) / "blk_firmware"
    # An older tree has an older interface, or no firmware at all.
    with contextlib.suppress(UserError) if source != ROOT else contextlib.nullcontext():
        link_firmware(arch, level, folder, image, source)
        found["blk_firmware"] = _size(f"{cross.PROCESSORS[arch].gnu}-size", image)
    return found


def link_firmware(arch, level, folder, image, source=ROOT):
    tools = cross.PROCESSORS[arch]
    archives = [str(next(Path(folder).rglob(f"libringside_{name}.a"))) for name in ("drivers", "libvirtio")]
    for command in (cross.compile_command(arch, "gcc", level, Path(source) / FIRMWARE, f"{image}.o", root=source),
                    [f"{tools.gnu}-g++", "-nostdlib", "-static", "-no-pie", *tools.flags, "-Wl,--gc-sections", "-Wl,-e,firmware_main",
                     "-Wl,--build-id=none", "-Wl,-u,firmware_main", "-o", str(image), f"{image}.o", *archives, "-lgcc"]):
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            raise UserError(f"{arch} {level}: the firmware does not build:\n{run.stdout}{run.stderr}".rstrip())


def built(arch, level):
    """The folder that a build of the present tree is kept in."""
    return BUILD / "size" / f"{arch}{level}"


def measure_all(archs):
    """{(arch, level): parts}, as many at once as there are processors."""
    pairs = [(arch, level) for arch in archs for level in LEVELS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(pairs, pool.map(lambda pair: parts(*pair, built(*pair)), pairs)))


def budgets():
    return json.loads(BUDGETS.read_text(encoding="utf-8"))


def set_budgets(found):
    """A little room, so that a fix of a line or two needs no new budget; in steps that read well."""
    allowed = budgets() if BUDGETS.exists() else {}
    for (arch, level), its in found.items():
        allowed.setdefault(arch, {})[level] = {part: -(-(its[part]["text"] * 105 // 100) // 64) * 64 for part in COLUMNS}
    write_budgets(allowed)


def write_budgets(allowed):
    lines = [f'  "{arch}": {{\n' + ",\n".join(f'    "{level}": {json.dumps(its)}' for level, its in levels.items()) + "\n  }"
             for arch, levels in allowed.items()]
    BUDGETS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def set_example_budgets(found):
    """Wider ones: what grew is seen among the parts above."""
    allowed = budgets()
    allowed["examples"] = {name: {what: -(-(value * 115 // 100) // 64) * 64 for what, value in its.items()} for name, its in found.items()}
    write_budgets(allowed)


def over_budget(arch, level, found, allowed):
    """What takes more text than its budget, in words."""
    lines = []
    for part in COLUMNS:
        most = allowed.get(arch, {}).get(level, {}).get(part)
        if most is None:
            lines.append(f"{arch} {level} {part}: no budget in {BUDGETS.relative_to(ROOT)}")
        elif found[part]["text"] > most:
            lines.append(f"{arch} {level} {part}: {found[part]['text']} bytes of text, {found[part]['text'] - most} more than its budget of {most}")
    return lines


def as_results(found):
    """The fixed names; a goal is the project's where there is one, else the budget."""
    allowed = budgets()
    figures = []
    for (arch, level), its in found.items():
        if level == "-Os":
            for part in ("libvirtio", "drivers", "total", "blk_firmware"):
                budget = allowed.get(arch, {}).get(level, {}).get(part)
                figures.append(results.result(f"size.{arch}.{part}.text", its[part]["text"], "bytes", goal=GOAL.get((arch, level, part), budget)))
    return figures


def commit(revision):
    """Its full name."""
    name = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], capture_output=True, text=True)
    if name.returncode != 0:
        raise UserError(f"there is no commit '{revision}' here", 2)
    return name.stdout.strip()


@contextlib.contextmanager
def checked_out(revision):
    """A copy of the tree as it was."""
    with tempfile.TemporaryDirectory(prefix="ringside-size-") as folder:
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit(revision)], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


def at_revision(revision, arch, level):
    """The parts at a commit; None where it cannot be compiled for that processor."""
    with checked_out(revision) as tree:
        if not (tree / "arch" / arch / "include").exists():
            return None
        try:
            return parts(arch, level, tree / "build-size", tree)
        except UserError as error:
            say(f"{revision}: {str(error).splitlines()[0]}")
            return None


def table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) if not i else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
                     for row in rows)


def print_parts(found, before):
    print("bytes of text (code and read-only data) as GCC makes them for firmware: no exceptions, no RTTI, no unwind tables. Functions that several")
    print("parts contain count once in drivers and total. blk_firmware: what one that reads a disk over MMIO keeps, linked.")
    rows = [("", *COLUMNS, "data", "bss")]
    for pair, its in found.items():
        rows.append((" ".join(pair), *[str(its[part]["text"]) for part in COLUMNS], str(its["total"]["data"]), str(its["total"]["bss"])))
        if before.get(pair):
            old = before[pair]
            rows.append(("  growth", *[f"{its[part]['text'] - old[part]['text']:+d}" if part in old else "" for part in COLUMNS],
                         f"{its['total']['data'] - old['total']['data']:+d}", f"{its['total']['bss'] - old['total']['bss']:+d}"))
    print(table(rows))
    for (arch, level, part), goal in GOAL.items():
        if (arch, level) in found:
            value = found[arch, level][part]["text"]
            print(f"{arch} {level}, {part}: {value} bytes, goal {goal} ({'kept' if value <= goal else f'{value - goal} bytes too many'})")


def print_history(count):
    log = subprocess.run(["git", "-C", str(ROOT), "log", f"-{count}", "--format=%h %s", "--", "libvirtio", "drivers", "arch/x86_64/include"],
                         check=True, capture_output=True, text=True).stdout
    rows, older = [("", *COLUMNS)], None
    for line in reversed(log.splitlines()):
        revision, subject = line.split(" ", 1)
        its = at_revision(revision, "x86_64", "-Os")
        if its is None:
            continue
        def cell(part, its=its, older=older):
            if part not in its:
                return ""
            change = its[part]["text"] - older[part]["text"] if older and part in older else 0
            return str(its[part]["text"]) + (f" ({change:+d})" if change else "")
        rows.append((f"{revision} {subject[:40]}", *[cell(part) for part in COLUMNS]))
        older = its
    print("x86_64 -Os, bytes of text and their growth, oldest commit first")
    print(table(rows))


def print_functions(count):
    folder = built("x86_64", "-Os")
    parts("x86_64", "-Os", folder)
    found = []
    for path in sorted(folder.rglob("*.obj")):
        if "ringside_libvirtio.dir" in path.parts or "ringside_drivers.dir" in path.parts:
            output = subprocess.run(["x86_64-linux-gnu-nm", "--print-size", "--demangle", str(path)], check=True, capture_output=True,
                                    text=True).stdout
            found += [(int(size, 16), name, path.name.removesuffix(".obj"))
                      for size, kind, name in re.findall(r"(?m)^[0-9a-f]+ ([0-9a-f]+) ([TtWwVvRr]) (.*)$", output)]
    for size, name, where in sorted(found, reverse=True)[:count]:
        print(f"{size:6} {where:24} {name[:110]}")


def measure_examples():
    packages.ensure(bare.PACKAGES)
    return {name: bare.sizes(name, bare.build(name)) for name in bare.EXAMPLES}


def print_examples(found):
    print(table([("drivers without our kernel, linked", "text", "data", "RAM"),
                 *[(name, *[str(its[what]) for what in ("text", "data", "ram")]) for name, its in found.items()]]))


def print_images(arch):
    setup.ensure(architectures=[arch])
    build.build(arch)
    folder = build_folder(arch)
    programs = [path for path in sorted(folder.rglob("*.elf")) if folder / "tests" not in path.parents]
    files = [*sorted(folder.rglob("libringside_*.a")), *programs]
    sizes = {path.name: measure(path, f"{cross.PROCESSORS[arch].gnu}-size") for path in files}
    rows = [(f"as built for guests, {arch}", "text", "data", "bss")]
    rows += [(name, *[str(size[key]) for key in rows[0][1:]]) for name, size in sizes.items()]
    print(table(rows))


def main(options):
    if options.against:
        commit(options.against)
    setup.ensure()
    packages.ensure(cross.PACKAGES)
    if options.history:
        print_history(options.history)
        return 0
    if options.functions:
        print_functions(options.functions)
        return 0
    found = measure_all(options.arch or list(cross.PROCESSORS))
    if options.set_budgets:
        set_budgets(found)
    before = {pair: at_revision(options.against, *pair) for pair in found} if options.against else {}
    print_parts(found, before)
    examples = measure_examples()
    if options.set_budgets:
        set_example_budgets(examples)
    print_examples(examples)
    if not options.no_images:
        for arch in options.arch or ["x86_64"]:
            print_images(arch)
    faults = [line for (arch, level), its in found.items() for line in over_budget(arch, level, its, budgets())]
    faults += [f"{name} {what}: {value} bytes, {value - most} more than its budget of {most}" for name, its in examples.items()
               for what, value in its.items() if value > (most := budgets()["examples"][name][what])]
    for line in faults:
        print(line)
    if options.json:
        results.write(as_results(found), options.json)
    return 1 if faults else 0
