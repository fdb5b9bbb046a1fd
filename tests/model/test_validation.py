import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from septet.errors import Problem
from septet.model.signature import DTYPES, Column, Kind, Scalar, Signature, Tensor
from septet.model.validation import Checker, problems
from septet.types import Array
from tests.budgets import examples
from tests.model import strategies

NAN, INF = float("nan"), float("inf")


def signature(*inputs: Tensor) -> Signature:
    return Signature(Kind.TENSORS, inputs, (Tensor("y", "float32", (None,)),))


def table(*columns: Column, dtype: str = "float32") -> Signature:
    return signature(Tensor("x", dtype, (None, len(columns)), columns))


def listed(*values: Scalar, nullable: bool = False, dtype: str = "string") -> Column:
    return Column("c", dtype, nullable=nullable, categories=values)


def found(column: Column, *values: object) -> list[tuple[int | None, str]]:
    """Return the row and the received text of each problem of a table of one column."""
    dtype = object if column.dtype == "string" else column.dtype
    rows = np.empty((len(values), 1), dtype)
    rows[:, 0] = values
    return [(it.row, it.received) for it in problems(table(column, dtype=column.dtype), {"x": rows})]


def test_finite_numbers_are_well() -> None:
    largest = float(np.finfo(np.float32).max)
    assert found(Column("a", "float32"), 0.0, -0.0, largest, -largest) == []


def test_a_problem_names_its_row_column_and_values() -> None:
    rows = np.array([[1, 2], [NAN, 2], [1, -INF]], np.float32)
    assert problems(table(Column("a", "float32"), Column("b", "float32")), {"x": rows}, first_row=100) == (
        Problem(101, "a", "a finite number", "NaN"),
        Problem(102, "b", "a finite number", "-Infinity"),
    )


def test_nan_is_null_where_null_is_allowed_and_infinity_never_is() -> None:
    nullable = Column("a", "float32", nullable=True)
    assert found(nullable, NAN, INF, 1) == [(1, "Infinity")]
    assert found(Column("a", "float32", nullable=True, minimum=0), NAN, -1) == [(1, "-1.0")]


def test_one_nullable_column_leaves_the_others_strict() -> None:
    rows = np.array([[NAN, NAN]], np.float64)
    (problem,) = problems(
        table(Column("a", "float64", nullable=True), Column("b", "float64"), dtype="float64"), {"x": rows}
    )
    assert problem.column == "b"


def test_bounds_are_inclusive() -> None:
    assert found(Column("a", "float64", minimum=0, maximum=1), 0, 1, -0.001, 1.001) == [(2, "-0.001"), (3, "1.001")]
    assert found(Column("a", "int64", minimum=0.5, maximum=2.5), 0, 1, 2, 3) == [(0, "0"), (3, "3")]


@given(st.floats(-1e30, 1e30), st.sampled_from(["float16", "float32", "float64"]))
@settings(deadline=None)
def test_a_bound_itself_is_accepted_however_the_dtype_rounds_it(bound: float, dtype: str) -> None:
    limit = float(np.finfo(dtype).max)
    value = min(max(bound, -limit), limit)
    assert found(Column("a", dtype, minimum=value, maximum=value), value) == []


def test_bounds_beyond_the_dtype_are_its_limits() -> None:
    assert found(Column("a", "float32", minimum=-1e300, maximum=1e300), 1, INF) == [(1, "Infinity")]
    assert found(Column("a", "uint8", minimum=-5, maximum=1000), 0, 255) == []


def test_a_missing_string_is_refused_where_null_is_not_allowed() -> None:
    assert found(Column("c", "string"), "a", None, NAN, "") == [(1, "null"), (2, "NaN")]
    assert found(Column("c", "string", nullable=True), "a", None, NAN, "") == []
    assert found(listed("a"), None) == [(0, "null")]
    assert found(listed("a", nullable=True), None, NAN, "b") == [(2, "'b'")]


def test_what_is_no_string_is_refused_in_a_column_of_strings() -> None:
    assert found(Column("c", "string"), "a", 3, b"x") == [(1, "3"), (2, "b'x'")]


