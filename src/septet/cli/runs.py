"""`septet runs`: what the ledger knows of runs over tables."""

import time
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from septet.cli.aligned_text import aligned
from septet.cli.flags import add_settings, settings
from septet.cli.parser import Parser
from septet.cli.terminal import show, show_json
from septet.errors import NotFound, SettingsInvalid

if TYPE_CHECKING:
    from septet.batch_runs.run_ledger import RunLedger

ARGUMENTS = "{list,show,prune} [RUN ...]"
DESCRIPTION = """\
Look at the runs of `septet batch`: list them, show one with its plan, or forget those that ended long ago. A run that
was interrupted goes on when the same `septet batch` is given again."""
EXAMPLE = """\
examples:
  septet runs list --status failed
  septet runs show 3f2a9c0d5b7e
  septet runs prune --older-than 2592000"""
_DAYS_30 = 30 * 86_400.0


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    parser.add_argument("action", choices=("list", "show", "prune"), help="what to do")
    parser.add_argument("ids", nargs="*", metavar="RUN", help="the ids of runs, or how they begin")
    statuses = ("running", "publishing", "succeeded", "succeeded_with_errors", "failed", "aborted")
    parser.add_argument("--status", choices=statuses, help="only runs that are there")
    parser.add_argument("--target", metavar="TARGET", help="only runs that write there")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="how many (default: 100)")
    parser.add_argument(
        "--older-than",
        type=float,
        default=_DAYS_30,
        metavar="SECONDS",
        help="prune what ended so long ago (default: 30 days)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    add_settings(parser, ("batch",))


def run(args: Namespace) -> int:
    """Print what was found or done.

    Raises:
        NotFound: there is no such run, or no ledger.
    """
    from septet.batch_runs.run_ledger import RunLedger, ledger_path

    path = ledger_path(settings(args).batch.ledger)
    if not path.exists():
        raise NotFound(f"there is no ledger of runs at {path}")
    with RunLedger(path) as ledger:
        show({"list": _list, "show": _show, "prune": _prune}[args.action](ledger, args))
    return 0


def _list(ledger: "RunLedger", args: Namespace) -> Sequence[str]:
    from septet.batch_runs.batch_run import RunStatus
    from septet.batch_runs.run_documents import moment, run_json

    status = None if args.status is None else RunStatus(args.status)
    runs = ledger.runs(status=status, target=args.target, most=args.limit)
    if args.json:
        show_json(b"[" + b",".join(run_json(each) for each in runs) + b"]")
        return ()
    rows = [("run", "status", "began", "rows", "bad", "units", "model", "target")]
    rows += [
        (
            each.id[:12],
            ledger.status_now(each),
            moment(each.started_at),
            f"{each.rows:,}",
            f"{each.bad_rows:,}",
            f"{each.units_done:,} of {each.units:,}",
            f"{each.model} {each.model_version}",
            each.target,
        )
        for each in runs
    ]
    return list(aligned(rows))


def _show(ledger: "RunLedger", args: Namespace) -> Sequence[str]:
    import msgspec

    from septet.batch_runs.run_documents import run_json

    if not args.ids:
        raise SettingsInvalid("septet runs show needs the ids of runs")
    shown = []
    for identifier in args.ids:
        found = ledger.run(identifier)
        plan = msgspec.to_builtins(ledger.plan(found.id))
        shown.append({**msgspec.json.decode(run_json(found)), "plan": plan})
    show_json(msgspec.json.encode(shown[0] if len(shown) == 1 else shown))
    return ()


def _prune(ledger: "RunLedger", args: Namespace) -> Sequence[str]:
    return [f"{ledger.prune(time.time() - args.older_than)} runs forgotten"]
