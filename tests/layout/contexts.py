#!/usr/bin/env python3
"""docs/porting.md says for every public function of libvirtio and the drivers which context may call it: contexts.py [--self-check]

The functions are read out of the headers by clang (public members, and functions of the namespace); the table must have each of them in
some column, and nothing that does not exist. What overrides a function stands with the class that declared it."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLANG = "clang++-19"
DOCUMENT = ROOT / "docs" / "porting.md"
COLUMNS = ["before start", "task", "task, no completion", "interrupt", "anywhere"]
# Headers that only the library itself has a use for: rings and their memory, what transports share, wire formats, buffers of one driver.
INTERNAL = ("libvirtio/ring/", "libvirtio/memory", "libvirtio/bytes.hpp", "libvirtio/counter.hpp", "libvirtio/transport/registers.hpp",
            "libvirtio/transport/pci_interrupts.hpp", "drivers/net/receive_pool.hpp")
FREE = "(functions)"
FUNCTIONS = {"FunctionDecl", "CXXMethodDecl", "FunctionTemplateDecl"}


def headers(root):
    found = [str(path.relative_to(root)) for folder in ("libvirtio", "drivers") for path in sorted((root / folder).rglob("*.hpp"))]
    return [path for path in found if not path.startswith(INTERNAL) and not path.endswith("/abi.hpp")]


def syntax_trees(root, paths):
    """What clang makes of the namespace `virtio`: a list of declarations."""
    with tempfile.NamedTemporaryFile("w", suffix=".cpp") as file:
        file.write("".join(f'#include "{path}"\n' for path in paths))
        file.flush()
        run = subprocess.run([CLANG, "-std=c++23", f"-I{root}", f"-I{ROOT}/arch/host/include", "-fsyntax-only",
                              "-Xclang", "-ast-dump=json", "-Xclang", "-ast-dump-filter=virtio::", file.name], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"clang could not read the headers:\n{run.stderr}")
    decoder, at, trees = json.JSONDecoder(), 0, []
    while (match := re.compile(r"\S").search(run.stdout, at)):
        tree, at = decoder.raw_decode(run.stdout, match.start())
        trees.append(tree)
    return trees


class Finder:
    """Collects {class: {function}}. clang names a file only where it differs from the last one that it named."""

    def __init__(self, root, paths):
        self.files = {f"{root}/{path}" for path in paths}
        self.file = ""
        self.found = {}

    def _note_file(self, place):
        for part in (place.get("spellingLoc"), place.get("expansionLoc")) if "spellingLoc" in place else (place,):
            if part and "file" in part:
                self.file = part["file"]

    def _skip(self, node):
        for key in ("loc", "range"):
            for place in ([node[key]] if key == "loc" and key in node else node.get(key, {}).values()):
                self._note_file(place)
        for child in node.get("inner", []):
            self._skip(child)

    def look(self, node, scope="", public=True):
        self._note_file(node.get("loc", {}))
        here = self.file
        for place in node.get("range", {}).values():
            self._note_file(place)
        kind, name = node.get("kind", ""), node.get("name", "")
        if kind in ("CXXRecordDecl", "ClassTemplateDecl") and public and name and not node.get("isImplicit"):
            inside = node.get("tagUsed") != "class"
            below = f"{scope}::{name}" if scope and kind == "CXXRecordDecl" and scope.split("::")[-1] != name else scope or name
            for child in node.get("inner", []):
                if child["kind"] == "AccessSpecDecl":
                    inside = child["access"] == "public"
                self.look(child, below, inside or kind == "ClassTemplateDecl")
            return
        overrides = any(child.get("kind") == "OverrideAttr" for child in node.get("inner", []))
        if kind in FUNCTIONS and public and here in self.files and not node.get("isImplicit") and not overrides and not name.startswith("operator"):
            self.found.setdefault(scope or FREE, set()).add(name)
        for child in node.get("inner", []):
            self._skip(child)


def declared(root):
    paths = headers(root)
    finder = Finder(root, paths)
    for tree in syntax_trees(root, paths):
        finder.look(tree)
    return finder.found


def table(text):
    """{class: {function}} and faults of the table itself. A word in brackets behind a name tells overloads apart."""
    lines = text.splitlines()
    head = next((number for number, line in enumerate(lines) if line.startswith("| class | ")), None)
    if head is None:
        return {}, ["docs/porting.md has no table that begins with '| class | '"]
    if [cell.strip() for cell in lines[head].strip("| ").split("|")][1:] != COLUMNS:
        return {}, [f"the columns are not {COLUMNS}"]
    found, faults = {}, []
    for line in lines[head + 2:]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        name = cells[0].strip("`")
        seen = {}
        for cell in cells[1:]:
            for word in re.findall(r"`([^`]+)`", cell):
                function = word.split("(")[0]
                if function in seen and ("(" not in word or "(" not in seen[function]):
                    faults.append(f"{name}: {function} stands in two columns")
                seen[function] = word
        found.setdefault(name, set()).update(seen)
    return found, faults


def differences(code, document):
    faults = []
    for name in sorted(code.keys() | document.keys()):
        for function in sorted(code.get(name, set()) - document.get(name, set())):
            faults.append(f"{name}: '{function}' is not in the table of docs/porting.md, 'Which context may call what'")
        for function in sorted(document.get(name, set()) - code.get(name, set())):
            faults.append(f"{name}: '{function}' is in the table of docs/porting.md, but in no header")
    return faults


def self_check():
    """A header that gains a function, a class, and a function that only overrides."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "libvirtio").mkdir()
        (root / "drivers").mkdir()
        header = root / "libvirtio" / "a.hpp"
        common = "namespace virtio { void one(); class Two { public: Two(); virtual void three(); private: void four(); };\n"
        header.write_text("#pragma once\n" + common + "class Three final : public Two { public: void three() override; };}\n")
        before = declared(root)
        assert before == {FREE: {"one"}, "Two": {"three"}}, before
        assert not differences(before, before)
        header.write_text("#pragma once\n" + common + "template<class T> void five(T); struct Six { struct Seven { int eight(); }; }; }\n")
        after = declared(root)
        assert after == {FREE: {"one", "five"}, "Two": {"three"}, "Six::Seven": {"eight"}}, after
        assert len(differences(after, before)) == 2 and len(differences(before, after)) == 2
    text = f"| class | {' | '.join(COLUMNS)} |\n|---|---|\n| `Two` | `three` | `f(a)` | `f(b)` | `three` | |\n"
    found, faults = table(text)
    assert found == {"Two": {"three", "f"}} and len(faults) == 1, (found, faults)
    print("a function more, a class more, and a name in two columns are seen")
    return 0


def main():
    if "--self-check" in sys.argv:
        return self_check()
    code = declared(ROOT)
    if "--list" in sys.argv:
        for name, functions in code.items():
            print(name, *sorted(functions))
        return 0
    document, faults = table(DOCUMENT.read_text(encoding="utf-8"))
    faults += differences(code, document)
    for fault in faults:
        print(fault)
    count = sum(map(len, code.values()))
    print(f"{count} functions of {len(code)} classes looked at, {len(faults)} faults")
    return 1 if faults or count < 200 else 0


if __name__ == "__main__":
    sys.exit(main())
