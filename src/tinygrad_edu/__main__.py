"""`python -m tinygrad_edu`: the command line, without the need for a script on the path."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
