"""Tables in every format: what is written is read again, in batches, and bad rows are named."""

import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from septet.errors import Invalid, Malformed
from septet.tables.column_batch import ColumnBatch, Reader, TableForm, rows_of_values
from septet.tables.csv_table import CsvReader, CsvWriter
from septet.tables.json_table import JsonReader, JsonWriter
from septet.tables.jsonl_table import JsonlReader, JsonlWriter
from septet.tables.memory_table import MemoryReader, MemoryWriter
from septet.tables.npy_table import NpyReader, NpyWriter
from septet.tables.table_formats import READERS, TableFormat, detect_format

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=5)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)
VALUES = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)


def every(reader: Reader, rows: int = 1000) -> list[tuple[Any, ...]]:
    """The rows of all batches, which are as long as they were asked for but for the last, and counted."""
    found: list[tuple[Any, ...]] = []
    for batch in reader.batches(rows):
        assert batch.first_row == len(found)
        assert 0 < batch.rows <= rows
        found += rows_of_values(batch)
    return found


@st.composite
def tables(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> dict[str, list[Any]]:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    rows = draw(st.integers(1, 7))
    return {name: draw(st.lists(values, min_size=rows, max_size=rows)) for name in names}


@given(tables(VALUES), st.integers(1, 4))
def test_json_holds_what_was_written(columns: dict[str, list[Any]], rows: int) -> None:
    for form in (TableForm.COLUMNS, TableForm.LISTS):
        lines, document = io.StringIO(), io.StringIO()
        for writer in (JsonlWriter(lines), JsonWriter(document)):
            for batch in MemoryReader(columns, form).batches(rows):
                writer.write(batch)
            writer.close()
        expected = list(zip(*columns.values(), strict=True))
        assert every(JsonlReader(io.BytesIO(lines.getvalue().encode())), rows) == expected
        assert every(JsonReader(io.BytesIO(document.getvalue().encode())), rows) == expected


@given(tables(TEXTS), st.integers(1, 4))
def test_csv_holds_the_texts_that_were_written(columns: dict[str, list[str]], rows: int) -> None:
    stream = io.StringIO(newline="")
    writer = CsvWriter(stream)
    for batch in MemoryReader(columns).batches(rows):
        writer.write(batch)
    writer.close()
    expected = list(zip(*columns.values(), strict=True))
    (names,) = {tuple(batch.columns) for batch in CsvReader(io.BytesIO(stream.getvalue().encode())).batches()}
    assert names == tuple(columns)
    assert every(CsvReader(io.BytesIO(stream.getvalue().encode())), rows) == expected


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "<U3", "datetime64[s]"])
@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_read_in_parts(dtype: str, shape: tuple[int, ...], order: Any) -> None:
    array = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    stream = io.BytesIO()
    np.save(stream, np.asarray(array, order=order))
    parts = [
        np.stack([np.asarray(values) for values in batch.columns.values()], axis=1)
        for batch in NpyReader(io.BytesIO(stream.getvalue())).batches(2)
    ]
    assert [len(part) for part in parts] == [2, 2, 1]
    assert np.concatenate(parts).reshape(shape).tolist() == array.tolist()


