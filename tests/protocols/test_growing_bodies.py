"""Of bodies that are long for no good reason little is read, and at most 20 things are said."""

import asyncio
import json
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import Invalid, Malformed, SeptetError
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.array_json import array_json, value_json
from septet.protocols.codecs.csv_body import MOST_HEADER_CHARACTERS, CsvBody
from septet.protocols.codecs.decoded_body import count_outside
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.json_size import JsonSize
from septet.protocols.codecs.json_slices import LISTS, OBJECTS, SLICE_BYTES, VALUES, decoded_slices
from septet.protocols.codecs.npy_body import NpyBody
from septet.protocols.codecs.rows_document import RowsDocument
from septet.protocols.http import error_bodies
from septet.protocols.http.error_bodies import refusal
from septet.protocols.mlflow.invocations import BODY_FORMAT as MLFLOW
from septet.protocols.tfserving.v1_routes import BODY_FORMAT as V1
from septet.tables.csv_table import CsvReader
from septet.tensors import VALUES_ON_LOOP, listed
from tests.protocols import models

MOST = 20
MANY = 1000


def matrix(width: int, dtype: str = "float32") -> Signature:
    """A model of so many columns."""
    columns = tuple(Column(f"c{at}", dtype) for at in range(width))
    return Signature(
        Kind.TRANSFORM, (Tensor("x", dtype, (None, width), columns),), (Tensor("y", "float32", (None, 1)),)
    )


FREE = Signature(Kind.TENSORS, (Tensor("x", "float32", (None, None)),), (Tensor("y", "float32", (None, 1)),))
TEXT = Signature(
    Kind.TRANSFORM, (Tensor("x", "string", (None, 1), (Column("x", "string"),)),), (Tensor("y", "float32", (None, 1)),)
)


def refused(read: Callable[[bytes], object], body: object) -> SeptetError:
    """The error for a body, or for the JSON of another value."""
    with pytest.raises(SeptetError) as caught:
        read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def keys(count: int) -> dict[str, int]:
    """So many keys that nobody knows."""
    return {f"k{at}": at for at in range(count)}


def native(signature: Signature, max_rows: int = 100) -> JsonBody:
    """The reader of native bodies."""
    return JsonBody(signature, max_rows=max_rows)


@pytest.mark.parametrize(
    "body",
    [
        keys(MANY),
        {"inputs": keys(MANY)},
        {"records": [keys(MANY)]},
        {"records": [{}]},
        {"data": [["a"] * MANY]},
        {"data": [[]] * 90},
    ],
)
def test_at_most_20_things_are_said_of_a_body(body: object) -> None:
    error = refused(native(matrix(MANY)), body)
    assert len(error.problems) <= MOST
    assert len(error.message) < 1000


@pytest.mark.parametrize(
    "body",
    [
        keys(MANY),
        {"dataframe_split": {"columns": [*keys(MANY)], "data": []}},
        {"dataframe_split": {"columns": [f"c{at % MANY}" for at in range(2 * MANY)], "data": []}},
        {"dataframe_split": keys(MANY) | {"data": []}},
        {"dataframe_split": {"columns": ["c0"], "data": [[1, 2]] * 50}},
    ],
)
def test_at_most_20_things_are_said_of_a_frame(body: object) -> None:
    read = RowsDocument(matrix(MANY), MLFLOW, max_rows=100)
    assert 1 <= len(refused(read, body).problems) <= MOST


@pytest.mark.parametrize(
    "body", [{"instances": [keys(MANY)]}, {"inputs": keys(MANY)}, {"inputs": {"c0": 1, **keys(9)}}]
)
def test_at_most_20_things_are_said_of_instances(body: object) -> None:
    read = RowsDocument(matrix(MANY), V1, max_rows=100)
    assert 1 <= len(refused(read, body).problems) <= MOST


def test_a_frame_may_have_its_columns_in_any_order() -> None:
    names = [f"c{at}" for at in range(MANY)]
    body = {"dataframe_split": {"columns": names[::-1], "data": [list(range(MANY))]}}
    _, read = RowsDocument(matrix(MANY), MLFLOW, max_rows=100)(json.dumps(body).encode())
    assert read.tensors["x"].tolist() == [list(range(MANY))[::-1]]


@pytest.mark.parametrize("extra", ["refuse", "ignore"])
@pytest.mark.parametrize(
    ("header", "words"),
    [
        (",".join(keys(MANY)), "no such column"),
        (",".join([f"c{at}" for at in range(40)] * 2), "twice"),
        ("," * MANY, "no such column"),
    ],
)
def test_at_most_20_things_are_said_of_a_header_row(extra: str, header: str, words: str) -> None:
    read = CsvBody(matrix(40), max_rows=100, extra_columns=extra)  # type: ignore[arg-type]
    error = refused(read, header.encode() + b"\n1")
    assert len(error.problems) <= MOST
    assert words in error.message


