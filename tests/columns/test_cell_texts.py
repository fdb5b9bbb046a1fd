"""Columns of CSV are read in a short way, which gives what the careful way gives or leaves the cells to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.columns.cell_texts import TextColumns
from septet.errors import SeptetError
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.codecs.csv_body import CsvBody

ABLE = [name for name in DTYPES if name == "string" or name.startswith("float")]
COLUMNS = [
    *(Column(f"c_{name}", name) for name in DTYPES),
    *(Column(f"n_{name}", name, nullable=True) for name in ABLE),
]


def signature(*columns: Column) -> Signature:
    inputs = tuple(Tensor(column.name, column.dtype, (None, 1), (column,)) for column in columns)
    return Signature(Kind.TENSORS, inputs, (Tensor("y", "float32", (None,)),))


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**66), 2**66).map(str),
    st.integers(-128, 255).map(str),
    st.sampled_from(
        ["0", "1", "-0", "+1", " 1", "1\t", "1.0", "1e2", ".5", "3.4e38", "3.5e38", "65504", "65520", "1e999"]
    ),
)
ODD = st.sampled_from(
    [
        "",
        " ",
        "nan",
        "NA",
        "null",
        "inf",
        "-Infinity",
        "1_0",
        "\u0661",
        "\u00a01",
        "0x1",
        "1 2",
        "--1",
        "TRUE",
        "yes",
        "9" * 5000,
    ]
)
TRUTH = st.sampled_from(["true", "False", "TRUE", "1", "0", "0.0", " true"])
TEXTS = st.sampled_from(["male", "", "é_1", " x ", "null", "1"])


def cell(column: Column) -> st.SearchStrategy[str]:
    usual = {"string": TEXTS, "bool": TRUTH}.get(column.dtype, st.integers(0, 100).map(str) | NUMBERS)
    return st.integers(0, 40).flatmap(lambda drawn: ODD if drawn == 0 else usual)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Signature, list[list[str]]]:
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3, unique=True))
    order = draw(st.permutations(columns))
    rows = [[draw(cell(column)) for column in order] for _ in range(draw(st.integers(1, 3)))]
    if draw(st.integers(0, 15)) == 0:
        rows[-1].pop()
    return signature(*columns), [[column.name for column in order], *rows]


def outcome(body: CsvBody, text: bytes) -> object:
    try:
        found = body(text)
    except SeptetError as error:
        return type(error), error.message, error.problems
    return found.rows, {name: (array.dtype, repr(array.tolist())) for name, array in found.tensors.items()}


@given(tables())
def test_both_ways_read_the_same(drawn: tuple[Signature, list[list[str]]]) -> None:
    taken, table = drawn
    text = "".join(",".join(f'"{each}"' for each in line) + "\n" for line in table).encode()
    short, careful = CsvBody(taken, max_rows=3), CsvBody(taken, max_rows=3)
    careful._read = lambda _lines, _order, _width: None  # type: ignore[assignment]
    assert outcome(short, text) == outcome(careful, text)


def test_cells_are_read_in_the_columns_order() -> None:
    read = TextColumns(
        [Column("a", "float32", nullable=True), Column("b", "string"), Column("c", "bool"), Column("d", "int8")],
        ["float32", "string", "bool", "int8"],
    )
    lines = [["x", "1.5", "-7", "true"], ["", "", "8", "0"]]
    assert read(lines, [1, 0, 3, 2], 4) == [(1.5, "x", True, -7), (None, "", False, 8)]


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("int8", "128"),
        ("int8", "1.0"),
        ("float32", "3.5e38"),
        ("float32", "nan"),
        ("float64", ""),
        ("int64", "1_0"),
        ("bool", "yes"),
    ],
)
def test_what_is_in_doubt_is_left_to_the_careful_way(dtype: str, text: str) -> None:
    read = TextColumns([Column("a", dtype)], [dtype])
    assert read([["1"], ["1"]], [0], 1) is not None
    assert read([["1"], [text]], [0], 1) is None
    assert read([["1"], ["1", "1"]], [0], 1) is None


def test_floats_whose_sum_is_too_large_are_read_all_the_same() -> None:
    found = CsvBody(signature(Column("x", "float64")), max_rows=3)(b'x\n"1.7e308"\n"1.7e308"\n')
    np.testing.assert_array_equal(found.tensors["x"], [[1.7e308], [1.7e308]])


@pytest.mark.parametrize(("text", "shown"), [("-0", "0.0"), (" -00", "0.0"), ("-0.0", "-0.0"), ("-0e1", "-0.0")])
def test_a_whole_zero_has_no_sign(text: str, shown: str) -> None:
    short, careful = (CsvBody(signature(Column("x", "float16")), max_rows=3) for _ in range(2))
    careful._read = lambda _lines, _order, _width: None  # type: ignore[assignment]
    for body, cell in ((short, f'"{text}"'), (short, text), (careful, f'"{text}"')):
        assert repr(body(f"x\n{cell}\n".encode()).tensors["x"].tolist()) == f"[[{shown}]]"
