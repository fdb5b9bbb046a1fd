"""CSV bodies: what the standard library and pandas write is read exactly; everything else is refused with its place."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from septet.errors import Invalid, Malformed
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.codecs.csv_body import CsvBody
from septet.types import Tensors
from tests.protocols import bodies

COLUMNS = (Column("n", "float32"), Column("m", "float32", nullable=True))
TABLE = Signature(Kind.TENSORS, (Tensor("X", "float32", (None, 2), COLUMNS),), bodies.OUTPUTS)


def one(dtype: str, *, nullable: bool = False) -> Signature:
    tensor = Tensor("x", dtype, (None, 1), (Column("c", dtype, nullable=nullable),))
    return Signature(Kind.TENSORS, (tensor,), bodies.OUTPUTS)


def read(signature: Signature, text: str | bytes, max_rows: int = 10) -> list[Any]:
    body = text.encode() if isinstance(text, str) else text
    tensors = CsvBody(signature, max_rows=max_rows)(body).tensors
    return [value for array in tensors.values() for value in array.tolist()]


def can_be_written(signature: Signature, tensors: Tensors) -> bool:
    """CSV cannot tell an empty text from a missing one, and an empty only cell from an empty line."""
    nulls = any(column.dtype in ("string", "bytes") and column.nullable for column in signature.columns)
    blank = any("" in (bodies.plain(array.ravel().tolist())) for array in tensors.values() if array.dtype == object)
    stripped = [column.name.strip() for column in signature.columns]
    return not (nulls and blank) and len({*stripped}) == len(stripped)


@given(bodies.with_rows(bodies.tabular()), st.sampled_from(["\r\n", "\n"]), st.sampled_from([b"", b"\xef\xbb\xbf"]))
def test_rows_written_by_the_standard_library_are_read_exactly(
    drawn: tuple[Signature, Tensors], ending: str, start: bytes
) -> None:
    signature, tensors = drawn
    assume(can_be_written(signature, tensors))
    body = bodies.csv_of(signature, tensors, lineterminator=ending, quoting=csv.QUOTE_NONNUMERIC)
    bodies.same(tensors, CsvBody(signature, max_rows=10)(start + body))


def test_rows_written_by_pandas_are_read_exactly() -> None:
    pandas = pytest.importorskip("pandas")
    kinds = ("float64", "int64", "bool", "string", "string")
    named = tuple(
        Column(name, kind, nullable=name in ("a b", "s,t"))
        for name, kind in zip(("a b", "é", "q", "s,t", 'u"v'), kinds, strict=True)
    )
    inputs = tuple(Tensor(column.name, column.dtype, (None, 1), (column,)) for column in named)
    frame = pandas.DataFrame(
        {
            "a b": [1.5, np.nan, -1e-300],
            "é": [2**62, -3, 0],
            "q": [True, False, True],
            "s,t": ["x,y", None, 'say "hi"'],
            'u"v': ["two\nlines", " spaced ", "ü"],
        }
    )
    text = io.StringIO()
    frame.to_csv(text, index=False)
    decoded = CsvBody(Signature(Kind.TENSORS, inputs, bodies.OUTPUTS), max_rows=10)(text.getvalue().encode())
    assert decoded.rows == 3
    for column in named:
        got = decoded.tensors[column.name].ravel()
        wanted = [None if column.dtype == "string" and pandas.isna(each) else each for each in frame[column.name]]
        np.testing.assert_array_equal(got, np.array(wanted, DTYPES[column.dtype]))


def test_columns_may_stand_in_any_order_and_blank_lines_do_not_count() -> None:
    assert read(TABLE, "m, n\n1,2\n\n3,4\n") == [[2, 1], [4, 3]]


@pytest.mark.parametrize("blank", ["", "nan", "NaN", "null", "NA", " "])
def test_a_blank_cell_is_null_where_the_column_takes_it(blank: str) -> None:
    assert np.isnan(read(TABLE, f"n,m\n1,{blank}\n")[0][1])
    with pytest.raises(Invalid, match="row 0, column 'n'"):
        read(TABLE, f"n,m\n{blank},1\n")


def test_a_blank_text_is_null_only_where_the_column_takes_it() -> None:
    assert read(one("string", nullable=True), 'c\n""\nnan\n') == [[None], ["nan"]]
    assert read(one("string"), 'c\n""\n') == [[""]]


@pytest.mark.parametrize(
    ("dtype", "cell"),
    [
        *(("float32", text) for text in ("1_000", "x", "0x10", "1,5", "inf", "-Infinity", "1e39", "٣", "²", "1 2")),
        *(("int8", text) for text in ("128", "-129", "1.5", "1_0", "+-1", "9" * 5000, "1e999", "true")),
        *(("bool", text) for text in ("yes", "2", "t", "nan")),
        *(("float16", text) for text in ("65520", "-1e5")),
        ("uint64", "18446744073709551616"),
    ],
)
def test_a_cell_that_is_no_such_value_is_refused_with_its_place(dtype: str, cell: str) -> None:
    with pytest.raises(Invalid, match="row 1, column 'c'") as caught:
        read(one(dtype), f'c\n1\n"{cell}"\n')
    assert (caught.value.problems[0].row, caught.value.problems[0].column) == (1, "c")


@pytest.mark.parametrize(
    ("dtype", "cell", "value"),
    [
        *(("bool", text, True) for text in ("True", "true", "1", "1.0", " TRUE ")),
        *(("bool", text, False) for text in ("False", "0", "0.0")),
        *(("int64", text, 100) for text in ("100", "+100", "100.0", "1e2", " 100 ")),
        ("uint64", "18446744073709551615", 2**64 - 1),
        ("float64", "1e308", 1e308),
    ],
)
def test_a_value_may_be_written_in_several_ways(dtype: str, cell: str, value: Any) -> None:
    assert read(one(dtype), f"c\n{cell}\n") == [[value]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n\n1\n", "column 'm', received no such column"),
        ("1,2\n3,4\n", "column 'n', received no such column"),
        ("n,m,k\n1,2,3\n", "column 'k', received an unknown column"),
        ("n,m,n\n1,2,3\n", "column 'n', received twice"),
        ("n,m\n1\n", "2 cells in row 0, received 1 cells"),
        ("n,m\n1,2\n1,2,3\n", "2 cells in row 1, received 3 cells"),
        ("n,m\n", "no rows"),
        ("n,m\n" + "1,2\n" * 11, "11 rows and the limit is 10"),
    ],
)
def test_a_table_of_another_make_is_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(TABLE, text)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "body",
    [b"", b"\n\n", b"\xff", b"n,m\n1,\x00\n", b'n,m\n1,"2', b'n,m\n"1"x,2\n'],
)
def test_what_is_not_csv_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(TABLE, body)


@given(st.sampled_from(["n,m\n", ""]), st.text(st.sampled_from('n,m"\r\n1x. '), max_size=30))
def test_any_text_is_read_or_refused_and_nothing_else_happens(header: str, text: str) -> None:
    bodies.outcome(CsvBody(TABLE, max_rows=3), (header + text).encode())


def test_at_most_twenty_problems_are_listed() -> None:
    with pytest.raises(Invalid) as caught:
        read(one("int8"), "c\n" + "x\n" * 50, max_rows=100)
    assert len(caught.value.problems) == 20