def test_a_header_row_that_is_too_long_is_not_cut_into_cells() -> None:
    error = refused(CsvBody(matrix(4), max_rows=100), b"," * (MOST_HEADER_CHARACTERS + 1))
    assert f"more than {MOST_HEADER_CHARACTERS} characters" in error.message


def test_a_header_row_may_be_as_long_as_the_names_of_the_columns() -> None:
    name = "a" * MOST_HEADER_CHARACTERS
    column = Column(f"{name}0", "float32"), Column(f"{name}1", "float32")
    signature = Signature(
        Kind.TRANSFORM, (Tensor("x", "float32", (None, 2), column),), (Tensor("y", "float32", (None, 1)),)
    )
    read = CsvBody(signature, max_rows=100)
    assert read(f"{name}1,{name}0\n1,2".encode()).tensors["x"].tolist() == [[2, 1]]


def test_more_cells_than_rows_can_have_are_not_cut_apart() -> None:
    error = refused(CsvBody(matrix(4), max_rows=10), b"c0,c1,c2,c3\n" + b"," * MANY)
    assert "more cells than 10 rows of 4 cells" in error.message


def test_commas_in_quotes_are_no_cells() -> None:
    text = "," * MANY
    assert CsvBody(TEXT, max_rows=10)(f'x\n"{text}"\n'.encode()).tensors["x"].tolist() == [[text]]


@pytest.mark.parametrize("rows", ["1,2,3,4\n", '"1",2,3,4\n', "1,2,3,4\n\n"])
def test_rows_beyond_the_limit_are_counted_and_not_kept(rows: str) -> None:
    read = CsvBody(matrix(4), max_rows=10)
    assert read(f"c0,c1,c2,c3\n{rows * 10}".encode()).rows == 10
    assert "has 11 rows and the limit is 10" in refused(read, f"c0,c1,c2,c3\n{rows * 11}".encode()).message


@pytest.mark.parametrize("columns", [10, 2000])
def test_names_that_stand_twice_in_a_file_are_the_first_20(columns: int) -> None:
    lines = [",".join([f"a{at // 2}" for at in range(columns)]).encode() + b"\n"]
    with pytest.raises(Invalid) as caught:
        list(CsvReader(lines).batches())
    assert len(caught.value.problems) == min(MOST, columns // 2)


def test_a_cell_of_many_lines_is_one_cell() -> None:
    lines = [b"a,b\n", b'1,"\n', *[b"\n"] * MANY, b'"\n', b"2,3\n"]
    first, second = CsvReader(lines).batches(1)
    assert (list(first.columns["b"]), list(second.columns["b"])) == (["\n" * (MANY + 1)], ["3"])


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        (matrix(4), b'{"data":[' + b"[1]," * 2000 + b"[1]]}"),
        (matrix(4), b'{"data":[["' + b'",1,"' * 2000 + b'"]]}'),
        (TEXT, b'{"data":[["\\\\"]' + b',["a"]' * 2000 + b"]}"),
        (TEXT, b'{"data":[["\\""]' + b',["a"]' * 2000 + b"]}"),
    ],
)
def test_more_values_than_rows_can_have_are_not_parsed(signature: Signature, body: bytes) -> None:
    assert "more values than 10 rows have" in refused(native(signature, 10), body).message


@pytest.mark.parametrize("text", ["[,{" * MANY, '\\"[,{' * MANY, "\\\\[,{" * MANY])
def test_what_stands_in_a_text_is_no_value(text: str) -> None:
    body = f'{{"data":[["{text}"]]}}'.encode()
    assert native(TEXT, 1)(body).tensors["x"].tolist() == [[json.loads(f'"{text}"')]]


def test_lists_in_each_other_are_told_from_values() -> None:
    error = refused(native(matrix(4), 10), b'{"data":' + b"[" * 5000)
    assert isinstance(error, Malformed)
    assert "nested too deeply" in error.message


def test_rows_that_may_have_other_columns_have_any_number_of_values() -> None:
    body = json.dumps({"records": [{f"c{at}": 1 for at in range(4)} | keys(5000)]}).encode()
    assert JsonBody(matrix(4), max_rows=10, extra_columns="ignore")(body).rows == 1
    assert len(body) > JsonSize(matrix(4), 10).unchecked


def test_rows_beyond_the_limit_are_not_read_value_by_value() -> None:
    body = b'{"inputs":{"x":[' + b"[]," * 100 + b'["a"]]}}'
    assert "has 101 rows and the limit is 10" in refused(native(FREE, 10), body).message


def test_a_wrong_value_among_many_is_found_at_its_place() -> None:
    values: list[object] = [0.5] * 5000
    values[3210] = "a"
    error = refused(native(FREE), {"inputs": {"x": [values]}})
    assert [problem.column for problem in error.problems] == ["x[3210]"]


