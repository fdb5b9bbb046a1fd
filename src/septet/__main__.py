"""`python -m septet`: the same as the command `septet`."""

import sys

from septet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
