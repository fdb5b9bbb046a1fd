"""Rows of a file or of standard input, in pieces that the codecs of the server read."""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, get_args

import msgspec

from septet.errors import Invalid, Malformed, invalid
from septet.model.signature import Signature
from septet.protocols.codecs.body import Body
from septet.protocols.codecs.csv_body import CsvBody
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.npy_body import NpyBody

DataFormat: TypeAlias = Literal["json", "jsonl", "csv", "npy"]
FORMATS: tuple[DataFormat, ...] = get_args(DataFormat)
BODY_KEYS = frozenset({"data", "records", "inputs"})
PIECE_ROWS = 1000

_MAGIC = b"\x93NUMPY"
_SUFFIXES: dict[str, DataFormat] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".npy": "npy",
}


def pieces(signature: Signature, stream: BinaryIO, form: DataFormat | None, source: str) -> Iterator[Body]:
    """Decode a stream piece by piece: `.jsonl` and CSV as they come, the others whole and then cut.

    `form` None means to find it out from the first line. Rows in errors count from 0 in the whole stream.

    Raises:
        Malformed: it cannot be decoded.
        Invalid: values do not fit the signature.
    """
    first = stream.readline()
    form = form or _sniffed(first)
    lines = itertools.chain([first], stream)
    if form == "jsonl":
        decode = JsonBody(signature, max_rows=sys.maxsize)
        return _numbered(decode, (_joined(batch) for batch in _batches(_filled(lines))))
    if form == "csv":
        return _csv(signature, lines, source)
    content = first + stream.read()
    if form == "npy":
        return _cut(NpyBody(signature, max_rows=sys.maxsize)(content), signature)
    return _cut(JsonBody(signature, max_rows=sys.maxsize)(_as_body(content)), signature)


def format_of(path: Path) -> DataFormat | None:
    """Tell the format from a file's name; None where the name does not say."""
    return _SUFFIXES.get(path.suffix.lower())


def _sniffed(first: bytes) -> DataFormat:
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if first.startswith(_MAGIC):
        return "npy"
    if start.startswith(b"["):
        return "json"
    if not start.startswith(b"{"):
        return "csv"
    try:
        line = msgspec.json.decode(start)
    except msgspec.DecodeError:
        return "json"
    return "json" if BODY_KEYS & line.keys() else "jsonl"


def _as_body(content: bytes) -> bytes:
    """A bare list is the rows themselves."""
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start.startswith(b"["):
        return start
    key = b"records" if start[1:].lstrip().startswith(b"{") else b"data"
    return b'{"%b":%b}' % (key, start)


def _joined(lines: list[bytes]) -> bytes:
    return _as_body(b"[" + b",".join(lines) + b"]")


def _filled(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        bare = line.removeprefix(b"\xef\xbb\xbf").strip()
        if bare:
            yield bare


def _csv(signature: Signature, lines: Iterable[bytes], source: str) -> Iterator[Body]:
    if not (signature.columns and signature.rows):
        raise Invalid(
            f"{source}: CSV has named columns, and this model's inputs have none; give JSON 'inputs' or .npy."
        )
    records = _records(lines)
    header = next(records, b"")
    decode = CsvBody(signature, max_rows=sys.maxsize)
    batches = (header + b"".join(batch) for batch in _batches(records))
    # A header alone is for the codec to refuse.
    return _numbered(decode, itertools.chain([next(batches, header)], batches))


def _records(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, joined where a quoted cell goes over several; blank ones left out."""
    record = b""
    for line in lines:
        record += line
        if record.count(b'"') % 2 == 0:
            if record.strip():
                yield record
            record = b""
    if record:
        yield record


def _batches(items: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, PIECE_ROWS)):
        yield batch


def _numbered(decode: Callable[[bytes], Body], bodies: Iterable[bytes]) -> Iterator[Body]:
    """Decode each, with rows in errors counted over all."""
    before = 0
    for body in bodies:
        try:
            piece = decode(body)
        except Invalid as exc:
            raise _shifted(exc, before) from None
        except Malformed as exc:
            raise Malformed(f"{exc.message} It stands in rows {before} to {before + PIECE_ROWS - 1}.") from None
        yield piece
        before += piece.rows


def _shifted(exc: Invalid, before: int) -> Invalid:
    if not before or any(problem.row is None for problem in exc.problems) or not exc.problems:
        return exc
    replace = msgspec.structs.replace
    return invalid([replace(problem, row=(problem.row or 0) + before) for problem in exc.problems])


def _cut(body: Body, signature: Signature) -> Iterator[Body]:
    if not signature.rows:
        yield body
        return
    for start in range(0, body.rows, PIECE_ROWS):
        stop = min(start + PIECE_ROWS, body.rows)
        yield Body({name: array[start:stop] for name, array in body.tensors.items()}, stop - start)
