"""The commands of `ringside`, one idea a file; cli.py lists them, machine.py and guest.py also serve the tests that boot QEMU."""
