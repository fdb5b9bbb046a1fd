"""`septet predict`: answers for the rows of a file, without a server."""

import asyncio
import gc
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from septet.assembly.loading import load_service
from septet.cli.data_file import tensor_batches
from septet.cli.flags import add_path, add_settings, settings
from septet.cli.parser import Parser
from septet.cli.predictions import PREDICTION_FORMATS, PredictionWriter
from septet.cli.progress import Progress
from septet.cli.terminal import PrintedTable
from septet.errors import NotFound
from septet.model.signature import Kind
from septet.protocols.codecs.prediction_format import PredictionFormatter
from septet.service import Service
from septet.tables.table_formats import TABLE_FORMATS, format_of
from septet.types import Request

ARGUMENTS = "PATH --data FILE"
DESCRIPTION = """\
Answer the rows of a file without a server, through the same checks and the same model as `septet serve`.
Predictions go to standard output as they are made, one per row in the order of the rows."""
EXAMPLE = """\
examples:
  septet predict iris/ --data rows.csv --label
  septet predict iris.onnx --data rows.jsonl --format csv > answers.csv
  echo '[[5.1, 3.5, 1.4, 0.2]]' | septet predict iris.onnx --data -"""


def configure(parser: Parser) -> None:
    """Add the command's arguments."""
    add_path(parser)
    parser.add_argument(
        "--data",
        required=True,
        metavar="FILE",
        help="rows as .csv with a header, .jsonl, .npy or .json (a list, or a body of POST /predict); - for stdin",
    )
    parser.add_argument("--data-format", choices=TABLE_FORMATS, help="what the data is, where its name does not say")
    parser.add_argument(
        "--format", choices=PREDICTION_FORMATS, default="jsonl", help="how to write the answers (default jsonl)"
    )
    parser.add_argument("--label", action="store_true", help="answer the label of each row, not its scores")
    add_settings(parser, ("model", "logs.level"))


def run(args: Namespace) -> int:
    """Write one prediction per row.

    Raises:
        StartupError: the model cannot be loaded.
        Malformed, Invalid: the data cannot be read or does not fit the model.
        NotFound: labels were asked of a model that has none, or there is no such file.
    """
    with Progress(f"loading {args.path} ..."):
        service = load_service(args.path, settings(args))
    # What was loaded stays to the end: the collector need not walk through it again with every few batches.
    gc.freeze()
    with _opened(args.data) as stream, Progress("predicting ...", quiet=sys.stdout.isatty()) as progress:
        asyncio.run(_answered(args, service, stream, progress))
    return 0


async def _answered(args: Namespace, service: Service, stream: BinaryIO, progress: Progress) -> None:
    formatter = PredictionFormatter(service.signature)
    labels = () if args.label else service.signature.labels
    # A row may have any number of several labels.
    apart = not (args.label and service.signature.kind is Kind.MULTILABEL)
    stream_out = PrintedTable(sys.stdout, is_json=args.format != "csv")
    writer = PredictionWriter(args.format, stream_out, service.identity, labels, apart=apart)
    form = args.data_format or format_of(Path(args.data))
    rows = 0
    for batch in tensor_batches(service.signature, stream, form, args.data):
        outputs = None if args.label else formatter.outputs
        response = await service.predictor.predict(Request(batch.checked(), batch.rows, f"rows-{rows}", outputs))
        tensors = response.tensors
        predictions = formatter.labels(tensors) if args.label else formatter.prediction(tensors)
        rows += batch.rows
        writer.write(predictions if service.signature.rows else [predictions])
        progress.step(f"{rows} rows")
    writer.close()


@contextmanager
def _opened(data: str) -> Iterator[BinaryIO]:
    if data == "-":
        yield sys.stdin.buffer
        return
    path = Path(data)
    if not path.is_file():
        raise NotFound(f"{data}: there is no such file; give the data's path, or - for standard input")
    with path.open("rb") as stream:
        yield stream
