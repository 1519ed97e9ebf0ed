"""From a program's name or folder to a bootable image: builds what has changed."""

import hashlib
import subprocess
from pathlib import Path

from . import build
from .messages import UserError
from .paths import ROOT, TOOLCHAIN, build_folder


def known_images():
    """The images and examples of this repository, by the folders that they live in."""
    return sorted(path.parent.name for place in ("boot/images", "examples") for path in (ROOT / place).glob("*/CMakeLists.txt")
                  if "ringside_add_image(" in path.read_text(encoding="utf-8"))


def image(program, arch="x86_64"):
    """program: an image's name, or a folder with a CMakeLists.txt that calls ringside_add_image."""
    folder = Path(program)
    if folder.resolve().parent in (ROOT / "boot" / "images", ROOT / "examples"):
        # A path to one of ours (completed by the user's shell) means the image of that name.
        program, folder = folder.resolve().name, Path("/nonexistent")
    if (folder / "CMakeLists.txt").exists():
        return _own(folder.resolve(), arch)
    if folder.is_dir():
        raise UserError(f"'{program}' has no CMakeLists.txt; 'ringside new' makes a folder with one", 2)
    if program not in known_images():
        raise UserError(f"there is no folder '{program}' here, nor an image of that name (there are: {', '.join(known_images())})", 2)
    build.build(arch, [program])
    return build.image(program, build_folder(arch))


def _own(source, arch):
    """A project of its own, linked with the libraries that are built here."""
    build.build(arch, ["ringside_kernel"])
    suffix = "" if arch == "x86_64" else f"-{arch}"
    folder = build_folder("programs") / f"{source.name}{suffix}-{hashlib.sha256(str(source).encode()).hexdigest()[:8]}"
    if not (folder / "build.ninja").exists():
        run = subprocess.run(["cmake", "-G", "Ninja", "-S", str(source), "-B", str(folder), "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                              f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN / f'{arch}.cmake'}", f"-DRINGSIDE_PREBUILT={build_folder(arch)}"],
                             capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if run.returncode != 0:
            raise UserError(f"cmake could not configure {source}:\n{run.stdout}{run.stderr}".rstrip())
    build.follow(["cmake", "--build", str(folder)], f"building {source.name}")
    found = sorted(folder.glob("*.elf"))
    named = [path for path in found if path.stem == source.name] or found
    if len(named) != 1:
        raise UserError(f"{source} makes {'no image' if not named else 'several images, none named as the folder'}: "
                        "call ringside_add_image(NAME ... SOURCES ...) once in its CMakeLists.txt")
    return named[0]
