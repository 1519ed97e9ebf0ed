#!/usr/bin/env python3
"""A picture of what `ringside bench --json FILE` wrote: each figure against its goal and its peer, on a logarithmic axis.

    python3 tests/bench/plot.py docs/benchmark.json docs/benchmark.svg

Legible on white and on black: the file itself asks which of the two the reader has.
"""

import json
import math
import sys
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, ROW, BAR = 900, 300, 90, 34, 9
TOP, BOTTOM = 74, 40
TITLES = {
    "guest.blk.read4k.qd1_sleep.instructions": "read 4 KiB, one at a time, asleep",
    "guest.blk.read4k.qd1_poll.instructions": "read 4 KiB, one at a time, polled",
    "guest.blk.read4k.qd32.instructions": "read 4 KiB, 32 in flight",
    "guest.blk.read1m.instructions": "read 1 MiB",
    "guest.net.tx60.instructions": "send 60 bytes, batches of 32",
    "guest.net.rx60.instructions": "receive 60 bytes, batches of 32",
    "guest.console.1k.instructions_per_byte": "console, 1 KiB writes, per byte",
    "guest.console.64b.instructions_per_byte": "console, 64 B writes, per byte",
    "guest.boot.instructions": "start, with a disk and a network card",
}
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f } .small { font-size: 11px; fill: #57606a }
  .grid { stroke: #d0d7de } .value { fill: #0969da } .peer { fill: #8c959f } .goal { stroke: #cf222e; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d } .value { fill: #4493f8 } .peer { fill: #656c76 }
    .goal { stroke: #ff7b72 }
  }
"""


def short(value):
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if value >= size:
            scaled = value / (1e3 if unit == "k" else size)
            return f"{scaled:.0f} {unit}" if scaled >= 10 else f"{scaled:.1f} {unit}"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def draw(results):
    rows = [entry for name in TITLES for entry in results if entry["name"] == name]
    if not rows:
        raise SystemExit("none of the results has a place in the picture")
    peer = next((entry["peer"] for entry in rows if entry["peer"]), None)
    numbers = [value for entry in rows for value in (entry["value"], entry["goal"], entry["peer_value"]) if value]
    low, high = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    span = WIDTH - LEFT - RIGHT

    def at(value):
        return LEFT + span * (math.log10(value) - low) / (high - low)

    height = TOP + ROW * len(rows) + BOTTOM
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
           "<title>Instructions of the guest per operation</title>", f"<style>{STYLE}</style>",
           '<text x="16" y="26" font-weight="600">Instructions of the guest per operation, everything counted (less is better)</text>']
    legend = [("value", "Ringside")] + ([("peer", peer)] if peer else [])
    x = LEFT
    for kind, text in legend:
        out.append(f'<rect class="{kind}" x="{x}" y="42" width="14" height="{BAR}"/><text class="small" x="{x + 20}" y="51">{escape(text)}</text>')
        x += 40 + 7 * len(text)
    out.append(f'<line class="goal" x1="{x + 4}" y1="40" x2="{x + 4}" y2="54"/><text class="small" x="{x + 14}" y="51">goal</text>')
    for power in range(low, high + 1):
        place = at(10 ** power)
        out.append(f'<line class="grid" x1="{place:.1f}" y1="{TOP - 8}" x2="{place:.1f}" y2="{height - BOTTOM + 4}"/>'
                   f'<text class="small" x="{place:.1f}" y="{height - BOTTOM + 20}" text-anchor="middle">{short(10.0 ** power)}</text>')
    for number, entry in enumerate(rows):
        y = TOP + ROW * number
        out.append(f'<text x="{LEFT - 12}" y="{y + 14}" text-anchor="end">{escape(TITLES[entry["name"]])}</text>')
        for kind, value, offset in (("value", entry["value"], 0), ("peer", entry["peer_value"], BAR + 2)):
            if value:
                end = at(value)
                # The goal's mark is not to cross the number.
                text = max(end, at(entry["goal"])) if kind == "value" and entry["goal"] and at(entry["goal"]) < end + 40 else end
                out.append(f'<rect class="{kind}" x="{LEFT}" y="{y + offset}" width="{max(1.0, end - LEFT):.1f}" height="{BAR}"/>'
                           f'<text class="small" x="{text + 6:.1f}" y="{y + offset + 9}">{short(value)}</text>')
        if entry["goal"]:
            place = at(entry["goal"])
            out.append(f'<line class="goal" x1="{place:.1f}" y1="{y - 3}" x2="{place:.1f}" y2="{y + BAR + 2}"/>')
    return "\n".join([*out, "</svg>"]) + "\n"


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    Path(sys.argv[2]).write_text(draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
