"""Types for arguments: what is wrong with a value is said in one line, status 2."""

import argparse
import ipaddress
import os
import re
import shlex


class _Columns(argparse.HelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=32, width=120)


class Parser(argparse.ArgumentParser):
    """argparse prints the whole usage before an error; one line is easier to read, and --help is there for the rest."""

    def __init__(self, *arguments, **options):
        # An abbreviation that works today would change its meaning with the next option.
        super().__init__(*arguments, allow_abbrev=False, formatter_class=_Columns, **options)

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def integer(least, most):
    def convert(text):
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not between {least} and {most}")
        return value
    return convert


def existing_file(text):
    if not os.path.exists(text):
        raise argparse.ArgumentTypeError(f"there is no file '{text}'")
    if os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"'{text}' is a folder, not a disk image")
    if not os.access(text, os.R_OK):
        raise argparse.ArgumentTypeError(f"'{text}' cannot be read")
    if os.path.getsize(text) % 512:
        raise argparse.ArgumentTypeError(f"the size of '{text}' is not a multiple of 512 bytes, so it is no disk image")
    return os.path.abspath(text)


def shell_words(text):
    try:
        return shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be split into words: {str(error).lower()}") from None


def static_address(text):
    """A.B.C.D/BITS,GATEWAY[,DNS] -> (address, text): checked here, since the guest can only complain once it has booted."""
    parts = text.split(",")
    try:
        # No netmask, which ipaddress would take, too: the guest does not.
        if not re.fullmatch(r"[0-9.]+/[0-9]{1,2}", parts[0]) or not 2 <= len(parts) <= 3:
            raise ValueError
        interface = ipaddress.IPv4Interface(parts[0])
        others = [ipaddress.IPv4Address(part) for part in parts[1:]]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not of the form A.B.C.D/BITS,GATEWAY[,DNS]") from None
    if others[0] not in interface.network:
        raise argparse.ArgumentTypeError(f"the gateway {others[0]} is not in the network {interface.network}")
    return str(interface.ip), text


def joined(words, options):
    """'--qemu-args', '-snapshot' -> '--qemu-args=-snapshot': argparse takes a value with a leading dash for another option."""
    result = []
    words = iter(words)
    for word in words:
        value = next(words, None) if word in options else None
        result.append(word if value is None else f"{word}={value}")
    return result
