"""Inference messages: both ways of sending tensors, ids, deadlines, wanted outputs, and what is refused."""

import time
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as npst

from septet.errors import Invalid, Malformed, NotFound, SeptetError
from septet.model.signature import DTYPES
from septet.protocols.openinference import infer_messages, typed_contents
from septet.protocols.openinference.datatypes import DATATYPES
from septet.protocols.rpc.descriptors import Message, message
from septet.protocols.rpc.methods import timeout_of
from septet.settings import Limits
from septet.types import Array
from tests.protocols.models import classifier, mixed, reply, single_output, tensors
from tests.protocols.openinference.grpc_messages import (
    answered,
    echo_of,
    http,
    infer_request,
    messages,
    rows_of_x,
    sample_of,
)

# Moments travel as texts, and have tests of their own.
DTYPES_OF_BITS = [dtype for dtype in DATATYPES if not dtype.startswith("datetime64")]
TYPED = [dtype for dtype in DTYPES_OF_BITS if dtype != "float16"]


def decoded(asked: Message, dtype: str) -> Array:
    _, request, _ = messages(echo_of(dtype)).infer(http(asked))
    return request.tensors["x"]


def arrays(dtype: str) -> st.SearchStrategy[Array]:
    shapes = st.tuples(st.integers(1, 5), st.just(2))
    if dtype == "string":
        return npst.arrays(object, shapes, elements=st.text(st.characters(codec="utf-8"), max_size=8))
    if dtype == "bytes":
        return npst.arrays(object, shapes, elements=st.binary(max_size=8))
    return npst.arrays(DTYPES[dtype], shapes)


def refused(asked: Message | bytes, service: Any = None, **headers: str) -> SeptetError:
    with pytest.raises(SeptetError) as caught:
        messages(service or classifier()).infer(http(asked, **headers))
    return caught.value


@pytest.mark.parametrize("way", ["raw", "typed"])
@pytest.mark.parametrize("dtype", TYPED)
@given(data=st.data())
def test_every_datatype_arrives_bit_for_bit(dtype: str, way: str, data: st.DataObject) -> None:
    sent = data.draw(arrays(dtype))
    got = decoded(infer_request({"x": sent}, {"x": dtype}, raw=way == "raw"), dtype)
    assert got.shape == sent.shape
    assert got.tolist() == sent.tolist() if DTYPES[dtype].kind == "O" else got.tobytes() == sent.tobytes()


@pytest.mark.parametrize("dtype", DTYPES_OF_BITS)
def test_a_raw_request_is_answered_raw(dtype: str) -> None:
    answer, _ = answered(echo_of(dtype), infer_request({"x": sample_of(dtype)}, {"x": dtype}, raw=True))
    expected = infer_request({"x": sample_of(dtype)}, {"x": dtype}, raw=True)
    assert list(answer.raw_output_contents) == list(expected.raw_input_contents)
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == ("y", DATATYPES[dtype], [1, 2])
    assert not output.HasField("contents")


@pytest.mark.parametrize("dtype", TYPED)
def test_a_typed_request_is_answered_typed(dtype: str) -> None:
    asked = infer_request({"x": sample_of(dtype)}, {"x": dtype}, raw=False)
    answer, _ = answered(echo_of(dtype), asked)
    assert answer.outputs[0].contents == asked.inputs[0].contents
    assert not answer.raw_output_contents


def test_half_precision_travels_raw_only() -> None:
    error = refused(infer_request({"x": np.zeros((1, 2))}, {"x": "float16"}, raw=True), echo_of("float32"))
    assert "takes the datatype FP32" in str(error)
    asked = message("inference.ModelInferRequest")(model_name="iris")
    asked.inputs.add(name="x", datatype="FP16", shape=[1, 2]).contents.fp32_contents.extend([1.0, 2.0])
    assert "send it in raw_input_contents" in str(refused(asked, echo_of("float16")))


def test_a_typed_request_is_answered_raw_where_an_output_has_no_typed_contents() -> None:
    service = single_output(echo_of("float16").signature.kind, echo_of("float16").signature.outputs[0], [[1.0, 2.0]])
    asked = infer_request({"X": np.ones((1, 2), np.float32)}, {"X": "float32"}, raw=False)
    answer, _ = answered(service, asked)
    assert list(answer.raw_output_contents) == [np.array([1.0, 2.0], np.float16).tobytes()]


def test_a_missing_text_is_answered_as_an_empty_one() -> None:
    written = message("inference.InferTensorContents")()
    typed_contents.write(written, np.array([[None, "a"]], object), "string")
    assert list(written.bytes_contents) == [b"", b"a"]


