"""What each processor's memory model promises: whether an instruction between two accesses (or one of the two) keeps them in order.

Kinds of accesses: R and W of memory, I and O of a device's registers. `platform`: for an observer that is no processor (ORDER_PLATFORM)."""

import re

DEVICE = {"I", "O"}
LOADS, STORES = {"R", "I"}, {"W", "O"}

# Which accesses each barrier of ARM holds back, and how far it reaches.
ARM = {"": (LOADS | STORES, LOADS | STORES), "ld": (LOADS, LOADS | STORES), "st": (STORES, STORES)}


def is_full_fence(arch, text):
    """Whether it orders an earlier store before a later load."""
    return orders(arch, text, "W", "R", False, first=False, second=False)


def orders(arch, text, before, after, platform, first, second):
    """text: an instruction; first, second: it is itself the access before, or the one after."""
    if arch == "x86_64":
        # Total store order: only a load can overtake an earlier store.
        if not (before in STORES and after in LOADS):
            return True
        if first and second:
            return False
        return bool(re.match(r"mfence|lock |xchg .*\(", text))
    if arch in ("aarch64", "armv7"):
        fence = re.match(r"d[ms]b ?(ish|osh|sy|nsh)?(ld|st)?\b", text.replace("dmb st", "dmb syst").replace("dmb ld", "dmb syld"))
        if fence:
            domain, (held, holding) = fence[1] or "sy", ARM[fence[2] or ""]
            wide = domain in ("osh", "sy")
            return before in held and after in holding and (wide or domain == "ish" and not platform and not DEVICE & {before, after})
        if arch == "aarch64" and not platform and not DEVICE & {before, after}:
            # Between processors only, and as part of the access itself.
            return bool(first and re.match(r"lda(p?r|xr)", text) or second and re.match(r"stl(r|xr)", text))
        return False
    if arch == "riscv64":
        fence = re.match(r"fence( (\w+),(\w+))?$", text)
        if not fence:
            return False
        held, holding = (fence[2] or "iorw").upper(), (fence[3] or "iorw").upper()
        # With ORDER_PLATFORM the ring's memory may itself be mapped as I/O.
        also = {"R": "I", "W": "O"} if platform else {}
        return all(kind in held for kind in (before, also.get(before, before))) and all(kind in holding for kind in (after, also.get(after, after)))
    raise ValueError(arch)
