"""Many named checks on one guest: booting once for each would take minutes.

    with Checks("machine q35", seconds=240) as checks:
        with guest:
            checks.guest = guest                        # its console is shown when something fails
            checks.run("disk.hash", disk_hash, guest)   # "ok disk.hash (1.2 s)", or "FAIL disk.hash: why", and the rest goes on
            checks.skip("console.resize", "QEMU 7.2 cannot do it")
    sys.exit(checks.status())
"""

import signal
import sys
import time
import traceback


class Failure(AssertionError):
    """A check's own words for what is wrong."""


class OutOfTime(BaseException):
    """All checks together took too long."""


def need(condition, why):
    if not condition:
        raise Failure(why)


def equal(seen, expected, what):
    if seen != expected:
        raise Failure(f"{what}: {seen!r} instead of {expected!r}")


def eventually(seconds, look, what):
    """Asks again until `look` gives something true, which is returned. Nothing here depends on how long it takes, except the patience.
    `what` says what is waited for; a function is asked when it did not come."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise Failure(f"{what() if callable(what) else what}: not within {seconds} s")
        time.sleep(0.05)


class Checks:
    def __init__(self, title, seconds):
        """`seconds` for all of it: then the program ends itself, in good order, before somebody kills it."""
        self.title = title
        self.seconds = seconds
        self.guest = None
        self.passed = []
        self.failed = []
        self.skipped = []

    def __enter__(self):
        self._previous = signal.signal(signal.SIGALRM, self._expired)
        signal.alarm(self.seconds)
        return self

    def __exit__(self, kind, value, trace):
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self._previous)
        if kind is not None and issubclass(kind, (Exception, OutOfTime)):
            if not issubclass(kind, AssertionError):
                traceback.print_exception(kind, value, trace)
            self._fail("the run", f"{kind.__name__}: {value}")
            return True
        return False

    def run(self, name, function, *arguments, **options):
        """Returns what the check returned, or None if it failed."""
        start = time.monotonic()
        try:
            result = function(*arguments, **options)
        except OutOfTime:
            raise
        except AssertionError as error:
            self._fail(name, error)
            return None
        except Exception as error:
            traceback.print_exc()
            self._fail(name, f"{type(error).__name__}: {error}")
            return None
        self.passed.append(name)
        print(f"ok {name} ({time.monotonic() - start:.1f} s)", flush=True)
        return True if result is None else result

    def skip(self, name, why):
        self.skipped.append(name)
        print(f"SKIP {name}: {why}", flush=True)

    def _fail(self, name, why):
        self.failed.append(name)
        print(f"FAIL {name}: {why}", flush=True)
        if self.guest is not None and len(self.failed) == 1:
            # Once, at the first failure: what follows is often its consequence.
            self.guest.show()
            sys.stderr.flush()

    def _expired(self, number, frame):
        raise OutOfTime(f"more than {self.seconds} s")

    def status(self):
        if self.failed and self.guest is not None and len(self.failed) > 1:
            print(f"failed: {', '.join(self.failed)}")
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        print(f"{self.title}: {len(self.passed)} passed, {len(self.failed)} failed{skipped}", flush=True)
        return 0 if self.passed and not self.failed else 1