def test_an_answer_names_the_model_its_version_and_the_id_of_the_request() -> None:
    answer, reply = answered(classifier(), rows_of_x(2, id="abc"))
    assert (answer.model_name, answer.model_version, answer.id) == ("iris", "1.2.0", "abc")
    assert (reply.id, reply.rows) == ("abc", 2)


@pytest.mark.parametrize("strange", ["two words", "grün", "x" * 129])
def test_an_id_that_no_header_can_hold_is_echoed_and_not_used(strange: str) -> None:
    answer, reply = answered(classifier(), rows_of_x(id=strange), x_request_id="caller")
    assert (answer.id, reply.id) == (strange, "caller")


def test_without_an_id_the_answer_has_none_and_the_request_a_new_one() -> None:
    answer, reply = answered(classifier(), rows_of_x())
    assert answer.id == ""
    assert len(reply.id) == 32


def test_the_trace_context_is_kept() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    _, request, _ = messages(classifier()).infer(http(rows_of_x(), traceparent=trace))
    assert request.trace == trace


def test_outputs_come_in_the_order_in_which_they_are_asked_for() -> None:
    asked = rows_of_x()
    for name in ("probabilities", "label"):
        asked.outputs.add(name=name)
    answer, _ = answered(classifier(), asked)
    assert [output.name for output in answer.outputs] == ["probabilities", "label"]


def test_an_output_can_be_asked_for_as_its_best_classes() -> None:
    asked = rows_of_x(2)
    asked.outputs.add(name="probabilities").parameters["classification"].int64_param = 2
    answer, _ = answered(classifier(), asked)
    (output,) = answer.outputs
    assert (output.datatype, list(output.shape)) == ("BYTES", [2, 2])
    assert b"0.900000:0:setosa" in answer.raw_output_contents[0]


def test_texts_have_no_best_classes() -> None:
    sample = {name: np.where(array == None, "C", array) for name, array in (mixed().sample or {}).items()}  # noqa: E711
    dtypes = {each.name: each.dtype for each in mixed().signature.inputs}
    asked = infer_request(
        {name: array.astype(DTYPES[dtypes[name]]) for name, array in sample.items()}, dtypes, raw=True
    )
    asked.outputs.add(name="label").parameters["classification"].int64_param = 1
    assert "has texts" in str(refused(asked, mixed()))


def test_models_without_rows_are_answered_too() -> None:
    service = tensors(rows=False)
    dtypes = {each.name: each.dtype for each in service.signature.inputs}
    answer, _ = answered(service, infer_request(service.sample or {}, dtypes, raw=True))
    assert [output.name for output in answer.outputs] == ["features", "count"]


@pytest.mark.parametrize(
    ("header", "parameter", "expected"),
    [("5S", None, 5.0), ("5S", 2_000_000, 2.0), (None, 2_000_000, 2.0), ("1H", None, 300.0), (None, None, 30.0)],
)
def test_the_deadline_is_the_shorter_of_the_calls_and_the_parameters(
    header: str | None, parameter: int | None, expected: float
) -> None:
    asked = rows_of_x()
    if parameter is not None:
        asked.parameters["timeout"].int64_param = parameter
        asked.parameters["unknown"].string_param = "passed over"
        asked.parameters["empty"].SetInParent()
    _, request, _ = messages(classifier()).infer(http(asked, **({} if header is None else {"grpc_timeout": header})))
    assert request.deadline is not None
    assert request.deadline - time.monotonic() == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize(
    ("written", "seconds"), [("2H", 7200), ("3M", 180), ("4S", 4), ("500m", 0.5), ("20u", 2e-5), ("9n", 9e-9)]
)
def test_timeouts_have_the_units_of_grpc(written: str, seconds: float) -> None:
    assert timeout_of({b"grpc-timeout": written.encode()}) == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "S", "5", "-1S", "1.5S", "5x"])
def test_a_timeout_that_is_none_is_refused(written: str) -> None:
    assert isinstance(refused(rows_of_x(), grpc_timeout=written), Malformed)


def test_bytes_that_are_no_message_are_refused() -> None:
    error = refused(b"\xff\xff\xff")
    assert isinstance(error, Malformed)
    assert "inference.ModelInferRequest" in str(error)


@pytest.mark.parametrize(("name", "version"), [("other", ""), ("iris", "7"), ("", "")])
def test_another_model_or_version_is_not_found(name: str, version: str) -> None:
    asked = rows_of_x(id="mine", model_name=name, model_version=version)
    error = refused(asked)
    assert isinstance(error, NotFound)
    assert error.request_id == "mine"


def test_the_served_version_may_be_named() -> None:
    answer, _ = answered(classifier(), rows_of_x(model_version="1.2.0"))
    assert answer.model_version == "1.2.0"


def test_raw_contents_are_for_all_inputs_or_none() -> None:
    asked = rows_of_x()
    asked.raw_input_contents.append(b"")
    assert "must be none or 1" in str(refused(asked))


