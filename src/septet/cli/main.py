"""The command `septet`: finds the subcommand, and turns what goes wrong into one message and an exit code.

Exit codes: 0 well, 1 a check failed or Septet has a fault, 2 what was asked for cannot be done, 130 interrupted.
"""

import importlib
import os
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Protocol

from septet.cli.parser import Parser
from septet.cli.terminal import complain, indented, show
from septet.errors import SeptetError

# One module of `septet.cli` per command, imported when it is chosen: `septet --version` needs no numpy.
COMMANDS = {
    "serve": "serve a model over HTTP",
    "release": "serve a new version of a model in a server that runs",
    "inspect": "show what a model or package is, without running code from it",
    "check": "prove that a model or package is whole, runs and is fresh",
    "predict": "answer rows of a file, without a server",
    "pack": "make a package from a model file",
    "render": "write the configuration of a balancer in front of several servers",
    "bench": "measure how fast a model is served, and up to which rate",
}


class Command(Protocol):
    """What each command's module has."""

    ARGUMENTS: str
    DESCRIPTION: str
    EXAMPLE: str

    @property
    def configure(self) -> Callable[[Parser], None]:
        """Add the command's arguments."""

    @property
    def run(self) -> Callable[[Namespace], int]:
        """Do it, and return the exit code."""


class _Version(Action):
    """Prints the version; the installed metadata takes 30 ms to read, so only where it is asked for."""

    def __call__(self, parser: ArgumentParser, *_: object) -> None:
        from importlib import metadata

        show((f"septet {metadata.version('septet')}",))
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = Parser(
        prog="septet",
        description="Serve one trained model, from one command.",
        epilog="example: septet serve iris.onnx",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version of Septet, and stop")
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary)
        if name == chosen:
            _configure(sub, name)
    try:
        args = parser.parse_args(arguments)
    except SystemExit as exc:
        return int(exc.code or 0)
    return _run(args)


def _configure(parser: Parser, name: str) -> None:
    module: Command = importlib.import_module(f"septet.cli.{name}")
    parser.usage = f"septet {name} [options] {module.ARGUMENTS}"
    parser.description = module.DESCRIPTION
    parser.epilog = module.EXAMPLE
    module.configure(parser)
    parser.set_defaults(run=module.run)


def _run(args: Namespace) -> int:
    try:
        code = int(args.run(args))
        sys.stdout.flush()
    except SeptetError as exc:
        _trace(args)
        complain("\n".join([exc.message, *_details(exc)]))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has gone (`septet predict ... | head`): nothing more can be written, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as exc:  # noqa: BLE001 - the outermost handler: any other error is a fault, and reported as one
        hint = None if _trace(args) else "--log-level debug shows the traceback"
        complain(f"{type(exc).__name__}: {exc}", hint)
        return 1
    return code


def _details(exc: SeptetError) -> list[str]:
    """Name every problem where there are several; a single one is in the message."""
    if len(exc.problems) == 1:
        return []
    lines = []
    for problem in exc.problems:
        row = [] if problem.row is None else [f"row {problem.row}"]
        column = [] if problem.column is None else [f"column {problem.column!r}"]
        place = ", ".join(row + column) or "the data"
        lines.append(f"  {place}: expected {problem.expected}, received {problem.received}")
    return lines


def _trace(args: Namespace) -> bool:
    """Print the traceback where debugging is asked for, and say whether it is."""
    # Read from flag and environment alone: the settings themselves may be what failed.
    level = getattr(args, "log_level", None) or os.environ.get("SEPTET_LOG_LEVEL")
    if level != "debug":
        return False
    import traceback

    show(indented(traceback.format_exc().rstrip()), sys.stderr)
    return True


if __name__ == "__main__":
    sys.exit(main())
