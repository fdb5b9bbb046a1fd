"""The output of `septet bench` while it measures, and at the end."""

import datetime as dt
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from septet.bench import chart
from septet.bench.campaign import name
from septet.bench.load import Load
from septet.bench.report import Report, document, remarks, table
from septet.cli.aligned_text import aligned
from septet.cli.progress import Progress
from septet.cli.terminal import show, show_json
from septet.errors import Invalid


class BenchProgress:
    """Says on standard error what is being measured: a line that changes on a terminal, else one line a load."""

    def __init__(self, load: Load) -> None:
        self._text = f"measuring {name(load)} for {load.seconds:g} s"
        self._progress = Progress(f"{self._text}:")

    def __enter__(self) -> Self:
        if not sys.stderr.isatty():
            show((self._text,), sys.stderr)
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.done()

    def step(self, answered: int, failed: int) -> None:
        """Say how far it is."""
        self._progress.step(f"{answered} answered, {failed} failed")


def show_report(report: Report, *, json_file: str | None, chart_file: str | None) -> None:
    """Print the report, and write the files that are wanted; `-` means JSON alone on standard output.

    Raises:
        Invalid: a file cannot be written.
    """
    if json_file is not None:
        content = document(report, dt.datetime.now(dt.UTC).replace(microsecond=0))
        encoded = msgspec.json.encode(content)
        if json_file == "-":
            show_json(encoded)
        else:
            _write(json_file, msgspec.json.format(encoded, indent=2).decode() + "\n")
    if chart_file is not None:
        title = f"Response times of {report.server['name']}"
        drawing = chart.svg(report.outcome.measurements, title)
        _write(chart_file, drawing if chart_file.endswith(".svg") else chart.html(drawing, title))
    if json_file != "-":
        server = report.server
        count = len(report.plan.payloads)
        requests = f"{count} different requests" if count > 1 else "one request"
        lines = ["", *aligned(table(report.outcome.measurements)), "", *remarks(report)]
        show((f"{server['name']} at {server['url']}, {requests}; times in ms", *lines[: None if lines[-1] else -1]))


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text)
    except OSError as exc:
        raise Invalid(f"{path}: cannot be written: {exc}") from exc
