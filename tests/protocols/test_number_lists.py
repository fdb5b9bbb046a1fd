"""Long lists of numbers are read slice by slice, and mean what they would mean at once."""

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import numpy as np
import pytest

from septet.errors import Invalid, Malformed, SeptetError
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.json_slices import SLICE_BYTES
from septet.protocols.codecs.rows_document import RowsDocument
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.protocols.tfserving.v1_routes import BODY_FORMAT as V1
from septet.settings import Limits
from septet.types import Array
from tests.protocols import models

OUTPUT = (Tensor("y", "float32", (None, 1)),)
FREE = Signature(Kind.TENSORS, (Tensor("x", "float32", (None, None)),), OUTPUT)
DEEP = Signature(Kind.TENSORS, (Tensor("x", "int64", (None, None, 2)),), OUTPUT)
SEVERAL = Signature(Kind.TENSORS, (Tensor("x", "float32", (None, None)), Tensor("t", "float32", (None, 1))), OUTPUT)
SINGLE = Signature(Kind.TENSORS, (Tensor("x", "float64", (None, 1)),), OUTPUT)
WIDTH = 100_000
LIMITS = Limits(max_rows=1_000_000)


def native(signature: Signature, body: bytes) -> dict[str, Array]:
    """The tensors of a native body."""
    return dict(JsonBody(signature, max_rows=LIMITS.max_rows)(body).tensors)


def of_instances(signature: Signature, value: bytes) -> dict[str, Array]:
    """The tensors of a body of TensorFlow Serving's."""
    _, read = RowsDocument(signature, V1, max_rows=LIMITS.max_rows)(b'{"instances": %b}' % value)
    return dict(read.tensors)


def of_data(signature: Signature, value: bytes) -> dict[str, Array]:
    """The tensors of a native body whose `data` is this."""
    return native(signature, b'{"id": "an-id", "data": %b}' % value)


def of_inputs(signature: Signature, value: bytes) -> dict[str, Array]:
    """The tensors of a native body whose only input is this."""
    return native(signature, b'{"inputs": {"x": %b}, "id": "an-id"}' % value)


def of_v2(signature: Signature, value: bytes, shape: list[int] | None = None) -> dict[str, Array]:
    """The tensors of a body of the Open Inference Protocol."""
    made = models.service(
        signature, {"x": np.zeros([1 if size is None else size for size in signature.inputs[0].shape])}, {"y": [[0]]}
    )
    reader = InferRequestReader(models.request_factory(made, LIMITS))
    given = shape or list(np.array(json.loads(value)).shape)
    datatype = {"float32": "FP32", "int64": "INT64", "float64": "FP64"}[signature.inputs[0].dtype]
    head = json.dumps({"name": "x", "shape": given, "datatype": datatype})[:-1].encode()
    _, request, _ = reader.infer(HttpRequest("POST", "", b"", {}, b'{"inputs": [%b, "data": %b}]}' % (head, value)))
    return dict(request.tensors)


Read = Callable[[Signature, bytes], dict[str, Array]]
EVERY = pytest.mark.parametrize("read", [of_data, of_inputs, of_instances, of_v2])


def refused(read: Callable[[], object]) -> SeptetError:
    """The error of what cannot be read."""
    with pytest.raises((Invalid, Malformed)) as caught:
        read()
    return caught.value


@EVERY
def test_numbers_of_free_sizes_mean_what_they_would_at_once(read: Read) -> None:
    values = np.linspace(-1e6, 1e6, 2 * WIDTH).astype(np.float32).reshape(2, WIDTH)
    text = json.dumps(values.tolist()).encode()
    assert len(text) > 4 * SLICE_BYTES
    np.testing.assert_array_equal(read(FREE, text)["x"], values)


@EVERY
def test_lists_in_lists_keep_their_shape_and_their_spaces(read: Read) -> None:
    values = np.arange(2 * WIDTH).reshape(2, -1, 2)
    found = read(DEEP, json.dumps(values.tolist(), indent=0).encode())["x"]
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, values)