@pytest.mark.parametrize("header", ["9" * 4000, "9" * 30, "-" + "9" * 30])
def test_sizes_of_any_number_of_digits_are_no_fault_of_the_server(header: str) -> None:
    head = f"{{'descr':'<f4','fortran_order':False,'shape':({header},{header})}}\n".encode()
    body = b"\x93NUMPY\x02\x00" + len(head).to_bytes(4, "little") + head
    assert "sizes that no array has" in refused(NpyBody(matrix(4), max_rows=10), body).message


@given(st.binary(max_size=200).map(lambda text: text.replace(b"\\", b"")))
def test_marks_outside_of_quotes_are_counted(text: bytes) -> None:
    outside = b"".join(text.split(b'"')[::2])
    assert count_outside(text, b",[") == outside.count(b",") + outside.count(b"[")


def decoders(kind: type[list[object]]) -> tuple[Callable[[bytes], list[object]], Callable[[bytes], list[object]]]:
    """A decoder, and the same for what that refuses."""
    decode = msgspec.json.Decoder(kind).decode
    return decode, decode


@pytest.mark.parametrize(
    ("values", "between"),
    [
        ([[1, 2.5]] * 50_000, LISTS),
        ([{"a": 1, "b": "],["}] * 40_000, OBJECTS),
        (list(range(100_000)), VALUES),
        ([["],["]] * 100_000, LISTS),
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), ("\n ,\n", ":")])
def test_a_list_is_the_same_slice_by_slice(values: list[object], between: object, separators: tuple[str, str]) -> None:
    text = json.dumps(values, separators=separators).encode()
    assert len(text) > SLICE_BYTES
    try:
        slices = list(decoded_slices(text, between, decoders(list[object])))  # type: ignore[arg-type]
    except msgspec.MsgspecError:
        # A comma within a text: left to who decodes it at once.
        assert b'"],["' in text or b'"] , [' in text
        return
    assert len(slices) > 1
    assert [value for part in slices for value in part] == values


@pytest.mark.parametrize("text", [b"", b"[", b"]", b"{}", b"[1,]", b"[1],[2]", b"[,1]"])
def test_what_is_no_list_is_not_cut(text: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        list(decoded_slices(text, VALUES, decoders(list[object])))


@pytest.mark.parametrize("form", ["data", "records"])
@pytest.mark.parametrize("bad", [None, '"a"', "1}", "null"])
def test_a_long_body_means_what_a_short_one_means(form: str, bad: str | None) -> None:
    rows: Sequence[object] = [[at, 0.5, 1, 2] for at in range(25_000)]
    if form == "records":
        rows = [{f"c{place}": value for place, value in enumerate(row)} for row in rows]  # type: ignore[arg-type]
    body = json.dumps({form: rows}).encode()
    read = native(matrix(4), 30_000)
    assert len(body) > JsonSize(matrix(4), 3_000).unchecked
    if bad is None:
        assert read(body).tensors["x"][:, 0].tolist() == list(range(25_000))
        return
    error = refused(native(matrix(4), 30_000), body.replace(b"24999", bad.encode()))
    assert isinstance(error, Malformed) or error.problems[0].row == 24_999


def test_a_key_that_stands_twice_in_a_long_body_is_refused() -> None:
    rows = json.dumps([[1, 2, 3, 4]] * 30_000)
    assert "stands twice" in refused(native(matrix(4), 30_000), f'{{"data":{rows},"data":{rows}}}'.encode()).message


@pytest.mark.parametrize("shape", [(100_000,), (300, 200), (2, 40_000), (50, 3, 700), (0, 4), (2, 2)])
def test_a_large_array_is_written_as_a_small_one(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 3
    array.reshape(-1)[:1] = np.nan
    assert array_json(array) == msgspec.json.encode(array.tolist())
    assert value_json(array.tolist()) == msgspec.json.encode(array.tolist())
    assert value_json({"a": array.tolist(), '"': None}) == msgspec.json.encode({"a": array.tolist(), '"': None})
    assert msgspec.json.encode(listed(array)) == msgspec.json.encode(array.tolist())


def test_rows_of_objects_are_written_in_parts() -> None:
    rows = [{"a": [1.5] * 10, "b": "c"}] * VALUES_ON_LOOP
    assert value_json(rows) == msgspec.json.encode(rows)


def test_long_paths_are_not_kept() -> None:
    before = error_bodies._cached_body_of.cache_info().currsize
    for at in range(50):
        status, body = refusal(f"/v2/{'a' * 300}{at}", Malformed("no"), "id")
        assert (status, body) == (400, b'{"error":"no"}')
    assert error_bodies._cached_body_of.cache_info().currsize == before


def test_a_path_and_a_method_are_repeated_in_part() -> None:
    service = models.classifier()
    app = models.app(service, models.native(service))

    async def ask() -> str:
        from septet.protocols.http.http_messages import HttpRequest

        reply = await app(HttpRequest("A" * 5000, "/predict", b"", {}, b""))
        return reply.message or ""

    assert len(asyncio.run(ask())) < 500
