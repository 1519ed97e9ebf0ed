"""The appliance's shell on the console.

    shell = Shell(guest)
    print(shell.run("disk"))             # what the command printed
"""

import re

PROMPT = "ringside> "


def plain(text):
    """Without the line editor's escape sequences and returns."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


class Shell:
    def __init__(self, guest, timeout=60):
        self._guest = guest
        self._timeout = timeout
        self._prompts = 0
        self._wait(timeout)

    def run(self, command, timeout=None):
        before = len(self._guest.console_text())
        self._guest.send(command + "\r")
        self._wait(timeout or self._timeout)
        text = plain(self._guest.console_text()[before:])
        # The line as it was typed, then what came of it, then the next prompt.
        return text.partition("\n")[2].rpartition(PROMPT)[0]

    def type(self, keys):
        self._guest.send(keys)

    def _wait(self, timeout):
        """For one more prompt at the start of a line. The editor draws it again with each key, behind a carriage return only."""
        self._prompts += 1
        self._guest.wait_for(lambda text: len(re.findall(r"(?:^|\n)\r?" + PROMPT, plain_lines(text))) >= self._prompts, f"prompt {self._prompts}", timeout)


def plain_lines(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
