"""Twice the input is twice the work, by a count of it instead of the time: of every kind that there may be more of.

A call counts one; a call of a builtin method that goes through all of its object counts the length of that.
`benchmarks/run complexity` measures the time of the same and of more kinds.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import hpack
import numpy as np
import pytest

from septet.errors import SeptetError
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.array_json import array_json
from septet.protocols.codecs.csv_body import CsvBody
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.rows_document import RowsDocument
from septet.protocols.mlflow.invocations import BODY_FORMAT as MLFLOW
from septet.protocols.rpc.field_limits import check_fields
from septet.runtimes.onnx.onnx_wire import encode, fields
from septet.server.h2.grpc_messages import MessageBuffer
from septet.server.h2.h2_frames import DATA, PREFACE, FrameSplitter, frame
from septet.server.h2.header_decoder import HeaderDecoder
from septet.server.request_parser import RequestParser
from septet.settings import Limits
from septet.tables.csv_table import CsvReader
from septet.tables.strict_json import strict

SMALL = 300
#: Of the work for twice as much. What is quadratic comes near to four times.
MOST = 2.3
LIMITS = Limits(max_headers=10_000, max_header_bytes=1 << 22)
_LINEAR = frozenset(
    ("count", "index", "find", "rfind", "remove", "insert", "copy", "replace", "split", "translate", "strip", "join")
)


def work_of(run: Callable[[], object]) -> int:
    """How much work something is."""
    count = 0

    def look(_: FrameType, event: str, called: Any) -> None:
        nonlocal count
        if event == "call":
            count += 1
        elif event == "c_call":
            owner = getattr(called, "__self__", None)
            count += 1
            if called.__name__ in _LINEAR and isinstance(owner, list | tuple | str | bytes | bytearray):
                count += len(owner) // 16

    sys.setprofile(look)
    try:
        with suppress(SeptetError):
            run()
    finally:
        sys.setprofile(None)
    return count


def matrix(width: int) -> Signature:
    """A model of so many columns."""
    columns = tuple(Column(f"c{at}", "float32") for at in range(width))
    return Signature(
        Kind.TRANSFORM, (Tensor("x", "float32", (None, width), columns),), (Tensor("y", "float32", (None, 1)),)
    )


def _native(width: int, value: object) -> Callable[[], object]:
    body, text = JsonBody(matrix(width), max_rows=10_000), json.dumps(value).encode()
    return lambda: body(text)


def _frame(count: int, names: list[str]) -> Callable[[], object]:
    body = RowsDocument(matrix(count), MLFLOW, max_rows=10_000, extra_columns="ignore")
    text = json.dumps({"dataframe_split": {"columns": names, "data": [[1.0] * len(names)]}}).encode()
    return lambda: body(text)


def _csv(width: int, text: str) -> Callable[[], object]:
    body = CsvBody(matrix(width), max_rows=10_000)
    return lambda: body(text.encode())


def _table(text: bytes) -> Callable[[], object]:
    return lambda: list(CsvReader(iter(text.splitlines(keepends=True))).batches())


def _request(count: int) -> Callable[[], object]:
    head = b"GET / HTTP/1.1\r\nhost: x\r\n%b\r\n" % b"".join(b"x-a%d: b\r\n" % at for at in range(count))

    def read() -> None:
        parser = RequestParser(LIMITS, lambda _path, _headers: None)
        parser.feed(head)
        parser.taken()

    return read


def _chunks(count: int) -> Callable[[], object]:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"

    def read() -> None:
        parser = RequestParser(LIMITS, lambda _path, _headers: None)
        parser.feed(head)
        for _ in range(count):
            parser.feed(b"2\r\n11\r\n")
        parser.feed(b"0\r\n\r\n")
        parser.taken()

    return read


def _block(count: int) -> Callable[[], object]:
    lines = [(":method", "POST"), (":scheme", "http"), (":path", "/a"), (":authority", "x"), ("te", "trailers")]
    lines += [("content-type", "application/grpc"), *((f"x-a{at}", "b") for at in range(count))]
    block = hpack.Encoder().encode(lines)
    return lambda: HeaderDecoder(LIMITS).read(block)


def _frames(count: int) -> Callable[[], object]:
    data = PREFACE + frame(DATA, 0, 1, b"1234567") * count

    def read() -> Iterator[object]:
        splitter = FrameSplitter()
        for start in range(0, len(data), 5):
            yield from splitter.feed(data[start : start + 5])

    return lambda: list(read())


def _pieces(count: int) -> Callable[[], object]:
    def read() -> None:
        buffer = MessageBuffer()
        buffer.extend(b"\0" + (100 * count).to_bytes(4))
        for _ in range(count):
            buffer.extend(b"1" * 100)
            buffer.take(1 << 20)

    return read


def _names(count: int) -> list[str]:
    return [f"c{at}" for at in range(count)]


def _strange(count: int) -> dict[str, int]:
    return {f"k{at}": 0 for at in range(count)}


def _twice(count: int) -> bytes:
    return b"{%b}" % b",".join(b'"k%d":0' % (at % (count - 1)) for at in range(count))


KINDS: dict[str, Callable[[int], Callable[[], object]]] = {
    "keys, one twice": lambda n: (
        lambda: strict(b"{%b}" % b",".join(b'"k%d":0' % (at % (n - 1)) for at in range(n)), "")
    ),
    "unknown keys": lambda n: _native(4, _strange(n)),
    "unknown keys of a record": lambda n: _native(4, {"records": [_strange(n)]}),
    "columns of a record": lambda n: _native(n, {"records": [dict.fromkeys(_names(n), 1.0)]}),
    "columns that a record lacks": lambda n: _native(n, {"records": [{}]}),
    "wrong values of a row": lambda n: _native(n, {"data": [["x"] * n]}),
    "rows": lambda n: _native(4, {"data": [[1.0] * 4] * n}),
    "rows with a late fault": lambda n: _native(4, {"data": [*([[1.0] * 4] * n), ["x"] * 4]}),
    "brackets in each other": lambda n: _native(4, json.loads("[" * (n // 2) + "]" * (n // 2))),
    "columns of a frame": lambda n: _frame(n, _names(n)[::-1]),
    "columns of a frame that are unknown": lambda n: _frame(4, [*_names(4), *_strange(n)]),
    "CSV columns": lambda n: _csv(n, ",".join(_names(n)[::-1]) + "\n" + ",".join(["1"] * n)),
    "CSV columns, each twice": lambda n: _csv(n, ",".join(_names(n) * 2) + "\n"),
    "CSV rows": lambda n: _csv(4, "c3,c2,c1,c0\n" + "1,2,3,4\n" * n),
    "CSV lines in a cell": lambda n: _csv(4, 'c0,c1,c2,c3\n"' + "\n" * n + '",2,3,4\n'),
    "lines of a CSV file": lambda n: _table(b"a,b\n" + b"1,2\n" * n),
    "lines of a CSV file behind a quote": lambda n: _table(b'a,b\n"' + b"1,2\n" * n),
    "values of an answer": lambda n: lambda: array_json(np.zeros((n, 300), np.float32)),
    "headers": _request,
    "chunks": _chunks,
    "headers of a call": _block,
    "frames": _frames,
    "pieces of a message": _pieces,
    "fields of a message": lambda n: lambda: check_fields(b"\x2a\x00" * n, {5: {}}),
    "fields of an ONNX file": lambda n: lambda: list(fields(memoryview(encode(1, b"") * n))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_twice_as_much_is_twice_the_work(kind: str) -> None:
    once, twice = KINDS[kind](SMALL), KINDS[kind](2 * SMALL)
    for run in (once, twice):  # what is made once is made
        with suppress(SeptetError):
            run()
    assert work_of(twice) <= MOST * work_of(once) + 50


def test_the_count_tells_work_that_grows_faster() -> None:
    def quadratic(count: int) -> None:
        names = _names(count)
        assert all(names.count(name) == 1 for name in names)

    assert work_of(lambda: quadratic(2 * SMALL)) > MOST * work_of(lambda: quadratic(SMALL)) + 50
