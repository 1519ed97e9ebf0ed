"""`ringside image`: a program as a file that other monitors, loaders and machines boot.

elf: for whoever speaks PVH or multiboot2 (QEMU -kernel, Firecracker, Cloud Hypervisor, GRUB). bzimage: for whoever loads Linux (QEMU -kernel,
GRUB `linux`, kexec), and an application for UEFI; on aarch64 its name is image. iso, raw, qcow2: a CD and disks for machines that only boot
disks; on x86_64 each starts under BIOS and UEFI."""

import importlib.util
import os
import tempfile
from pathlib import Path

from . import app, boot_disk, cross, packages, results, setup
from .arguments import shell_words
from .bench import json_file
from .messages import UserError, say
from .paths import TOOLCHAIN

ENDINGS = {"elf": ".elf", "bzimage": ".bzimage", "image": ".image", "iso": ".iso", "raw": ".img", "qcow2": ".qcow2"}
# Where the loader brings the command line along, there is no place for one in the file.
WITHOUT_COMMAND_LINE = {"elf": "an ELF file"}
# In the image: where a command line goes for a UEFI that gives none (boot/uefi/stub.hpp).
MARKER, MARKER_BYTES, BUILT_IN_BYTES = b"ringside built-in command line", 32, 992
SECTOR = 512
# grub-mkrescue's own start-up file names every module for partition tables.
ISO_MODULES = ("part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_gpt part_msdos part_plan part_sun part_sunpc iso9660 fat "
               "multiboot2 linux normal configfile echo serial terminal")


def add_arguments(parser):
    parser.add_argument("program", nargs="?", default="appliance", metavar="PROGRAM",
                        help="a folder made by 'ringside new', or the name of an image or example (default: appliance)")
    parser.add_argument("--format", choices=ENDINGS, required=True, help="iso, raw and qcow2 boot by themselves, the others need a loader")
    parser.add_argument("--arch", choices=packages.IMAGE_PACKAGES, default="x86_64", help="the processor (default: x86_64)")
    parser.add_argument("-o", "--output", metavar="FILE", help="what to write (default: PROGRAM with the format's ending, here)")
    parser.add_argument("--append", type=shell_words, default=[], metavar="'WORDS'",
                        help="the kernel's command line, such as 'log=debug -- argument' (not elf; bzimage, image: if UEFI has none)")
    parser.add_argument("--json", type=json_file, metavar="FILE", help="also write the image's size there, as 'bench' does")


def bzimage_tool():
    """toolchain/bzimage.py, which also stands for itself."""
    spec = importlib.util.spec_from_file_location("bzimage", TOOLCHAIN / "bzimage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stripped(elf, arch):
    """The image without what only a debugger reads, which is nine tenths of it."""
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        target = Path(folder) / "image"
        boot_disk.run(f"{cross.PROCESSORS[arch].gnu}-strip", "--strip-all", "-o", target, elf)
        return target.read_bytes()


def with_words(content, words):
    """The content with the command line in its place."""
    text = " ".join(f'"{word}"' if any(letter in word for letter in " \t") else word for word in words).encode()
    if len(text) >= BUILT_IN_BYTES:
        raise UserError(f"--append: {len(text)} bytes, and there is room for {BUILT_IN_BYTES - 1}", 2)
    if content.count(MARKER) != 1:
        raise UserError("this image has no place for a command line")
    at = content.index(MARKER) + MARKER_BYTES
    return content[:at] + text + content[at + len(text):]


def make_bzimage(path, elf, words):
    tool = bzimage_tool()
    try:
        content = tool.bzimage(elf)
    except tool.BadImage as error:
        raise UserError(f"no bzImage can be made: {error}") from None
    path.write_bytes(with_words(content, words))


def application(elf, words):
    """aarch64's Image: the segments as they lie in memory, with Linux's and UEFI's headers in front."""
    tool = bzimage_tool()
    try:
        _, content, _ = tool.flat(elf)
    except tool.BadImage as error:
        raise UserError(f"no Image can be made: {error}") from None
    return with_words(content + bytes(-len(content) % SECTOR), words)


def make_iso(path, elf, words):
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        grub = Path(folder) / "boot" / "grub"
        grub.mkdir(parents=True)
        (grub / "grub.cfg").write_text(boot_disk.grub_config("/boot/ringside.elf", words), encoding="utf-8")
        (grub.parent / "ringside.elf").write_bytes(elf)
        # Without the modules, fonts and translations that a rescue disk has, the CD has a third of the size.
        boot_disk.run("grub-mkrescue", f"--install-modules={ISO_MODULES}", "--fonts=", "--locales=", "--themes=", "-o", path, folder,
                      "--", "-volid", "RINGSIDE")


def compressed(make_raw):
    """The maker of a qcow2 file out of that of a raw disk."""
    def make_qcow2(path, elf, words):
        with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
            raw = Path(folder) / "raw"
            make_raw(raw, elf, words)
            boot_disk.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, path)
    return make_qcow2


def make_aarch64_disk(path, elf, words):
    boot_disk.make_for_uefi(path, application(elf, words), "BOOTAA64.EFI")


def make_elf(path, elf, _):
    path.write_bytes(elf)


# What there is for each processor; packages.py says what it takes.
MAKERS = {
    "x86_64": {"elf": make_elf, "bzimage": make_bzimage, "iso": make_iso, "raw": boot_disk.make, "qcow2": compressed(boot_disk.make)},
    "aarch64": {"elf": make_elf, "image": lambda path, elf, words: path.write_bytes(application(elf, words)), "raw": make_aarch64_disk,
                "qcow2": compressed(make_aarch64_disk)},
    "riscv64": {"elf": make_elf},
    "armv7": {"elf": make_elf},
}


def make(kind, elf_path, path, words=(), arch="x86_64"):
    """Writes the file, all or nothing. elf_path: an image as it was built."""
    path = Path(path).absolute()
    elf = stripped(elf_path, arch)
    with tempfile.TemporaryDirectory(prefix=".ringside-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        MAKERS[arch][kind](made, elf, list(words))
        os.replace(made, path)
    return path


def output_path(options):
    path = Path(options.output or Path(options.program).resolve().name + ENDINGS[options.format])
    if path.is_dir():
        raise UserError(f"'{path}' is a folder", 2)
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no folder '{path.absolute().parent}'", 2)
    return path


def main(options):
    path = output_path(options)
    if options.format not in MAKERS[options.arch]:
        raise UserError(f"--format {options.format}: for {options.arch} there is only {', '.join(MAKERS[options.arch])}", 2)
    if options.append and options.format in WITHOUT_COMMAND_LINE:
        raise UserError(f"--append: the command line of {WITHOUT_COMMAND_LINE[options.format]} is its loader's to give", 2)
    boot_disk.grub_config("", options.append)
    setup.ensure(architectures=[options.arch])
    packages.ensure(packages.IMAGE_PACKAGES[options.arch][options.format])
    elf = app.image(options.program, options.arch)
    make(options.format, elf, path, options.append, options.arch)
    size = path.stat().st_size
    say(f"made {path}: {size} bytes")
    if options.json:
        results.write([results.result(f"image.{options.arch}.{options.format}.{elf.stem}.bytes", size, "bytes")], options.json)
    return 0
