"""`septet batch`: a model over a whole table."""

import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence

from septet.cli.flags import add_settings, settings
from septet.cli.parser import Parser
from septet.cli.progress import Progress
from septet.cli.terminal import complain, show, show_json
from septet.errors import SettingsInvalid

ARGUMENTS = "MODEL SOURCE TARGET"
DESCRIPTION = """\
Answer every row of a table, and write the answers as another one: Parquet, Feather, CSV or JSON Lines, as the names
say (.gz and .zst too). SOURCE is a file, a folder or a pattern in quotes; TARGET is a file, or a folder where it ends
with /. Columns are matched by their names. A run that was interrupted goes on where it was when the same command is
given again, and writes the very same table. Rows that do not fit the model stand in a table of errors beside it."""
EXAMPLE = """\
examples:
  septet batch iris.onnx flowers.parquet labels.parquet --keep id
  septet batch iris/ 'data/2026-*.csv.gz' labels/ --rename 'petal length (cm)=petal_length'
  septet batch iris/ flowers.jsonl labels.csv --limit 1000 --errors bad.csv

exit codes: 0 all rows have an answer, 3 all but those in the table of errors, 1 the run failed, 2 it could not begin"""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model file (.onnx, .skops, ...) or a package folder")
    parser.add_argument("source", metavar="SOURCE", help="a file of rows, a folder of them, or a pattern")
    parser.add_argument("target", metavar="TARGET", help="the file for the answers; a folder where it ends with /")
    formats = ("parquet", "feather", "csv", "jsonl")
    parser.add_argument("--source-format", choices=formats, help="what the source is, where its names do not say")
    parser.add_argument(
        "--format", choices=formats, help="what the target is (default: by its name; in a folder parquet)"
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="carry a column over; COLUMN=NAME under another name",
    )
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="COLUMN=NAME",
        help="the model's COLUMN is called NAME in the source",
    )
    parser.add_argument("--errors", metavar="FILE", help="the table of errors (default: TARGET.errors.jsonl)")
    parser.add_argument("--max-errors", type=_count, metavar="N", help="fail when more rows than this are bad")
    parser.add_argument("--limit", type=_count, metavar="N", help="answer the first N rows only")
    parser.add_argument(
        "--no-provenance", action="store_true", help="let the file alone say its model and run, not each row too"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the target that is there")
    parser.add_argument(
        "--workers", dest="processes", type=_count, default=0, metavar="N", help="processes (default: one on each CPU)"
    )
    parser.add_argument(
        "--unit-rows", type=_count, default=500_000, metavar="N", help="rows done as one step (default 500000)"
    )
    parser.add_argument(
        "--progress", choices=("auto", "lines", "json", "none"), default="auto", help="how to tell how far it is"
    )
    parser.add_argument("--json", action="store_true", help="print the run as JSON at its end")
    add_settings(parser, ("model", "logs.level", "batch"))


def run(args: Namespace) -> int:
    """Run it and say what became of it.

    Raises:
        StartupError, NotFound, Invalid, Malformed, Conflict: it cannot begin.
    """
    from septet.assembly.batch_leading import BatchChoice, RunProgress, lead_run
    from septet.batch_runs.batch_order import BatchOrder
    from septet.batch_runs.batch_run import RunStatus
    from septet.batch_runs.run_documents import outcome_lines, pace_line, run_json
    from septet.batch_runs.run_ledger import ledger_path

    chosen = settings(args)
    order = BatchOrder(
        model=args.model,
        source=args.source,
        target=args.target,
        source_format=args.source_format,
        target_format=args.format,
        errors=args.errors,
        renames=_pairs(args.rename, "--rename", bare=False),
        keep=_pairs(args.keep, "--keep", bare=True),
        provenance=not args.no_provenance,
        limit=args.limit,
        unit_rows=args.unit_rows,
    )
    choice = BatchChoice(workers=args.processes, overwrite=args.overwrite, most_bad_rows=args.max_errors)
    told_at = time.monotonic()
    with Progress(f"loading {args.model} ...", quiet=args.progress != "auto") as progress:

        def observe(now: RunProgress) -> None:
            nonlocal told_at
            if now.note is not None and args.progress != "none":
                show((f"note: {now.note}",), sys.stderr)
            if args.progress == "json":
                show_json(run_json(now.run, now.pace))
            elif args.progress == "lines" and time.monotonic() - told_at >= _LINE_SECONDS:
                told_at = time.monotonic()
                show((pace_line(now.pace),))
            elif args.progress == "auto":
                progress.step(pace_line(now.pace))

        ended = lead_run(order, choice, chosen, ledger_path(chosen.batch.ledger), observe)
    if args.json:
        show_json(run_json(ended))
    else:
        show(outcome_lines(ended, order.errors_file))
    if ended.status is RunStatus.FAILED:
        complain(ended.error or "the run failed", _AGAIN if ended.units_done < ended.units else None)
        return 1
    return 3 if ended.status is RunStatus.SUCCEEDED_WITH_ERRORS else 0


_LINE_SECONDS = 10.0
_AGAIN = "the same command again goes on with what is not done"


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _pairs(given: Sequence[str], flag: str, *, bare: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, other = each.partition("=")
        if not name or (equals and not other) or not (equals or bare):
            raise SettingsInvalid(f"{flag} {each}: expected {'COLUMN or ' if bare else ''}COLUMN=NAME")
        found[name] = other or name
    return found
