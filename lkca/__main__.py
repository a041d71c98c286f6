"""`python -m lkca` is the command `lkca`."""

import sys

from lkca.cli import main

if __name__ == "__main__":
    sys.exit(main())