def test_only_known_categories_are_accepted_unless_others_are() -> None:
    assert found(listed("red", "blue"), "red", "green") == [(1, "'green'")]
    others = Column("c", "string", categories=("red",), other_categories=True)
    assert found(others, "green") == []
    assert found(listed(1, 2, dtype="int64"), 1, 3) == [(1, "3")]
    assert found(listed(0.1, dtype="float32"), 0.1, 0.2) == [(1, "0.20000000298023224")]
    assert found(listed(*[True], dtype="bool"), *[True, False]) == [(1, "False")]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (Column("c", "float32"), NAN, "a finite number"),
        (Column("c", "float32", nullable=True), INF, "a finite number or null"),
        (Column("c", "float32", minimum=0), -1, "at least 0"),
        (Column("c", "float32", maximum=2.5), 3, "at most 2.5"),
        (Column("c", "float32", minimum=0, maximum=1, nullable=True), 2, "between 0 and 1 or null"),
        (Column("c", "string"), None, "a string"),
        (listed("a", "b", "c"), "z", "one of 'a', 'b', 'c'"),
        (listed("a", "b", "c", "d", "e", "f"), "z", "one of 'a', 'b', 'c' (3 more)"),
    ],
)
def test_what_is_expected_is_said_shortly(column: Column, value: object, expected: str) -> None:
    dtype = object if column.dtype == "string" else np.float32
    (problem,) = problems(table(column, dtype=column.dtype), {"x": np.array([[value]], dtype=dtype)})
    assert problem.expected == expected


def test_a_long_value_is_shortened() -> None:
    ((_, received),) = found(listed("a"), "z" * 1000)
    assert (len(received), received[-3:]) == (80, "...")


def test_at_most_so_many_problems_are_named() -> None:
    inputs = [Tensor(name, "float32", (None,), (Column(name, "float32"),)) for name in "ab"]
    rows = {name: np.full(50, NAN, np.float32) for name in "ab"}
    assert len(problems(signature(*inputs), rows)) == 20
    assert [it.column for it in problems(signature(*inputs), rows, most=51)][-1] == "b"


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_column_may_be_flat_or_a_table(shape: tuple[int, ...]) -> None:
    tensor = Tensor("x", "float64", (None,) * len(shape), (Column("a", "float64", nullable=True, maximum=1),))
    (problem,) = problems(signature(tensor), {"x": np.array([NAN, 1, 2]).reshape(shape)})
    assert (problem.row, problem.column) == (2, "a")


def test_tensors_without_columns_take_every_float_and_strings_only() -> None:
    deep = signature(Tensor("image", "float32", (None, 2, 2)), Tensor("text", "string", (None, None)))
    well = {"image": np.zeros((2, 2, 2), np.float32), "text": np.array([["a"], ["b"]], object)}
    assert problems(deep, well) == ()
    image = np.zeros((2, 2, 2), np.float32)
    image[1, 0, 1] = NAN
    bad = {"image": image, "text": np.array([["a", "b"], ["c", None]], object)}
    assert [(it.row, it.column) for it in problems(deep, bad)] == [(1, "text")]


def test_a_single_value_has_no_row() -> None:
    (problem,) = problems(signature(Tensor("t", "string", ())), {"t": np.array(None, object)})
    assert (problem.row, problem.column) == (None, "t")


def test_whole_numbers_without_bounds_are_always_well() -> None:
    assert Checker(signature(Tensor("n", "int64", (None,))))({"n": np.array([1])}) == ()


@pytest.mark.parametrize("dtype", ["float32", "string", "int8"])
def test_an_empty_batch_is_well(dtype: str) -> None:
    kind = object if dtype == "string" else dtype
    low = None if dtype == "string" else 0.0
    assert problems(table(Column("a", dtype, minimum=low), dtype=dtype), {"x": np.empty((0, 1), kind)}) == ()


@given(hnp.arrays(np.float32, (4, 3)), st.booleans())
@settings(max_examples=examples(50))
def test_every_value_out_of_place_is_found_and_no_other(rows: Array, nullable: bool) -> None:  # noqa: FBT001
    columns = [Column(name, "float32", nullable=nullable, minimum=-10, maximum=10) for name in "abc"]
    named = {(it.row, it.column) for it in problems(table(*columns), {"x": rows})}
    for (row, at), value in np.ndenumerate(rows):
        well = nullable if np.isnan(value) else -10 <= value <= 10
        assert ((row, "abc"[at]) in named) is not well


CARRIED = (
    Column("f", "float32"),
    Column("i", "int64", nullable=True),
    Column("u", "uint8"),
    Column("b", "bool", nullable=True),
    Column("o", "int64", optional=True, minimum=-5, maximum=5),
)
LIMITS = {"i": (-(2**63), 2**63 - 1), "u": (0, 255), "b": (0, 1), "o": (-5, 5)}


