"""`python -m septet`: the same as the command `septet`."""

import sys

if __name__ == "__main__":
    try:
        from septet.cli.main import main
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(main())
