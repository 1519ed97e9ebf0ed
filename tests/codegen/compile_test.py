#!/usr/bin/env python3
"""libvirtio and the drivers compile for a processor without a warning, by CMake as in somebody else's project, and need nothing but the
few functions that every compiler expects: compile_test.py ARCH gcc|clang LEVEL FOLDER"""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "toolchain"))

from ringside import cross  # noqa: E402
from ringside.messages import UserError  # noqa: E402

# memcpy and the like; and of the compiler's own library (libgcc, compiler-rt) what divides, shifts and counts bits where the processor cannot.
ALLOWED = r"mem(cpy|move|set|cmp)|__cxa_pure_virtual"
OWN_LIBRARY = {"x86_64": "", "aarch64": "", "riscv64": r"|__c[lt]z[sd]i2|__popcountdi2",
               "armv7": r"|__aeabi_(mem\w+|u?l(div|cmp|mul)\w*|u?idiv\w*|l[al]s[lr])"}


def main(arch, compiler, level, folder):
    output = cross.build_libraries(arch, compiler, level, folder)
    if "warning:" in output:
        print(output)
        return 1
    archives = sorted(Path(folder).rglob("libringside_*.a"))
    names = {}
    for option in ("--undefined-only", "--defined-only"):
        text = subprocess.run([f"{cross.PROCESSORS[arch].gnu}-nm", option, "--format=posix", *map(str, archives)], check=True, capture_output=True,
                              text=True).stdout
        names[option] = {line.split()[0] for line in text.splitlines() if len(line.split()) >= 2}
    allowed = ALLOWED + OWN_LIBRARY[arch]
    needed = names["--undefined-only"] - names["--defined-only"]
    faults = sorted(name for name in needed if not re.fullmatch(allowed, name))
    for name in faults:
        print(f"{arch}, {compiler}: the libraries need {name}")
    print(f"{arch}, {compiler}: {len(archives)} libraries, {len(names['--defined-only'])} names defined, "
          f"{len(needed)} needed, {len(faults)} of them too many")
    return 1 if faults or len(archives) != 2 or not names["--defined-only"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except UserError as error:
        print(error)
        sys.exit(1)