def is_well(column: Column, value: float) -> bool:
    if np.isnan(value):
        return column.nullable or column.optional
    if column.name not in LIMITS:
        return bool(np.isfinite(value))
    low, high = LIMITS[column.name]
    return low <= value <= high and value == np.trunc(value)


@given(
    st.lists(st.sampled_from(CARRIED), min_size=1, max_size=5, unique=True),
    st.sampled_from(["float32", "float64"]),
    st.data(),
)
@settings(max_examples=examples(100))
def test_columns_in_a_matrix_are_checked_as_their_own_dtypes_are(
    columns: list[Column], carrier: str, data: st.DataObject
) -> None:
    cell = st.sampled_from([0, 1, 2, -1, 5, 6, 255, 256, 0.5, NAN, INF, -INF, -0.0, 2.0**62, 2.0**63, 1e30, -(2.0**63)])
    rows = np.array(data.draw(st.lists(st.tuples(*[cell] * len(columns)), min_size=1, max_size=3)), carrier)
    wrong = [
        (row, column.name)
        for row, values in enumerate(rows.tolist())
        for column, value in zip(columns, values, strict=True)
        if not is_well(column, value)
    ]
    told = problems(table(*columns, dtype=carrier), {"x": rows}, most=99)
    assert [(problem.row, problem.column) for problem in told] == wrong


def test_a_value_of_a_carried_column_is_told_in_words() -> None:
    taken = table(*CARRIED[:4])
    rows = np.array([[1, 1.5, 1, 2], [NAN, NAN, NAN, NAN]], np.float32)
    assert [(each.column, each.expected, each.received) for each in problems(taken, {"x": rows})] == [
        ("i", "a whole number or null", "1.5"),
        ("b", "true or false, as 1 or 0 or null", "2.0"),
        ("f", "a finite number", "NaN"),
        ("u", "a whole number", "NaN"),
    ]


def test_a_moment_may_be_missing_where_null_is_taken_and_has_bounds_in_its_unit() -> None:
    moments = np.array([["2026-01-31", "NaT"], ["1969-12-31", "2026-01-31"]], "datetime64[s]")
    columns = (Column("t", "datetime64[s]", minimum=0), Column("n", "datetime64[s]", nullable=True))
    (problem,) = problems(table(*columns, dtype="datetime64[s]"), {"x": moments})
    assert (problem.row, problem.column, problem.received) == (1, "t", "1969-12-31T00:00:00")
    (missing,) = problems(table(Column("t", "datetime64[s]"), dtype="datetime64[s]"), {"x": moments[:1, 1:]})
    assert (missing.row, missing.received) == (0, "null")
    listed_days = table(Column("t", "datetime64[s]", categories=("2026-01-31",)), dtype="datetime64[s]")
    assert [each.row for each in problems(listed_days, {"x": moments[:, :1]})] == [1]


@st.composite
def doubtful(draw: st.DrawFn) -> tuple[Signature, dict[str, Array]]:
    """Draw a signature, and arrays of its dtypes whose values need not fit."""
    found = draw(strategies.signatures())
    rows = draw(st.integers(0, 60))
    texts = st.none() | st.sampled_from(["", "a", "b"])
    arrays: dict[str, Array] = {}
    for tensor in found.inputs:
        shape = (rows, *(2 if size is None else size for size in tensor.shape[1:]))
        if tensor.dtype == "string":
            values = draw(hnp.arrays(object, shape, elements=texts, fill=st.just("a")))
        else:
            values = draw(hnp.arrays(DTYPES[tensor.dtype], shape))
        arrays[tensor.name] = values
    return found, arrays


@given(doubtful(), st.integers(0, 1000))
@settings(max_examples=examples(100))
def test_all_bad_rows_are_named_as_each_is_by_itself(case: tuple[Signature, dict[str, Array]], first: int) -> None:
    taken, arrays = case
    check = Checker(taken)
    alone = {
        first + row: list(check({name: array[row : row + 1] for name, array in arrays.items()}, first_row=first + row))
        for row in range(len(next(iter(arrays.values()))))
    }
    every = check.by_row(arrays, first_row=first)
    bad = {row: found for row, found in alone.items() if found}
    assert {row: found[:20] for row, found in every.items()} == bad
    assert list(every) == sorted(every)
    told = check(arrays, first_row=first)
    assert len(told) == min(20, sum(map(len, every.values())))
    assert all(problem in every[problem.row or 0] for problem in told)
