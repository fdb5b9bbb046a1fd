"""Numbers in CSV are read in a short way, which gives what the long way gives or leaves the body to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import SeptetError
from septet.model.signature import Column
from septet.protocols.codecs.csv_body import CsvBody
from septet.protocols.codecs.decoded_body import DecodedBody
from septet.protocols.codecs.plain_csv import PlainCsv
from tests.protocols import models

COLUMNS = (Column("a", "float32"), Column("b", "int64"))
CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(
        ["", " 1", "1 ", "+1", ".5", "1.", "007", "1e3", "1e999", "-", "null", "nan", "[1]", "1],[2", '"1"', "x"]
    ),
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=4),
    line_end=st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    header=st.sampled_from(["c0,c1,c2,c3", "c1,c0,c2,c3", '"c0",c1,c2,c3', "\ufeffc0,c1,c2,c3", ""]),
    ended=st.booleans(),
)
def test_both_ways_read_the_same(rows: list[list[str]], line_end: str, header: str, ended: bool) -> None:  # noqa: FBT001
    text = line_end.join([header, *(",".join(row) for row in rows)]) + (line_end if ended else "")
    read = CsvBody(models.classifier().signature, max_rows=3)
    careful = CsvBody(models.classifier().signature, max_rows=3)
    careful._plain = lambda _: None  # type: ignore[assignment]
    assert outcome(read, text.encode()) == outcome(careful, text.encode())


def outcome(read: CsvBody, body: bytes) -> object:
    try:
        found: DecodedBody = read(body)
    except SeptetError as error:
        return type(error), error.message, error.problems
    return found.rows, {name: (array.dtype, array.tobytes()) for name, array in found.tensors.items()}


def test_rows_of_numbers_are_read() -> None:
    assert PlainCsv(COLUMNS, [each.dtype for each in COLUMNS], 10)(b"a,b\n1.5,2\r\n-3e1, 4\n") == [(1.5, 2), (-30.0, 4)]
    tensors = CsvBody(models.classifier().signature, max_rows=9)(b"c0,c1,c2,c3\n1,2,3,4\n").tensors
    np.testing.assert_array_equal(tensors["X"], [[1, 2, 3, 4]])


@pytest.mark.parametrize("body", [b"", b"a,b", b"a,b\n", b"b,a\n1,2\n", b"a,b\n1,2],[3,4\n", b"a,b\n1\n", b"a,b\n,1\n"])
def test_all_else_is_left_to_the_careful_reading(body: bytes) -> None:
    assert PlainCsv(COLUMNS, [each.dtype for each in COLUMNS], 10)(body) is None
