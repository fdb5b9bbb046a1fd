"""`septet pack`: a package from a model file."""

import datetime as dt
import shlex
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from pathlib import Path

from septet.cli.data_file import read_training_rows
from septet.cli.flags import add_settings, settings
from septet.cli.model_summary import golden_rows
from septet.cli.overview import short_digest
from septet.cli.parser import Parser
from septet.cli.progress import Progress
from septet.cli.terminal import show
from septet.errors import SettingsInvalid
from septet.model.labels import read_labels
from septet.model.signature import Signature
from septet.packing.packaging import pack
from septet.packing.provenance import About, Statement
from septet.packing.save import Saved
from septet.packing.signatures import declared
from septet.packing.sources import sources_text
from septet.runtimes.base import LoadOptions
from septet.runtimes.engine_table import engine_for
from septet.settings import Model

ARGUMENTS = "FILE --out DIR"
DESCRIPTION = """\
Make a package from a model file: a folder that holds the model, its labels, where it comes from, and golden rows with
the answers it gives now. `septet check` and every start of a server prove the package by them.
From Python, septet.save packs a fitted estimator and compiles it to ONNX."""
EXAMPLE = """\
examples:
  septet pack iris.onnx --out iris --data iris.csv --target species --data-until 2026-10-31
  septet pack churn.skops --out churn --name churn --version 4 --metric accuracy=0.93 --owner 'team pricing'"""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a model file (.onnx, .skops, ...)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the package's folder")
    parser.add_argument("--replace", action="store_true", help="replace the package that stands there")
    about = parser.add_argument_group("what the package says")
    about.add_argument("--data", type=Path, metavar="FILE", help="training rows: .csv, .npy, .jsonl or .json")
    about.add_argument("--target", metavar="COLUMN", help="the column of a .csv that holds the true answers")
    about.add_argument("--dataset", metavar="TEXT", help="the name of the training data")
    about.add_argument("--data-since", type=_day, metavar="DATE", help="first day the data covers, as 2026-10-01")
    about.add_argument("--data-until", type=_day, metavar="DATE", help="last day the data covers: its age counts")
    about.add_argument(
        "--metric",
        type=_metric,
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="measured quality; repeatable",
    )
    about.add_argument("--valid-for-days", type=_days, metavar="N", help="days for which the model is good")
    about.add_argument("--description", metavar="TEXT", help="what the model does, for people")
    about.add_argument("--owner", metavar="TEXT", help="who answers for it")
    about.add_argument(
        "--row-independent",
        action="store_true",
        help="the model's own classes and functions answer each row by itself; proven at every start",
    )
    add_settings(parser, ("model.name", "model.version", "model.labels", "model.trust", "model.nullable", "logs.level"))


def run(args: Namespace) -> int:
    """Write the package and say what is in it.

    Raises:
        StartupError: the file cannot be packed, or the folder cannot be written.
        Malformed, Invalid: the data does not fit the model.
    """
    model = settings(args).model
    with Progress(f"packing {args.file} ..."):
        saved = _packed(args, model)
    # The library knows the labels by the name of its argument, and here they are a file.
    named = {"labels": model.labels} if model.labels and "labels" in saved.sources else {}
    show(_report(saved, args.out, {**saved.sources, **named}))
    return 0


def _packed(args: Namespace, model: Model) -> Saved:
    about = _about(args, model)
    data = None
    if args.data is not None or model.nullable:
        signature = _signature(args.file, model)
        if model.nullable:
            about["nullable"] = [column.name for column in signature.columns if _can_miss(column.dtype)]
            signature = declared(signature, Statement(nullable=about["nullable"]))
        if args.data is not None:
            data = read_training_rows(args.data, signature, args.target)
    elif args.target is not None:
        raise SettingsInvalid("--target names a column of the file that --data gives; give --data as well")
    return pack(
        args.file,
        args.out,
        data=None if data is None else data.columns,
        target=None if data is None else data.target,
        name=model.name,
        version=model.version or "1",
        trust=model.trust,
        replace=args.replace,
        **about,
    )


def _about(args: Namespace, model: Model) -> About:
    about: About = {"window": (args.data_since, args.data_until), "metrics": dict(args.metric)}
    if model.labels == "none":
        about["labels"] = ()
    elif model.labels is not None:
        about["labels"] = read_labels(Path(model.labels))
    if args.dataset is not None:
        about["dataset"] = args.dataset
    if args.valid_for_days is not None:
        about["valid_for_days"] = args.valid_for_days
    if args.description is not None:
        about["description"] = args.description
    if args.owner is not None:
        about["owner"] = args.owner
    if args.row_independent:
        about["row_independent"] = True
    return about


def _signature(path: Path, model: Model) -> Signature:
    runtime = engine_for(path).load(path, LoadOptions(trust=model.trust))
    try:
        return runtime.signature
    finally:
        runtime.close()


def _can_miss(dtype: str) -> bool:
    return dtype == "string" or dtype.startswith("float")


def _report(saved: Saved, out: Path, sources: Mapping[str, str]) -> list[str]:
    package = saved.package
    manifest, rows = package.manifest, golden_rows(package)
    lines = [
        f"packed {manifest.name}, version {manifest.version}, {short_digest(package.digest)} in {out}:",
        f"  {manifest.artefact} ({manifest.runtime}), {rows} golden row{'s' if rows != 1 else ''}",
        f"  {sources_text(sources)}",
    ]
    if saved.trust:
        lines.append("  loading it runs code from its files, so whoever serves it must trust them by digest")
    flags = "".join(f" --trust {digest}" for digest in saved.trust)
    return [*lines, f"next: septet serve {shlex.quote(str(out))}{flags}"]


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a date; write it as 2026-10-31") from None


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) <= 36500):  # noqa: PLR2004 - a century
        raise ArgumentTypeError(f"{text!r} is not a number of days from 1 to 36500")
    return int(text)


def _metric(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a metric; write it as accuracy=0.93") from None
