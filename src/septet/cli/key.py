"""`septet key`: make an API key."""

import hashlib
import re
import secrets
import sys
from argparse import Namespace

from septet.cli.parser import Parser
from septet.cli.terminal import show
from septet.errors import Invalid

ARGUMENTS = "NAME"
DESCRIPTION = """\
Make an API key for a caller. Standard output has the lines for the key file (--api-keys-file of `septet serve`), which
hold the key's digest alone; standard error has the key, once: nobody can find it again."""
EXAMPLE = """\
examples:
  septet key shop >> keys.toml
  septet key shop --requests-per-second 100 --in-flight 8 >> keys.toml"""

KEY_BYTES = 32
# As the key file has it.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MOST_RATE, _MOST_IN_FLIGHT = 1e9, 1_000_000


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    parser.add_argument("name", metavar="NAME", help="who asks with it: the log and the metrics name it")
    parser.add_argument("--requests-per-second", type=float, metavar="N", help="most requests a second (default: any)")
    parser.add_argument("--in-flight", type=int, metavar="N", help="most requests at once (default: any)")


def run(args: Namespace) -> int:
    """Make it.

    Raises:
        Invalid: the name or a limit cannot be.
    """
    if _NAME.fullmatch(args.name) is None:
        raise Invalid("NAME must be up to 64 letters, digits, dots, dashes and underscores, the first no sign.")
    rate, in_flight = args.requests_per_second, args.in_flight
    if rate is not None and not 0 < rate <= _MOST_RATE:
        raise Invalid(f"--requests-per-second must be above 0, at most {_MOST_RATE:g}.")
    if in_flight is not None and not 1 <= in_flight <= _MOST_IN_FLIGHT:
        raise Invalid(f"--in-flight must be from 1 to {_MOST_IN_FLIGHT}.")
    key = f"septet_{secrets.token_urlsafe(KEY_BYTES)}"
    lines = ["[[keys]]", f'name = "{args.name}"', f'sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"']
    if rate is not None:
        lines.append(f"requests_per_second = {rate!r}")
    if in_flight is not None:
        lines.append(f"in_flight = {in_flight}")
    show([*lines, ""])
    show([f"The key, shown this once: {key}"], sys.stderr)
    return 0
