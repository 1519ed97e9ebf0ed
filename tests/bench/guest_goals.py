"""What `bench guest` reports: names, units and goals. The figures are for one operation, all in: submit, kick, interrupt, completion, callback."""

# name: (unit, goal, which measurement of the image, what of it)
RESULTS = {
    "guest.blk.read4k.qd1_sleep.instructions": ("instructions", 350, "qd1_sleep", "instructions"),
    "guest.blk.read4k.qd1_sleep.kicks": ("kicks", 1, "qd1_sleep", "kicks"),
    "guest.blk.read4k.qd1_sleep.interrupts": ("interrupts", 1, "qd1_sleep", "interrupts"),
    "guest.blk.read4k.qd1_poll.instructions": ("instructions", 170, "qd1_poll", "instructions"),
    "guest.blk.read4k.qd1_poll.kicks": ("kicks", 1, "qd1_poll", "kicks"),
    "guest.blk.read4k.qd1_poll.interrupts": ("interrupts", 0, "qd1_poll", "interrupts"),
    "guest.blk.read4k.qd32.instructions": ("instructions", 120, "qd32", "instructions"),
    "guest.blk.read4k.qd32.kicks": ("kicks", 1 / 32, "qd32", "kicks"),
    "guest.blk.read4k.qd32.interrupts": ("interrupts", 1 / 32, "qd32", "interrupts"),
    "guest.blk.read1m.instructions": ("instructions", 250, "read1m", "instructions"),
    "guest.net.tx60.instructions": ("instructions", 80, "tx60", "instructions"),
    "guest.net.tx60.kicks": ("kicks", 1 / 32, "tx60", "kicks"),
    "guest.net.tx60.interrupts": ("interrupts", 0, "tx60", "interrupts"),
    "guest.net.rx60.instructions": ("instructions", 95, "rx60", "instructions"),
    "guest.net.rx60.kicks": ("kicks", 1 / 32, "rx60", "kicks"),
    "guest.net.rx60.interrupts": ("interrupts", 1 / 32, "rx60", "interrupts"),
    "guest.console.1mib.instructions_per_byte": ("instructions", None, "1mib", "instructions"),
    "guest.console.1mib.kicks": ("kicks", 4, "1mib", "kicks"),
    "guest.console.1k.instructions_per_byte": ("instructions", 2, "1k", "instructions"),
    "guest.console.1k.kicks": ("kicks", None, "1k", "kicks"),
    "guest.console.64b.instructions_per_byte": ("instructions", 8, "64b", "instructions"),
    "guest.console.64b.kicks": ("kicks", None, "64b", "kicks"),
}
BOOT = ("guest.boot.instructions", "instructions", 100_000)
# Console figures are for a megabyte: kicks in all, instructions for a byte.
MEBIBYTE = 1 << 20


def value(name, figures):
    """What a result says of the figures of its measurement."""
    what = RESULTS[name][3]
    number = getattr(figures, what)
    if name.startswith("guest.console.") and what == "kicks":
        return round(number * MEBIBYTE)
    return round(number, 4)
