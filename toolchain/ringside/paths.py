"""Where things are: the repository, its build folders, the cache that outlives them."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLCHAIN = ROOT / "toolchain"
BUILD = ROOT / "build"


def cache_folder():
    """The same rule as in toolchain/dependencies.cmake."""
    if os.environ.get("RINGSIDE_CACHE"):
        return Path(os.environ["RINGSIDE_CACHE"]).absolute()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]).absolute() / "ringside"
    return Path.home() / ".cache" / "ringside"


def build_folder(preset):
    return BUILD / preset
