"""The self-test image's test data (boot/images/selftest/pattern.hpp), computed on this side: word i with key k is (k << 40) + i."""

import array
import sys

assert sys.byteorder == "little"
_MASK = (1 << 64) - 1


def stream(key, length, position=0):
    """`length` bytes of the stream from `position` on."""
    first, last = position // 8, -(-(position + length) // 8)
    base = (key << 40) & _MASK
    words = array.array("Q", range(base + first, base + last))
    return words.tobytes()[position - first * 8:][:length]


class Chooser:
    """splitmix64"""

    def __init__(self, seed):
        self._state = seed

    def next(self):
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, limit):
        return self.next() % limit


def scribble(image, seed, strokes, longest=96):
    """What the agent's `scribble` does to a disk, done to a bytearray."""
    choose = Chooser(seed)
    sectors = len(image) // 512
    for _ in range(strokes):
        length = 1 + choose.below(longest)
        sector = choose.below(sectors - length + 1)
        image[sector * 512:(sector + length) * 512] = stream(seed, length * 512, sector * 512)


def difference(seen, expected):
    """Where two byte strings differ first, for a message; empty if nowhere."""
    if seen == expected:
        return ""
    if len(seen) != len(expected):
        return f"{len(seen)} bytes instead of {len(expected)}"
    step = 1 << 16
    start = next(at for at in range(0, len(seen), step) if seen[at:at + step] != expected[at:at + step])
    at = next(i for i in range(start, len(seen)) if seen[i] != expected[i])
    return f"byte {at} of {len(seen)}: {seen[at:at + 8].hex()} instead of {expected[at:at + 8].hex()}"
