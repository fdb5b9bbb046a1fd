"""The command `septet`: finds the subcommand, and turns what goes wrong into one message and an exit code.

Exit codes: 0 well, 1 a check failed or Septet has a fault, 2 what was asked for cannot be done, 130 interrupted.
"""

import contextlib
import errno
import importlib
import os
import signal
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Protocol

from septet.cli.parser import Parser
from septet.cli.standard_streams import discard_output, open_closed_streams, output_fault
from septet.cli.terminal import complain, indented, show
from septet.errors import SeptetError
from septet.server.prompt_end import INTERRUPTED, TERMINATED, Interruption, handling, ignore_requests, prompt_end

# One module of `septet.cli` per command, imported when it is chosen: `septet --version` needs no numpy.
COMMANDS = {
    "serve": "serve a model over HTTP",
    "worker": "answer jobs that a server has accepted",
    "jobs": "list, show, submit again and forget jobs",
    "release": "serve a new version of a model in a server that runs",
    "inspect": "show what a model or package is, without running code from it",
    "check": "prove that a model or package is whole, runs and is fresh",
    "predict": "answer rows of a file, without a server",
    "batch": "answer every row of a table, as another table",
    "runs": "list, show and forget runs over tables",
    "pack": "make a package from a model file",
    "key": "make an API key for a caller",
    "render": "write the configuration of a balancer in front of several servers",
    "bench": "measure how fast a model is served, and up to which rate",
}
#: The commands that run until a signal stops them.
SERVING = ("serve", "worker")
#: What the machine has too little of, and what to do.
SHORTAGES = {
    errno.EBADF: "standard input or output is closed",
    errno.EMFILE: "too many files are open; allow more with `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENOSPC: "no space is left on the device",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EROFS: "the file system is read-only",
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
    open_closed_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    interrupt = Interruption(INTERRUPTED)
    if chosen in SERVING:
        # A server has a plan for signals, and follows it once its workers run. Until then nothing is left to finish.
        ignore_requests()
        terminate = Interruption(0)
        with handling({signal.SIGINT: interrupt, signal.SIGTERM: terminate}):
            return _answered(arguments, chosen, (interrupt, terminate))
    with handling({signal.SIGINT: interrupt}), prompt_end({signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}):
        return _answered(arguments, chosen, (interrupt,))


def _answered(arguments: Sequence[str], chosen: str | None, interruptions: Sequence[Interruption]) -> int:
    try:
        code = _run(_parsed(arguments, chosen), interruptions)
    except SystemExit as exc:
        code = int(exc.code or 0)
    except KeyboardInterrupt:  # of somebody who has a handler of their own
        code = INTERRUPTED
    except OSError as exc:  # help, or what is wrong with the command line, cannot be told
        code = 1 if isinstance(exc, BrokenPipeError) else 2
    fault = output_fault()
    if code == 0 and isinstance(fault, BrokenPipeError):
        code = 1
    elif code == 0 and fault is not None:
        _complain(f"standard output cannot be written: {fault.strerror}")
        code = 2
    discard_output()
    return next((each.code for each in interruptions if each.arrived), code)


def _parsed(arguments: Sequence[str], chosen: str | None) -> Namespace:
    parser = Parser(
        prog="septet",
        description="Serve one trained model, from one command.",
        epilog="example: septet serve iris.onnx",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version of Septet, and stop")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    # To make a parser takes a millisecond, and the others are shown only where none is chosen.
    shown = {chosen: ""} if chosen in COMMANDS and arguments[0] == chosen else COMMANDS
    for name, summary in shown.items():
        sub = commands.add_parser(name, help=summary)
        if name == chosen:
            _configure(sub, name)
    return parser.parse_args(arguments)


def _configure(parser: Parser, name: str) -> None:
    module: Command = importlib.import_module(f"septet.cli.{name}")
    parser.usage = f"septet {name} [options] {module.ARGUMENTS}"
    parser.description = module.DESCRIPTION
    parser.epilog = module.EXAMPLE
    module.configure(parser)
    parser.set_defaults(run=module.run)


def _run(args: Namespace, interruptions: Sequence[Interruption]) -> int:
    try:
        code = int(args.run(args))
    except SeptetError as exc:
        _trace(args)
        _complain("\n".join([exc.message, *_details(exc)]))
        return 2
    except BrokenPipeError:
        # The reader has gone (`septet predict ... | head`): nothing more can be written, at exit neither.
        return 1
    except Exception as exc:  # noqa: BLE001 - the outermost handler: any other error is a fault, and reported as one
        if any(each.arrived for each in interruptions):
            # A library that was being imported has made an error of it.
            return 1
        shortage = _shortage(exc)
        hint = None if _trace(args) or shortage else "--log-level debug shows the traceback"
        _complain(shortage or f"{type(exc).__name__}: {exc}", hint)
        return 2 if shortage else 1
    return code


def _shortage(exc: Exception) -> str | None:
    """What the system lacks, rather than what Septet does wrong."""
    if isinstance(exc, MemoryError):
        return "there is not enough memory"
    if not isinstance(exc, OSError):
        # A library that is not found for want of a descriptor, and the like.
        return SHORTAGES[errno.EMFILE] if os.strerror(errno.EMFILE) in str(exc) else None
    if exc.errno == errno.ENOENT and exc.filename is None and "temporary" in str(exc.strerror):
        return "no folder for temporary files can be written to; name one in TMPDIR"
    if exc.errno not in SHORTAGES:
        return None
    where = "" if exc.filename is None else f"{exc.filename}: "
    return f"{where}{SHORTAGES[exc.errno]}"


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


def _complain(message: str, hint: str | None = None) -> None:
    # Where nothing can be said, the exit code says it.
    with contextlib.suppress(OSError):
        complain(message, hint)


if __name__ == "__main__":
    sys.exit(main())
