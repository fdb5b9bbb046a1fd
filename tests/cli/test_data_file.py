"""Rows of a file, in pieces."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.cli.data_file import tensor_batches
from septet.errors import Invalid, Malformed
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.tables.table_formats import TableFormat, format_of

COLUMNS = (Column("a", "float64"), Column("b", "float64"))
MATRIX = Signature(Kind.REGRESSION, (Tensor("x", "float64", (None, 2), COLUMNS),), (Tensor("y", "float64", (None,)),))
TEXT = Signature(
    Kind.REGRESSION, (Tensor("t", "string", (None,), (Column("t", "string"),)),), (Tensor("y", "float64", (None,)),)
)
UNIT = Signature(Kind.TENSORS, (Tensor("x", "float64", (2,)),), (Tensor("y", "float64", (1,)),), rows=False)
ROWS = [[1.0, 2.0], [3.0, 4.0]]


def read(content: bytes, form: TableFormat | None = None, signature: Signature = MATRIX) -> list[list[float]]:
    found = tensor_batches(signature, io.BytesIO(content), form, "rows")
    return [row for batch in found for row in batch.checked()[signature.inputs[0].name].tolist()]


def npy(array: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(array))
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b'{"data": [[1, 2], [3, 4]]}',
        b'{"records": [{"a": 1, "b": 2}, {"b": 4, "a": 3}]}',
        b'{"inputs": {"x": [[1, 2], [3, 4]]}}',
        b'{\n "data": [\n  [1, 2], [3, 4]]}',
        b"[[1, 2], [3, 4]]",
        b'[{"a": 1, "b": 2},\n {"a": 3, "b": 4}]\n',
        b'\xef\xbb\xbf{"a": 1, "b": 2}\n\n{"a": 3, "b": 4}',
        b"a,b\n1,2\n3,4\n",
        b"b,a\r\n2,1\r\n\r\n4,3",
        npy(ROWS),
    ],
)
def test_every_form_is_found_out_and_read(content: bytes) -> None:
    assert read(content) == ROWS


def test_lines_of_lists_are_read_where_the_form_is_said() -> None:
    assert read(b"[1, 2]\n[3, 4]\n", "jsonl") == ROWS


@pytest.mark.parametrize("form", ["jsonl", "csv", "json", "npy"])
@pytest.mark.parametrize("count", [1, 999, 1000, 1001, 2500])
def test_any_number_of_rows_keeps_its_order(form: TableFormat, count: int) -> None:
    rows = [[float(at), 0.5] for at in range(count)]
    content = {
        "jsonl": "\n".join(map(json.dumps, rows)).encode(),
        "csv": b"a,b\n" + b"".join(b"%d,0.5\n" % at for at in range(count)),
        "json": json.dumps(rows).encode(),
        "npy": npy(rows),
    }[form]
    assert read(content, form) == rows


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1), min_size=1, max_size=5))
def test_cells_of_csv_may_hold_quotes_commas_and_lines(texts: list[str]) -> None:
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    found = tensor_batches(TEXT, io.BytesIO("\n".join(["t", *quoted]).encode()), "csv", "rows")
    assert [text for batch in found for text in batch.checked()["t"].reshape(-1).tolist()] == texts


@pytest.mark.parametrize(("form", "start", "row"), [("csv", b"a,b\n", b"1,2\n"), ("jsonl", b"", b"[1,2]\n")])
def test_rows_in_errors_are_counted_over_the_whole_file(form: TableFormat, start: bytes, row: bytes) -> None:
    bad = row.replace(b"2", b'"x"')
    with pytest.raises(Invalid) as caught:
        read(start + row * 1500 + bad, form)
    assert caught.value.problems[0].row == 1500
    assert "row 1500" in caught.value.message


def test_a_broken_line_is_placed() -> None:
    with pytest.raises(Malformed, match="rows 1000 to 1999"):
        read(b"[1,2]\n" * 1200 + b"[1,\n", "jsonl")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a,b\n", b"[]", b"{}", b'{"data": []}'])
def test_nothing_to_predict_is_refused(content: bytes) -> None:
    with pytest.raises((Invalid, Malformed)):
        read(content)


def test_a_model_without_rows_takes_one_unit() -> None:
    (batch,) = tensor_batches(UNIT, io.BytesIO(b'{"inputs": {"x": [1, 2]}}'), None, "rows")
    assert batch.rows == 1
    assert batch.checked()["x"].tolist() == [1, 2]


def test_csv_is_refused_where_columns_have_no_names() -> None:
    with pytest.raises(Invalid, match="rows: CSV has named columns"):
        read(b"a,b\n1,2\n", signature=UNIT)


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", "csv"), ("a.JSON", "json"), ("a.ndjson", "jsonl"), ("a.npy", "npy"), ("a.txt", None), ("-", None)],
)
def test_the_form_is_told_by_the_name(name: str, form: str | None) -> None:
    assert format_of(Path(name)) == form