@EVERY
def test_a_value_that_is_none_is_named_by_its_row(read: Read) -> None:
    values: list[list[Any]] = [[0.5] * WIDTH, [0.5] * WIDTH]
    values[1][WIDTH // 2] = True
    (problem,) = refused(lambda: read(FREE, json.dumps(values).encode())).problems
    assert problem.row == 1
    assert problem.received == "true"


@EVERY
def test_no_more_than_twenty_problems_are_named(read: Read) -> None:
    text = json.dumps([[True] * WIDTH]).encode()
    assert len(refused(lambda: read(FREE, text)).problems) == 20


@pytest.mark.parametrize("read", [of_data, of_inputs, of_instances])
def test_a_text_among_the_numbers_is_refused_before_they_are_parsed(read: Read) -> None:
    values: list[list[Any]] = [[0.5] * WIDTH, [0.5] * WIDTH]
    values[1][-1] = "x"
    (problem,) = refused(lambda: read(FREE, json.dumps(values).encode())).problems
    assert (problem.row, problem.received) == (1, "a text")


@EVERY
@pytest.mark.parametrize(
    ("old", "new"),
    [(b"2, 3", b"2,, 3"), (b"2, 3", b"2 3"), (b"2, 3", b"2, 3x"), (b"[0,", b"[0[,"), (b"2, 3", b"2], [3")],
)
def test_what_is_not_json_is_refused(read: Read, old: bytes, new: bytes) -> None:
    text = json.dumps([list(range(WIDTH))]).encode().replace(old, new, 1)
    error = refused(lambda: of_v2(FREE, text, [1, WIDTH]) if read is of_v2 else read(FREE, text))
    assert error.code in ("malformed", "invalid")


@EVERY
def test_rows_of_several_lengths_are_refused_with_the_first_other_one(read: Read) -> None:
    text = json.dumps([[1] * WIDTH, [1] * WIDTH, [1] * 5]).encode()
    error = refused(lambda: of_v2(FREE, text, [3, WIDTH]) if read is of_v2 else read(FREE, text))
    assert error.problems[0].row == 2


def test_lists_without_values_are_refused() -> None:
    error = refused(lambda: of_data(FREE, json.dumps([[]] * WIDTH).encode()))
    assert "without values" in error.message


def test_more_rows_than_a_request_may_have_are_refused_before_they_are_parsed() -> None:
    body = b'{"data": %b}' % json.dumps([[1]] * WIDTH).encode()
    with pytest.raises(Invalid, match=f"{WIDTH} rows and the limit is 10"):
        JsonBody(FREE, max_rows=10)(body)


def test_a_short_input_stands_beside_a_long_one() -> None:
    body = b'{"inputs": {"t": [[0.25]], "x": %b}}' % json.dumps([[1.5] * WIDTH]).encode()
    found = native(SEVERAL, body)
    assert list(found) == ["x", "t"]
    assert found["t"].tolist() == [[0.25]]
    assert found["x"].shape == (1, WIDTH)


def test_a_flat_list_is_a_column() -> None:
    found = of_data(SINGLE, json.dumps([0.5] * WIDTH).encode())["x"]
    assert found.shape == (WIDTH, 1)


def test_a_flat_list_of_the_open_inference_protocol_has_its_shape() -> None:
    found = of_v2(FREE, json.dumps([0.5] * WIDTH).encode(), [10, WIDTH // 10])["x"]
    assert found.shape == (10, WIDTH // 10)


def test_a_key_that_stands_twice_is_refused_beside_a_long_list() -> None:
    text = json.dumps([[0.5] * WIDTH]).encode()
    with pytest.raises(Malformed, match="stands twice"):
        native(FREE, b'{"inputs": {"x": %b}, "inputs": {"x": [[1]]}}' % text)


def test_rows_of_columns_are_named_where_a_late_one_is_wrong() -> None:
    columns = tuple(Column(f"c{at}", "float32") for at in range(4))
    signature = Signature(Kind.TRANSFORM, (Tensor("x", "float32", (None, 4), columns),), OUTPUT)
    rows: list[list[Any]] = [[0.123456789] * 4 for _ in range(20_000)]
    rows[-1][2] = "x"
    (problem,) = refused(lambda: native(signature, json.dumps({"data": rows}).encode())).problems
    assert (problem.row, problem.column) == (19_999, "c2")


@pytest.mark.parametrize("size", [600_000, 5_000_000])
def test_a_number_of_thousands_of_digits_is_refused(size: int) -> None:
    with pytest.raises(Malformed, match="digits"):
        of_data(FREE, b"[[%b]]" % (b"1" * size))


def test_long_texts_are_refused_where_the_model_takes_numbers() -> None:
    for text in (b"a" * 1_200_000, b"a" * 2_500_000, b"\\n" * 600_000):
        with pytest.raises(Invalid, match="long text"):
            of_data(FREE, b'[["%b"]]' % text)


@pytest.mark.parametrize("before", [b"", b'"id": "1", '])
def test_long_stretches_between_texts_are_no_texts(before: bytes) -> None:
    body = b'{%b"data": [[%b1]]}' % (before, b" " * 2_500_000)
    assert native(FREE, body)["x"].tolist() == [[1.0]]


@EVERY
def test_no_call_of_a_parser_is_given_all_of_a_long_list(read: Read) -> None:
    text = json.dumps([[0.5] * (3 * WIDTH)]).encode()
    calls = 0

    def look(_: FrameType, event: str, called: Any) -> None:
        nonlocal calls
        calls += event == "c_call" and called.__name__ == "decode" and isinstance(called.__self__, msgspec.json.Decoder)

    sys.setprofile(look)
    try:
        read(FREE, text)
    finally:
        sys.setprofile(None)
    assert calls >= len(text) // SLICE_BYTES
