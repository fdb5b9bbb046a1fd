"""Predictions as a table that is written as they come, one row for each."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from septet.tables.column_batch import ColumnBatch, TableForm, TextOutput, Writer
from septet.tables.csv_table import CsvWriter
from septet.tables.json_table import JsonWriter
from septet.tables.jsonl_table import JsonlWriter
from septet.types import Identity

PredictionFormat: TypeAlias = Literal["json", "jsonl", "csv"]
PREDICTION_FORMATS: tuple[PredictionFormat, ...] = get_args(PredictionFormat)


class PredictionWriter:
    """Writes predictions in a format; `labels` name the columns of scores, where CSV has a column for each.

    JSON is the body that the server would answer, a row a line. `apart` says whether CSV has a column for each value of
    a prediction; where their number differs by row, it has one for all.
    """

    def __init__(
        self, form: PredictionFormat, stream: TextOutput, model: Identity, labels: Sequence[str], *, apart: bool = True
    ) -> None:
        self._writer = _writer(form, stream, model)
        self._labels = labels
        self._apart = apart and form == "csv"
        self._columns: Callable[[Sequence[Any]], dict[str, list[Any]]] | None = None
        self._rows = 0

    def write(self, predictions: Sequence[Any]) -> None:
        """Write one row for each prediction: a value, a list of values, or an object."""
        if self._columns is None:
            self._columns = self._columns_like(predictions[0]) if self._apart else _single
        form = TableForm.COLUMNS if self._apart else TableForm.LISTS
        self._writer.write(ColumnBatch(self._columns(predictions), len(predictions), self._rows, form))
        self._rows += len(predictions)

    def close(self) -> None:
        """Write what comes after the last."""
        self._writer.close()

    def _columns_like(self, first: Any) -> Callable[[Sequence[Any]], dict[str, list[Any]]]:
        if isinstance(first, dict):
            return lambda predictions: {name: [each[name] for each in predictions] for name in first}
        if not isinstance(first, list):
            return _single
        width = len(first)
        names = self._labels if len(set(self._labels)) == width else [f"prediction_{at}" for at in range(width)]
        return lambda predictions: dict(zip(names, map(list, zip(*predictions, strict=True)), strict=True))


def _single(predictions: Sequence[Any]) -> dict[str, list[Any]]:
    return {"prediction": list(predictions)}


def _writer(form: PredictionFormat, stream: TextOutput, model: Identity) -> Writer:
    if form == "csv":
        return CsvWriter(stream)
    if form == "jsonl":
        return JsonlWriter(stream)
    opening = f'{{"model": {msgspec.json.encode(model).decode()},\n "prediction": [\n'
    return JsonWriter(stream, opening, "\n]}\n")
