"""Started by the script `ringside`: finds the package beside this file and hands over."""

import sys

from ringside.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
