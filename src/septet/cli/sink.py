"""Predictions written as they come, one per row."""

import csv
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TextIO, TypeAlias

import msgspec

from septet.types import Identity

AnswerFormat: TypeAlias = Literal["json", "jsonl", "csv"]


class Sink(Protocol):
    """Where predictions go."""

    def write(self, predictions: Sequence[Any]) -> None:
        """Write one prediction per row."""

    def close(self) -> None:
        """Write what comes after the last."""


def sink(form: AnswerFormat, stream: TextIO, identity: Identity, labels: Sequence[str]) -> Sink:
    """Make the sink of a format; `labels` name the columns of scores, where CSV has a column for each."""
    if form == "csv":
        return _Csv(stream, labels)
    return _Json(stream, identity) if form == "json" else _Lines(stream)


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, predictions: Sequence[Any]) -> None:
        self._stream.writelines(f"{_json(prediction)}\n" for prediction in predictions)

    def close(self) -> None:
        pass


class _Json:
    """The body that the server would answer, a row a line."""

    def __init__(self, stream: TextIO, identity: Identity) -> None:
        self._stream = stream
        self._before = f'{{"model": {_json(identity)},\n "prediction": [\n'

    def write(self, predictions: Sequence[Any]) -> None:
        for prediction in predictions:
            self._stream.write(self._before + _json(prediction))
            self._before = ",\n"

    def close(self) -> None:
        self._stream.write("\n]}\n")


class _Csv:
    def __init__(self, stream: TextIO, labels: Sequence[str]) -> None:
        self._write = csv.writer(stream, lineterminator="\n").writerow
        self._labels = labels
        self._is_first = True

    def write(self, predictions: Sequence[Any]) -> None:
        for prediction in predictions:
            if self._is_first:
                self._write(self._header(prediction))
                self._is_first = False
            self._write([_cell(value) for value in _cells(prediction)])

    def close(self) -> None:
        pass

    def _header(self, prediction: Any) -> Sequence[str]:
        if isinstance(prediction, dict):
            return list(prediction)
        if not isinstance(prediction, list):
            return ["prediction"]
        if len(self._labels) == len(prediction):
            return self._labels
        return [f"prediction_{at}" for at in range(len(prediction))]


def _cells(prediction: Any) -> Sequence[Any]:
    if isinstance(prediction, dict):
        return list(prediction.values())
    return prediction if isinstance(prediction, list) else [prediction]


def _cell(value: Any) -> Any:
    return _json(value) if isinstance(value, list | dict | bool) else value


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