def test_raw_and_typed_contents_are_not_mixed() -> None:
    asked = rows_of_x()
    asked.inputs[0].contents.fp32_contents.extend([0.0] * 4)
    assert "one way" in str(refused(asked))


def test_empty_contents_beside_raw_ones_are_no_mixture() -> None:
    asked = rows_of_x()
    asked.inputs[0].contents.SetInParent()
    answer, _ = answered(classifier(), asked)
    assert len(answer.outputs) == 2


@pytest.mark.parametrize("way", ["raw", "typed"])
def test_shared_memory_is_refused(way: str) -> None:
    asked = rows_of_x(raw=way == "raw")
    asked.inputs[0].parameters["shared_memory_region"].string_param = "region"
    assert "not supported" in str(refused(asked))


def test_values_in_the_wrong_field_are_refused() -> None:
    asked = message("inference.ModelInferRequest")(model_name="iris")
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 4]).contents.fp64_contents.extend([1.0] * 4)
    error = refused(asked)
    assert isinstance(error, Invalid)
    assert "stand in fp32_contents alone; received fp64_contents" in str(error)


@pytest.mark.parametrize("count", [0, 3, 5])
def test_more_or_fewer_values_than_the_shape_needs_are_refused(count: int) -> None:
    asked = message("inference.ModelInferRequest")(model_name="iris")
    asked.inputs.add(name="X", datatype="FP32", shape=[1, 4]).contents.fp32_contents.extend([1.0] * count)
    assert f"received {count}" in str(refused(asked))


@pytest.mark.parametrize(("dtype", "value"), [("int8", 128), ("int16", -40_000), ("uint8", 256), ("uint16", 70_000)])
def test_values_out_of_their_range_are_refused_with_their_place(dtype: str, value: int) -> None:
    asked = infer_request({"x": np.zeros((1, 2), dtype)}, {"x": dtype}, raw=False)
    field = getattr(asked.inputs[0].contents, typed_contents.FIELDS[dtype])
    field[1] = value
    assert f"received {value} at position 1" in str(refused(asked, echo_of(dtype)))


def test_texts_that_are_not_utf_8_are_refused() -> None:
    asked = infer_request({"x": sample_of("string")}, {"x": "string"}, raw=False)
    asked.inputs[0].contents.bytes_contents[1] = b"\xff"
    error = refused(asked, echo_of("string"))
    assert isinstance(error, Malformed)
    assert "element 1" in str(error)


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(Invalid, match="limit is 2"):
        messages(classifier(), Limits(max_rows=2)).infer(http(rows_of_x(3)))


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("dtype", DTYPES_OF_BITS)
def test_a_shape_that_was_seen_before_is_read_and_written_as_the_first_time(dtype: str, rows: int) -> None:
    service = echo_of(dtype)
    codec = messages(service)
    asked = infer_request({"x": sample_of(dtype).repeat(rows, 0)}, {"x": dtype}, raw=True, id="again")
    replies = [reply(service, codec.infer, http(asked)).body for _ in range(3)]
    answer = message("inference.ModelInferResponse").FromString(replies[0])
    assert replies == [replies[0]] * 3
    assert list(answer.raw_output_contents) == list(asked.raw_input_contents)
    assert (answer.id, list(answer.outputs[0].shape)) == ("again", [rows, 2])


def test_a_shape_that_was_seen_before_needs_its_bytes_nevertheless() -> None:
    codec = messages(classifier())
    codec.infer(http(rows_of_x()))
    asked = rows_of_x()
    asked.raw_input_contents[0] = b"\0" * 12
    with pytest.raises(Invalid, match="needs 16 bytes, received 12"):
        codec.infer(http(asked))


def test_what_is_remembered_of_shapes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer_messages, "MOST_SHAPES", 2)
    codec, service = messages(classifier()), classifier()
    for count in (1, 2, 3, 1, 2, 3):
        body = reply(service, codec.infer, http(rows_of_x(count))).body
        assert list(message("inference.ModelInferResponse").FromString(body).outputs[0].shape) == [count]


def test_one_message_of_a_stream_is_answered_inside_another() -> None:
    given = reply(classifier(), messages(classifier()).stream_infer, http(rows_of_x(40, id="one")))
    answer = message("inference.ModelStreamInferResponse").FromString(given.body)
    assert (answer.error_message, answer.infer_response.id) == ("", "one")
    assert len(answer.infer_response.raw_output_contents) == 2


@given(st.integers(0, 2**40))
def test_lengths_are_written_as_protobuf_reads_them(length: int) -> None:
    written = message("inference.StatisticDuration").FromString(b"\x08" + infer_messages.varint(length))
    assert written.count == length