@pytest.mark.parametrize("shape", [(12,), (12, 3)])
def test_npy_is_written_part_by_part(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    stream = io.BytesIO()
    writer = NpyWriter(stream)
    source = io.BytesIO()
    np.save(source, array)
    for batch in NpyReader(io.BytesIO(source.getvalue())).batches(5):
        writer.write(batch)
    writer.close()
    found = np.load(io.BytesIO(stream.getvalue()))
    assert found.dtype == np.float32
    assert found.tolist() == array.tolist()


def test_npy_takes_one_dtype_and_no_objects() -> None:
    for second in (np.array(["a"], object), np.array([1], np.int64), np.array([[1.0]])):
        writer = NpyWriter(io.BytesIO())
        writer.write(ColumnBatch({"x": np.array([1.0])}, 1))
        with pytest.raises(Invalid, match="one dtype"):
            writer.write(ColumnBatch({"x": second}, 1))


def test_a_table_of_no_rows_is_one_when_it_is_written() -> None:
    lines, document, array = io.StringIO(), io.StringIO(), io.BytesIO()
    for writer in (JsonlWriter(lines), JsonWriter(document)):
        writer.write(ColumnBatch({"a": []}, 0))
        writer.close()
    NpyWriter(array).close()
    assert lines.getvalue() == ""
    assert json.loads(document.getvalue()) == []
    assert np.load(io.BytesIO(array.getvalue())).shape == (0,)


@pytest.mark.parametrize(("form", "start", "line"), [("csv", b"a,b\n", b"1,2\n"), ("jsonl", b"", b'{"a": 1}\n')])
def test_rows_are_read_as_they_come(form: TableFormat, start: bytes, line: bytes) -> None:
    def endless() -> Iterator[bytes]:
        yield from start.splitlines(keepends=True)
        yield from itertools.repeat(line)

    batches = READERS[form](endless()).batches(10)
    assert [next(batches).first_row for _ in range(3)] == [0, 10, 20]


def test_a_record_may_lack_keys_and_have_others() -> None:
    (batch,) = JsonlReader([b'{"a": 1, "b": null}\n', b'{"b": 2, "c": 3}\n']).batches()
    assert batch.form is TableForm.RECORDS
    assert dict(batch.columns) == {"a": [1, UNSET], "b": [None, 2], "c": [UNSET, 3]}
    written = io.StringIO()
    JsonlWriter(written).write(batch)
    assert written.getvalue() == '{"a":1,"b":null}\n{"b":2,"c":3}\n'


@pytest.mark.parametrize(
    ("reader", "rows"),
    [
        (
            CsvReader([b"a,b\n", b"1,2\n", b"3\n", b'"x",y,z\n', b"5,6\n"]),
            [(1, "2 cells", "1 cells"), (2, "2 cells", "3 cells")],
        ),
        (CsvReader([b"a,b\n", b"1,2\n", b"3,4,5\n", b"6\n"]), [(1, "2 cells", "3 cells"), (2, "2 cells", "1 cells")]),
        (
            JsonlReader([b"[1,2]", b"[3]", b"4"]),
            [(1, "a list of 2 values", "a list of 1"), (2, "a list of 2 values", "4")],
        ),
        (JsonlReader([b'{"a": 1}', b"[3]"]), [(1, "an object of column names and values", "a list of 1")]),
    ],
)
def test_rows_of_another_make_are_named_and_the_others_read(reader: Reader, rows: list[tuple[int, str, str]]) -> None:
    (batch,) = reader.batches()
    assert [(each.row, each.expected, each.received) for each in batch.problems] == rows
    assert batch.rows >= len(rows) + 1


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": "1", "a" : "2", "b": "x"}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"a\\u0062": 1, "ab": 2}',
        b'[{"a": 1}, {"a": 1, "b": "}", "b": 2}]',
    ],
)
def test_a_key_that_stands_twice_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed, match="stands twice"):
        every(JsonlReader([content]))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"a": NaN}', "JSON has no NaN"),
        (b"7", "must be a JSON object"),
        (b'{"data": [1], "records": []}', "exactly one of"),
        (b'{"data": [1], "more": 1}', "an unknown key"),
        (b'{"data": 1}', "a list of rows"),
        (b'{"records": 1}', "a list of objects"),
        (b'{"inputs": {"x": 1}}', "an object of input names"),
        (b'{"inputs": {"x": [1], "y": [1, 2]}}', "the same number of rows"),
        (b"", "empty"),
    ],
)
def test_a_document_that_is_no_table_is_refused(content: bytes, text: str) -> None:
    with pytest.raises((Malformed, Invalid), match=text):
        every(JsonReader(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,a\n1,2\n", "each column once"),
        (b"a,b\n1,\xff\n", "byte 6 is 0xff"),
        (b"\xef\xbb\xbfa,b\n1,\xff\n", "byte 9 is 0xff"),
        (b"a,b\n1,\0\n", "NUL"),
        (b'a,b\n1,2\n"3,4\n', "rows 0 to 999"),
        (b'a,b\n1,"2"3\n', "rows 0 to 999"),
    ],
)
def test_what_is_no_csv_is_refused(content: bytes, text: str) -> None:
    with pytest.raises((Malformed, Invalid), match=text):
        every(CsvReader(io.BytesIO(content)))


def test_a_quote_without_another_draws_in_a_part_of_the_table_only() -> None:
    drawn = 0

    def lines() -> Iterator[bytes]:
        nonlocal drawn
        yield b"a,b\n"
        yield b'1,"2\n'
        while True:
            drawn += 1
            yield b"3," + b"4" * 1000 + b"\n"

    with pytest.raises(Malformed, match="is not CSV"):
        every(CsvReader(lines()), 10)
    assert drawn < 2000


def test_a_quote_within_a_cell_makes_no_batch_longer() -> None:
    content = b"a,b\n" + b'5",1\n' + b"6,2\n" * 50
    assert every(CsvReader(io.BytesIO(content)), 10) == [('5"', "1"), *[("6", "2")] * 50]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda content: content[:-1], "promises 6 values"),
        (lambda content: content + b"x", "promises 6 values"),
        (lambda content: b"x" + content, "not a .npy file"),
        (lambda content: content.replace(b"'<f8'", b"'|O8'"), "Python objects"),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_no_npy_of_rows_is_refused(change: Any, text: str, order: Any) -> None:
    stream = io.BytesIO()
    np.save(stream, np.asarray(np.zeros((3, 2)), order=order))
    with pytest.raises((Malformed, Invalid), match=text):
        every(NpyReader(io.BytesIO(change(stream.getvalue()))))


def test_an_array_without_an_axis_has_no_rows() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array(1.5))
    with pytest.raises(Invalid, match="has no rows"):
        every(NpyReader(io.BytesIO(stream.getvalue())))


def test_a_table_in_memory_keeps_what_is_written() -> None:
    writer = MemoryWriter()
    for batch in MemoryReader({"a": [1, 2, 3]}).batches(2):
        writer.write(batch)
    writer.close()
    assert [list(batch.columns["a"]) for batch in writer.batches] == [[1, 2], [3]]
    assert writer.closed
    assert list(MemoryReader({}).batches()) == []


@pytest.mark.parametrize("line", [b'{"\xc9": 1}\n', b'{"a":' + b"[" * 100_000])
def test_a_first_line_that_cannot_be_read_is_refused_as_json(line: bytes) -> None:
    form, stream = detect_format(io.BytesIO(line))
    assert form == "json"
    with pytest.raises(Malformed):
        every(READERS[form](stream))
