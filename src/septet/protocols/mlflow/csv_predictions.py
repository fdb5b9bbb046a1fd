"""Answers as CSV (RFC 4180): one line for each row, without a header."""

import csv
import io
import math
from collections.abc import Iterator
from typing import Any

from septet.model.base64_text import to_base64

CSV = b"text/csv"
_ACCEPTED = (b"text/csv", b"application/csv")
_JSON = b"application/json"


def prefers_csv(accept: bytes) -> bool:
    """Whether a header `accept` names CSV, and not JSON before it or with a higher quality."""
    best, found = 0.0, False
    for part in accept.split(b","):
        kind, *parameters = (each.strip().lower() for each in part.split(b";"))
        if kind not in _ACCEPTED and kind != _JSON:
            continue
        quality = _quality(parameters)
        if quality > best:
            best, found = quality, kind in _ACCEPTED
    return found


def _quality(parameters: list[bytes]) -> float:
    for each in parameters:
        name, _, value = each.partition(b"=")
        if name.strip() == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def csv_lines(predictions: list[Any]) -> str:
    """A line for each prediction: its values in row-major order, and those of several outputs one behind the other.

    A cell is empty where JSON has null: for missing values, NaN and infinities. Bytes are base64.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in predictions:
        writer.writerow(map(_cell, _cells(row)))
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bytes):
        return to_base64(value)
    return "" if isinstance(value, float) and not math.isfinite(value) else value


def _cells(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        yield value
        return
    for each in value:
        yield from _cells(each)
