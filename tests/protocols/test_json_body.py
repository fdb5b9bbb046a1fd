"""JSON bodies: what callers write is read exactly, and everything else is refused with its place."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from septet.errors import Invalid, Malformed
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.json_diagnosis import JsonDiagnosis
from septet.types import Tensors
from tests.protocols import bodies

TABLE = Signature(
    Kind.TENSORS, (Tensor("X", "float32", (None, 2), (Column("a", "float32"), Column("b", "float32"))),), bodies.OUTPUTS
)
MIXED = Signature(
    Kind.TENSORS,
    (
        Tensor("age", "int8", (None, 1), (Column("age", "int8"),)),
        Tensor("name", "string", (None, 1), (Column("name", "string", nullable=True),)),
    ),
    bodies.OUTPUTS,
)
IMAGE = Signature(Kind.TENSORS, (Tensor("image", "uint8", (None, None, 2)),), bodies.OUTPUTS)
UNIT = Signature(Kind.TENSORS, (Tensor("a", "int64", (2, 2)), Tensor("b", "float32", ())), bodies.OUTPUTS, rows=False)
SIGNATURES = [TABLE, MIXED, IMAGE, UNIT]

VALID: list[dict[str, Any]] = [
    {"data": [[1, 2.5], [3, 4]]},
    {"records": [{"a": 1, "b": 2}], "id": "caller-1"},
    {"inputs": {"X": [[1, 2]]}, "id": None},
    {"data": [[5, 'a"b'], [6, None]]},
    {"records": [{"age": 5, "name": "x\\y"}]},
    {"inputs": {"age": [[1]], "name": [["data"]]}},
    {"data": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]},
    {"inputs": {"a": [[1, 2], [3, 4]], "b": 1.5}},
]
GARBAGE: list[Any] = [
    *(None, True, 0, -1, 1.5, 1e300, 2**64, -(2**70), 10**400, "", "x", "1", [], [[]], [[[]]], {}, {"a": 1}),
    *([1], [1, 2, 3], [None], [[None, None]], [["1", "2"]], [[1, 2], [3]], [[1], 2], [{}], "\ud800"),
    *([{"a": 1}], [{"a": 1, "b": 2, "c": 3}], {"X": []}, {"X": [[1, 2]], "Y": 1}, {"\ud800": 1}, [[True, False]]),
]
TEXTS = [
    *(
        b"",
        b" ",
        b"{",
        b"[",
        b"nul",
        b'{"data":[[1,2]]',
        b'{"data":[[1,2]]}x',
        b'{"data":[[1,2],]}',
        b'{"data":[[NaN,1]]}',
    ),
    *(b'{"data":[[Infinity,1]]}', b'{"data":[[-Infinity,1]]}', b"\xff\xfe", b'{"data":"\xff"}', b"\xef\xbb\xbf{}"),
    *(b'{"data":[[01,2]]}', b'{"data":[[1.,2]]}', b'{"data":[[.5,2]]}', b'{"data":[[+1,2]]}', b'{"data":[[0x1,2]]}'),
    *(b"[" * 200_000, b'{"data":' + b"[" * 50_000 + b"]" * 50_000 + b"}", b'{"data":[[' + b"9" * 5000 + b",1]]}"),
    *(
        b"{'data':[[1,2]]}",
        b'{"data":[[1,2]]/*x*/}',
        b'{"data":[["\x01",2]]}',
        b'{"data":[[1e999,2]]}',
        b"\x00",
        b"null",
    ),
]


@given(bodies.with_rows(bodies.tabular() | bodies.deep()))
def test_valid_rows_are_read_exactly_in_every_form(drawn: tuple[Signature, Tensors]) -> None:
    signature, tensors = drawn
    decode, diagnose = JsonBody(signature, max_rows=10), JsonDiagnosis(signature, max_rows=10)
    for form, value in bodies.forms(signature, tensors).items():
        for escaped in (True, False):
            body = json.dumps({form: value, "id": "one"}, ensure_ascii=escaped).encode()
            bodies.same(tensors, decode(body))
            bodies.same(tensors, diagnose(body, ""))
            assert decode(body).id == "one"
            assert decode(body).rows == len(next(iter(tensors.values())))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


@given(st.sampled_from(SIGNATURES), st.sampled_from(VALID), st.data())
def test_the_compiled_decoder_and_the_diagnosis_accept_the_same_bodies(
    signature: Signature, document: Any, data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from(places(document)))
    body = json.dumps(replaced(document, place, data.draw(st.sampled_from([*GARBAGE, *VALID])))).encode()
    cut = data.draw(st.none() | st.integers(0, len(body)))
    body = body[:cut]
    fast = bodies.outcome(JsonBody(signature, max_rows=3), body)
    slow = bodies.outcome(lambda text: JsonDiagnosis(signature, max_rows=3)(text, ""), body)
    assert (fast is None) == (slow is None)
    if fast is not None and slow is not None:
        bodies.same(slow.tensors, fast)
        assert fast.id == slow.id


@given(st.sampled_from(SIGNATURES), st.binary(max_size=30) | st.text(max_size=30).map(str.encode))
@example(TABLE, b'{"data":[[1,2]],"id":"a\\n"}')
def test_any_bytes_are_refused_and_nothing_else_happens(signature: Signature, body: bytes) -> None:
    assert bodies.outcome(JsonBody(signature, max_rows=3), body) is None


@pytest.mark.parametrize("signature", SIGNATURES)
def test_hundreds_of_malformed_bodies_are_refused(signature: Signature) -> None:
    decode = JsonBody(signature, max_rows=3)
    wrong = [*TEXTS, *(json.dumps({"x": value}).encode() for value in GARBAGE)]
    wrong += [
        json.dumps({**document, "id": value}).encode() for document in VALID for value in ("", " ", "é", 5, "a\n")
    ]
    wrong += [json.dumps({**document, "data": [[1]], "records": []}).encode() for document in VALID]
    wrong += [json.dumps(value).encode() for value in GARBAGE]
    for body in wrong:
        assert bodies.outcome(decode, body) is None, body[:100]


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[[1,2]],"data":[[3,4]]}',
        b'{"data":[[1,2]],"d\\u0061ta":[[3,4]]}',
        b'{"records":[{"a":1,"b":2,"a":3}]}',
        b'{"records":[{"a":1,"b":2,"\\u0061":3}]}',
        b'{"records":[{"a":1,"b":2},{"a":1,"b":2,"b":2}]}',
        b'{"inputs":{"X":[[1,2]],"X":[[1,2]]}}',
        b'{"inputs":{"X":[[1,2]],"\\u0058":[[1,2]]}}',
        b'{"data":[[1,2]],"id":"a","id":"b"}',
        b'{"data":[[1,2]],"id":null,"id":"b"}',
    ],
)
def test_a_key_that_stands_twice_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="twice"):
        JsonBody(TABLE, max_rows=10)(body)


@given(bodies.with_rows(bodies.tabular()), st.data())
def test_a_column_that_stands_twice_is_refused_whatever_its_name(
    drawn: tuple[Signature, Tensors], data: st.DataObject
) -> None:
    signature, tensors = drawn
    record = list(bodies.forms(signature, tensors)["records"][0].items())
    twice = [*record, data.draw(st.sampled_from(record))]
    pairs = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in twice)
    with pytest.raises(Malformed, match="twice"):
        JsonBody(signature, max_rows=10)(f'{{"records":[{{{pairs}}}]}}'.encode())


def test_an_id_of_null_is_no_id() -> None:
    body = b'{"data":[[1,2]],"id":null}'
    assert JsonBody(TABLE, max_rows=10)(body).id is None
    assert JsonDiagnosis(TABLE, max_rows=10)(body, "").id is None


def test_an_id_with_a_line_break_never_reaches_a_header() -> None:
    for text in ("a\n", "\n", "a\r", "a b", "é", "a" * 129):
        with pytest.raises(Invalid, match="key 'id'"):
            JsonBody(TABLE, max_rows=10)(msgspec.json.encode({"data": [[1, 2]], "id": text}))


@pytest.mark.parametrize("dtype", [name for name in DTYPES if "int" in name])
def test_a_whole_number_beyond_its_dtype_is_refused_with_its_place(dtype: str) -> None:
    limits = np.iinfo(dtype)
    column = Tensor("x", dtype, (None, 1), (Column("n", dtype),))
    bare = Tensor("x", dtype, (None, 2))
    for value in (int(limits.max) + 1, int(limits.min) - 1, 2**70, 1.5, True, "1", None):
        with pytest.raises(Invalid, match="row 1, column 'n'") as caught:
            JsonBody(Signature(Kind.TENSORS, (column,), bodies.OUTPUTS), max_rows=9)(
                json.dumps({"data": [[0], [value]]}).encode()
            )
        assert (caught.value.problems[0].row, caught.value.problems[0].column) == (1, "n")
        with pytest.raises(Invalid, match=r"row 1, input 'x\[0\]'"):
            JsonBody(Signature(Kind.TENSORS, (bare,), bodies.OUTPUTS), max_rows=9)(
                json.dumps({"inputs": {"x": [[0, 0], [value, 0]]}}).encode()
            )


def test_a_nullable_column_of_whole_numbers_takes_no_null() -> None:
    tensor = Tensor("x", "int64", (None, 2), (Column("n", "int64", nullable=True), Column("m", "int64", nullable=True)))
    decode = JsonBody(Signature(Kind.TENSORS, (tensor,), bodies.OUTPUTS), max_rows=9)
    for body in (b'{"data":[[1,null]]}', b'{"inputs":{"x":[[1,null]]}}'):
        with pytest.raises(Invalid, match="row 0, column 'm'"):
            decode(body)


@pytest.mark.parametrize(
    ("dtype", "text"), [("float32", "3.4028235e38"), ("float16", "65504.0"), ("float16", "65519.0")]
)
def test_the_largest_float_is_read_and_the_next_is_refused(dtype: str, text: str) -> None:
    signature = Signature(Kind.TENSORS, (Tensor("x", dtype, (None,), (Column("n", dtype),)),), bodies.OUTPUTS)
    decode = JsonBody(signature, max_rows=9)
    for sign in ("", "-"):
        assert np.isfinite(decode(f'{{"data":[[{sign}{text}]]}}'.encode()).tensors["x"]).all()
        with pytest.raises(Invalid, match="row 0, column 'n'"):
            decode(f'{{"data":[[{sign}1{text}]]}}'.encode())


@pytest.mark.parametrize(
    ("signature", "body", "message"),
    [
        (TABLE, {}, "exactly one of"),
        (TABLE, {"data": [[1, 2]], "inputs": {"X": [[1, 2]]}}, "'data' and 'inputs'"),
        (TABLE, {"data": []}, "no rows"),
        (TABLE, {"data": [[1, 2]] * 4}, "4 rows and the limit is 3"),
        (TABLE, {"inputs": {"X": [[1, 2]] * 4}}, "4 rows and the limit is 3"),
        (TABLE, {"data": [[1, 2], [3]]}, "a list of 2 values (a, b) in row 1, received a list of 1"),
        (TABLE, {"records": [{"a": 1}]}, "a value in row 0, column 'b', received no such key"),
        (TABLE, {"records": [{"a": 1, "b": 2, "c": 3}]}, "row 0, column 'c', received an unknown column"),
        (TABLE, {"data": 5}, "a list of rows in key 'data', received 5"),
        (TABLE, {"date": []}, "key 'date', received an unknown key"),
        (TABLE, {"inputs": []}, "key 'inputs', received a list of 0"),
        (MIXED, {"inputs": {"age": [[1]], "name": [["a"], ["b"]]}}, "'age' has 1 and 'name' has 2"),
        (MIXED, {"data": [[1, 5]]}, "a text in row 0, column 'name', received 5"),
        (IMAGE, {"inputs": {"image": [[[1, 2]], [[1]]]}}, "in row 1, input 'image[0]', received a list of 1"),
        (IMAGE, {"inputs": {"image": [[[1, 2]], [[1, 300]]]}}, "in row 1, input 'image[0][1]', received 300"),
        (IMAGE, {"inputs": {"picture": 1}}, "a value in input 'image', received no such key"),
        (UNIT, {"inputs": {"a": [[1, 2]], "b": 1}}, "a list of 2 (shape [2, 2]) in input 'a', received a list of 1"),
        (UNIT, {"inputs": {"a": [[1, 2], [3, 4]], "b": "x"}}, "in input 'b', received \"x\""),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where(signature: Signature, body: Any, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        JsonBody(signature, max_rows=3)(json.dumps({**body, "id": "mine"}).encode())
    assert message in caught.value.message
    assert caught.value.request_id == "mine"
    assert caught.value.problems


def test_at_most_twenty_problems_are_listed_over_several_inputs() -> None:
    inputs = (Tensor("p", "int64", (None, 30)), Tensor("q", "int64", (None, 2, 3)))
    signature = Signature(Kind.TENSORS, inputs, bodies.OUTPUTS)
    with pytest.raises(Invalid) as caught:
        JsonBody(signature, max_rows=3)(json.dumps({"inputs": {"p": [["x"] * 30], "q": [1]}}).encode())
    assert len(caught.value.problems) == 20


def test_rows_without_an_inner_value_keep_the_declared_rank_and_width() -> None:
    decoded = JsonBody(IMAGE, max_rows=3)(b'{"inputs":{"image":[[],[]]}}')
    assert decoded.tensors["image"].shape == (2, 0, 2)


@pytest.mark.parametrize("body", [b'{"\\ud800":1}', b'{"' + b"k" * 100_000 + b'":1}', b'{"records":[{"\\udfff":1}]}'])
def test_a_strange_key_is_repeated_in_a_form_that_can_be_sent(body: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        JsonBody(TABLE, max_rows=3)(body)
    assert len(msgspec.json.encode([caught.value.message, caught.value.problems])) < 2000
