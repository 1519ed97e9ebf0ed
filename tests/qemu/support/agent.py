"""Talks to the self-test image's agent (boot/images/selftest/agent.hpp) over the guest's console.

    agent = Agent(guest)
    agent.call("flush", 0)                          # waits; an error of the guest's is a Failure
    first = agent.call("net")["address"]
    disks = agent.items("disks")                    # a list of dicts
    pending = agent.start("scribble", 1, 7, 100, 8) # several at once
    agent.finish(pending, timeout=60)
"""

import re

from .checks import Failure, need


class Agent:
    def __init__(self, guest, timeout=60):
        self._guest = guest
        self._next = 0
        self._timeout = timeout
        guest.expect(r"agent ready", timeout)
        self._start = len(guest.console_text())

    def start(self, verb, *arguments):
        self._next += 1
        self._guest.send(" ".join([str(self._next), verb, *map(str, arguments)]) + "\n")
        return self._next

    def finish(self, identifier, timeout=None):
        """(values, items) of a command that was started."""
        # The console's output is looked at from the agent's first line on, since answers may come in any order.
        pattern = re.compile(rf"(?m)^@{identifier} (ok|error)(.*?)\r?\n")
        found = self._guest.wait_for(lambda text: pattern.search(text), f"answer {identifier}", timeout or self._timeout)
        if found[1] == "error":
            raise Failure(f"the guest says: {found[2].strip()}")
        text = self._guest.console_text()
        items = [_values(m[1]) for m in re.finditer(rf"(?m)^@{identifier} item(.*?)\r?$", text)]
        return _values(found[2]), items

    def call(self, verb, *arguments, timeout=None):
        return self.finish(self.start(verb, *arguments), timeout)[0]

    def items(self, verb, *arguments, timeout=None):
        return self.finish(self.start(verb, *arguments), timeout)[1]

    def no_word_overlooked(self):
        """Words that were set without a wake-up. One may be a wake-up that was only late: its processor lost the host's between the two, and
        the other one's timer went off just then. Who forgets a wake-up forgets many."""
        count = self.call("tasks")["overlooked"]
        need(count <= 1, f"{count} words were set without a wake-up")

    def send_only(self, verb, *arguments):
        """For a command after which there is nobody to answer."""
        self.start(verb, *arguments)


def _values(text):
    values = {}
    for word in text.split():
        key, separator, value = word.partition("=")
        need(separator, f"the guest's answer is garbled: {text!r}")
        values[key] = int(value) if re.fullmatch(r"[0-9]+", value) else value
    return values
