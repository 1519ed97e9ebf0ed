"""What the QEMU tests share. A guest itself is ringside.guest.Guest (toolchain/)."""
