"""`ringside image`: a program as a file that other monitors, loaders and machines boot.

elf: for whoever speaks PVH or multiboot2 (QEMU -kernel, Firecracker, Cloud Hypervisor, GRUB). bzimage: for whoever loads Linux (QEMU -kernel,
GRUB `linux`, kexec). iso, raw, qcow2: a CD and disks with GRUB on them, for machines that only boot disks; each starts under BIOS and UEFI."""

import importlib.util
import os
import tempfile
from pathlib import Path

from . import app, boot_disk, packages, results, setup
from .arguments import shell_words
from .bench import json_file
from .messages import UserError, say
from .paths import TOOLCHAIN

ENDINGS = {"elf": ".elf", "bzimage": ".bzimage", "iso": ".iso", "raw": ".img", "qcow2": ".qcow2"}
# Where the loader brings the command line along, there is no place for one in the file.
WITHOUT_COMMAND_LINE = ("elf", "bzimage")
# grub-mkrescue's own start-up file names every module for partition tables.
ISO_MODULES = ("part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_gpt part_msdos part_plan part_sun part_sunpc iso9660 fat multiboot2 "
               "linux normal configfile echo serial terminal")


def add_arguments(parser):
    parser.add_argument("program", nargs="?", default="appliance", metavar="PROGRAM",
                        help="a folder made by 'ringside new', or the name of an image or example (default: appliance)")
    parser.add_argument("--format", choices=ENDINGS, required=True, help="iso, raw and qcow2 boot by themselves, the others need a loader")
    parser.add_argument("-o", "--output", metavar="FILE", help="what to write (default: PROGRAM with the format's ending, here)")
    parser.add_argument("--append", type=shell_words, default=[], metavar="'WORDS'",
                        help="the kernel's command line, such as 'log=debug -- argument' (iso, raw, qcow2)")
    parser.add_argument("--json", type=json_file, metavar="FILE", help="also write the image's size there, as 'bench' does")


def bzimage_tool():
    """toolchain/bzimage.py, which also stands for itself."""
    spec = importlib.util.spec_from_file_location("bzimage", TOOLCHAIN / "bzimage.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stripped(elf):
    """The image without what only a debugger reads, which is nine tenths of it."""
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        target = Path(folder) / "image"
        boot_disk.run("x86_64-linux-gnu-strip", "--strip-all", "-o", target, elf)
        return target.read_bytes()


def make_bzimage(path, elf, _):
    tool = bzimage_tool()
    try:
        path.write_bytes(tool.bzimage(elf))
    except tool.BadImage as error:
        raise UserError(f"no bzImage can be made: {error}") from None


def make_iso(path, elf, words):
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        grub = Path(folder) / "boot" / "grub"
        grub.mkdir(parents=True)
        (grub / "grub.cfg").write_text(boot_disk.grub_config("/boot/ringside.elf", words), encoding="utf-8")
        (grub.parent / "ringside.elf").write_bytes(elf)
        # Without the modules, fonts and translations that a rescue disk has, the CD has a third of the size.
        boot_disk.run("grub-mkrescue", f"--install-modules={ISO_MODULES}", "--fonts=", "--locales=", "--themes=", "-o", path, folder,
                      "--", "-volid", "RINGSIDE")


def make_qcow2(path, elf, words):
    with tempfile.TemporaryDirectory(prefix="ringside-") as folder:
        raw = Path(folder) / "raw"
        boot_disk.make(raw, elf, words)
        boot_disk.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, path)


MAKERS = {"elf": lambda path, elf, _: path.write_bytes(elf), "bzimage": make_bzimage, "iso": make_iso, "raw": boot_disk.make, "qcow2": make_qcow2}


def make(kind, elf_path, path, words=()):
    """Writes the file, all or nothing. elf_path: an image as it was built."""
    path = Path(path).absolute()
    elf = stripped(elf_path)
    with tempfile.TemporaryDirectory(prefix=".ringside-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        MAKERS[kind](made, elf, list(words))
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
    if options.append and options.format in WITHOUT_COMMAND_LINE:
        raise UserError(f"--append: the command line of {'an ELF file' if options.format == 'elf' else 'a bzImage'} is its loader's to give", 2)
    boot_disk.grub_config("", options.append)
    setup.ensure()
    packages.ensure(packages.IMAGE_PACKAGES[options.format])
    elf = app.image(options.program)
    make(options.format, elf, path, options.append)
    size = path.stat().st_size
    say(f"made {path}: {size} bytes")
    if options.json:
        results.write([results.result(f"image.{options.format}.{elf.stem}.bytes", size, "bytes")], options.json)
    return 0
