"""What the front door says: plain lines on standard error, progress with the time that is left, and errors of one line."""

import sys
import time


class UserError(Exception):
    """Something that the user can mend: shown as one line, without a traceback. Status 2 means wrong arguments."""

    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status


def say(text):
    print(f"ringside: {text}", file=sys.stderr, flush=True)


def seconds(value):
    value = max(0, round(value))
    return f"{value} s" if value < 90 else f"{value // 60} min {value % 60:02} s"


class Progress:
    """A long step: how much is done, and about how long is left. On a terminal one line that is rewritten, else a line now and then."""

    def __init__(self, title, expected=None, announce=True):
        """announce=False: a step that is usually over at once; nothing is said unless it takes long."""
        self.title = title
        self.start = time.monotonic()
        self.last = 0.0
        self.terminal = sys.stderr.isatty()
        self.announce = announce
        if announce:
            say(f"{title} ..." + (f" (about {seconds(expected)})" if expected else ""))

    def update(self, fraction):
        now = time.monotonic()
        elapsed = now - self.start
        if fraction < 0.02 or elapsed < 2 or now - (self.last or self.start) < (0.5 if self.terminal else 10):
            return
        self.last = now
        line = f"{self.title}: {min(99, int(fraction * 100))} %, about {seconds(elapsed * (1 - fraction) / fraction)} left"
        if self.terminal:
            print(f"\rringside: {line}\033[K", end="", file=sys.stderr, flush=True)
        else:
            say(line)

    def done(self):
        if self.terminal and self.last:
            print("\r\033[K", end="", file=sys.stderr)
        if not self.announce and not self.last:
            return
        say(f"{self.title}: done in {seconds(time.monotonic() - self.start)}")
