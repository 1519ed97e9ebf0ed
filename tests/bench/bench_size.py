"""Bytes of text of libvirtio, the drivers and a minimal firmware, -Os, for every processor (`ringside size` shows more)."""

from ringside import cross, size

PRESETS = ()
PACKAGES = cross.PACKAGES


def main(_options):
    return 0, size.as_results({(arch, "-Os"): size.parts(arch, "-Os", size.built(arch, "-Os")) for arch in cross.PROCESSORS})
