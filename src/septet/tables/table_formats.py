"""Which formats of tables there are, by the endings of files' names and by what a table starts with."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeAlias, get_args

import msgspec

from septet.tables.column_batch import Reader
from septet.tables.csv_table import CsvReader
from septet.tables.json_table import FORMS, JsonReader
from septet.tables.jsonl_table import JsonlReader
from septet.tables.npy_table import NpyReader

TableFormat: TypeAlias = Literal["json", "jsonl", "csv", "npy"]
TABLE_FORMATS: Final[tuple[TableFormat, ...]] = get_args(TableFormat)
SUFFIXES: Final[Mapping[str, TableFormat]] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".npy": "npy",
}
READERS: Final[Mapping[TableFormat, Callable[[Any], Reader]]] = {
    "json": JsonReader,
    "jsonl": JsonlReader,
    "csv": CsvReader,
    "npy": NpyReader,
}

_MAGIC = b"\x93NUMPY"
_BOM = b"\xef\xbb\xbf"


def format_of(path: Path) -> TableFormat | None:
    """Tell the format from a file's name; None where the name does not say."""
    return SUFFIXES.get(path.suffix.lower())


def detect_format(stream: BinaryIO) -> tuple[TableFormat, BinaryIO]:
    """Tell the format from the first line, and give a stream that starts with it again."""
    first = stream.readline()
    return _sniffed(first), io.BufferedReader(_Rejoined(first, stream))


def _sniffed(first: bytes) -> TableFormat:
    start = first.removeprefix(_BOM).lstrip()
    if first.startswith(_MAGIC):
        return "npy"
    if start.startswith(b"["):
        return "json"
    if not start.startswith(b"{"):
        return "csv"
    try:
        line = msgspec.json.decode(start)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "json"
    return "json" if line.keys() & set(FORMS) else "jsonl"


class _Rejoined(io.RawIOBase):
    """A stream of which the first line was read."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        taken = self._first[: len(buffer)] or self._rest.read(len(buffer))
        self._first = self._first[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)
