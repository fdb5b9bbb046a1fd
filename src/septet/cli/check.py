"""`septet check`: proof that a model or package is whole, runs and is fresh."""

from argparse import Namespace
from pathlib import Path

import msgspec

from septet.cli.aligned_text import aligned
from septet.cli.flags import add_path, add_settings, settings
from septet.cli.parser import Parser
from septet.cli.progress import Progress
from septet.cli.terminal import indented, show, show_json
from septet.cli.verdicts import verdicts
from septet.errors import SettingsInvalid

ARGUMENTS = "PATH"
DESCRIPTION = """\
Check a model file or package as a server would before it serves: the digests of its files, the libraries, the labels,
whether it loads, whether it answers its golden rows as when it was packed, and the age of its training data.
With --native, the compiled model is also compared with the estimator that it was compiled from, beside every
threshold, category and jump, with the engine that is installed here.
Exit code 0 if all is well, 1 if a check fails or the data is old (--allow-stale accepts old data)."""
EXAMPLE = """\
examples:
  septet check iris/
  septet check iris/ --json --allow-stale
  septet check iris/ --native iris.joblib --data iris.csv --trust sha256:..."""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    add_path(parser)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    native = parser.add_argument_group("comparison with the native model")
    native.add_argument("--native", type=Path, metavar="FILE", help="the estimator, as .skops, .joblib or .pkl")
    native.add_argument("--data", type=Path, metavar="FILE", help="real rows: .csv, .npy, .jsonl or .json")
    add_settings(parser, ("model", "logs.level"))


def run(args: Namespace) -> int:
    """Print one line per check; 1 if any of them counts against the model.

    Raises:
        StartupError: there is nothing to check, or a setting cannot be read.
        Malformed, Invalid: the data does not fit the model.
    """
    if args.data is not None and args.native is None:
        raise SettingsInvalid("--data gives rows to compare the native model on; give --native as well")
    with Progress(f"checking {args.path} ..."):
        found = verdicts(args.path, settings(args), args.native, args.data)
    failed = any(verdict.counts for verdict in found)
    if args.json:
        report = {
            "path": str(args.path),
            "ok": not failed,
            "checks": [{"check": each.check, "state": each.state.lower(), "detail": each.detail} for each in found],
        }
        show_json(msgspec.json.encode(report))
    else:
        rows = aligned([(each.state, each.check, each.detail) for each in found])
        show(line for row in rows for line in indented(row))
    return 1 if failed else 0
