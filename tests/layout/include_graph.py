#!/usr/bin/env python3
"""The include graph goes one way: boot -> kernel -> drivers -> libvirtio -> the arch leaf. Fails on a back edge, on an include that is not
written from the root, and on a standard header that a freestanding driver may not use. `--self-check` proves that it can fail."""

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".hpp", ".cpp", ".h", ".S"}

# Which folders the files of a folder may include (by quotes). "leaf" is arch/NAME/include, reached as <ringside/arch/...>.
MAY_INCLUDE = {
    "leaf": set(),
    "libvirtio": {"libvirtio"},
    "drivers": {"drivers", "libvirtio"},
    "arch": {"arch"},
    "kernel": {"kernel", "arch", "drivers", "libvirtio"},
    "boot": {"boot", "kernel", "arch", "drivers", "libvirtio"},
    "examples": set(),
    "tests": {"tests", "boot", "kernel", "arch", "drivers", "libvirtio"},
    "toolchain": set(),
}
# Who may say <ringside/NAME.hpp>: programs, not the floors below them. Everybody may use the leaf.
PUBLIC_USERS = {"boot", "examples", "tests", "toolchain"}

# <machine/NAME.hpp> is arch/PROCESSOR/machine/NAME.hpp, of whichever processor is built for.
MACHINE_USERS = {"arch", "kernel", "boot", "tests"}

# lwIP's own headers, which only the kernel's network knows.
LWIP = ("lwip/", "netif/")
LWIP_USERS = ("kernel/network/", "kernel/app_network.cpp")

FREESTANDING = {"array", "atomic", "bit", "concepts", "cstddef", "cstdint", "expected", "limits", "optional", "span", "string_view",
                "type_traits", "utility"}
FREESTANDING_FOLDERS = {"libvirtio", "drivers", "leaf"}


def folder_of(path):
    if path.parts[0] == "arch" and len(path.parts) > 3 and path.parts[2] == "include":
        return "leaf"
    return path.parts[0]


def faults(root):
    found = []
    edges = 0
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.suffix not in SUFFIXES or relative.parts[0] not in (MAY_INCLUDE.keys() | {"arch"}):
            continue
        folder = folder_of(relative)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            edges += 1
            where = f"{relative}:{number}"
            kind, name = match.groups()
            if name.startswith(LWIP):
                if not str(relative).startswith(LWIP_USERS):
                    found.append(f"{where}: only {' and '.join(LWIP_USERS)} may include <{name}>")
            elif kind == '"':
                if not (root / name).exists():
                    found.append(f'{where}: "{name}" is not the path of a file from the root of the repository')
                elif folder_of(Path(name)) not in MAY_INCLUDE[folder]:
                    found.append(f'{where}: {folder} must not include "{name}"')
                elif folder == "kernel" and name.startswith(("arch/", "boot/")) and name.count("/") > 1:
                    found.append(f'{where}: kernel must not name a processor, as in "{name}"')
            elif name.startswith("machine/"):
                if folder not in MACHINE_USERS:
                    found.append(f"{where}: {folder} must not include <{name}>")
            elif name.startswith("ringside/arch/"):
                if folder == "examples":
                    found.append(f"{where}: a program has no business with <{name}>")
            elif name.startswith("ringside/"):
                if folder not in PUBLIC_USERS:
                    found.append(f"{where}: {folder} must not include the public <{name}>")
            elif folder in FREESTANDING_FOLDERS and name not in FREESTANDING:
                found.append(f"{where}: {folder} must not use <{name}>: it has to be freestanding")
    return found, edges


def self_check():
    """Each rule, broken once in a tree of its own, must be seen; a tree that keeps all of them must pass."""
    good = {"libvirtio/a.hpp": "#include <span>\n#include <ringside/arch/io.hpp>\n", "drivers/b.cpp": '#include "libvirtio/a.hpp"\n',
            "arch/x86_64/include/ringside/arch/io.hpp": "#include <cstdint>\n", "arch/hooks.hpp": "", "arch/x86_64/own.hpp": "",
            "arch/x86_64/machine/cpu.hpp": "",
            "kernel/c.cpp": '#include "drivers/b.cpp"\n#include "arch/hooks.hpp"\n#include <machine/cpu.hpp>\n#include <cstdio>\n',
            "boot/d.cpp": '#include "kernel/c.cpp"\n', "examples/e.cpp": "#include <ringside/app.hpp>\n"}
    broken = {"libvirtio/up.hpp": '#include "drivers/b.cpp"\n', "drivers/up.cpp": '#include "kernel/c.cpp"\n',
              "kernel/up.cpp": '#include "boot/d.cpp"\n', "arch/x86_64/up.cpp": '#include "kernel/c.cpp"\n',
              "arch/x86_64/include/ringside/arch/up.hpp": '#include "libvirtio/a.hpp"\n', "libvirtio/libc.cpp": "#include <cstdio>\n",
              "drivers/near.cpp": '#include "b.cpp"\n', "examples/deep.cpp": '#include "kernel/c.cpp"\n',
              "kernel/public.cpp": "#include <ringside/app.hpp>\n", "kernel/stack.cpp": "#include <lwip/tcp.h>\n",
              "kernel/processor.cpp": '#include "arch/x86_64/own.hpp"\n', "drivers/machine.cpp": "#include <machine/cpu.hpp>\n"}

    def count(files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return len(faults(Path(folder))[0])

    if count(good):
        return "the good tree is refused"
    for name, text in broken.items():
        if count(good | {name: text}) != 1:
            return f"the mistake in {name} is not seen"
    return None


def main():
    if "--self-check" in sys.argv:
        complaint = self_check()
        print(complaint or "every rule can fail")
        return 1 if complaint else 0
    found, edges = faults(ROOT)
    for fault in found:
        print(fault)
    print(f"{edges} includes looked at, {len(found)} wrong")
    return 1 if found or not edges else 0


if __name__ == "__main__":
    sys.exit(main())
