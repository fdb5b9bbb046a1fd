"""What a call looks like on the wire, and what a reply says beside its tensors."""

import json
import math

import msgspec
import numpy as np
import pytest

from septet.protocols.rpc.descriptors import message
from septet.remote.grpc_codec import GrpcCodec
from septet.remote.http_codec import HttpCodec
from septet.remote.remote_calls import CallFailure, InferCall, InferResult, ServerMetadataCall, WireReply
from septet.types import Identity

CALL = InferCall("iris", {"x": np.ones((1, 2), np.float32)}, ("y",), "an-id", "a-trace")
DIGEST = "sha256:" + "a1" * 32
HEADERS = {"septet-model-digest": DIGEST, "septet-flags": "degraded, cached"}
ANSWERED = InferResult({}, Identity("iris", "7", DIGEST), ("degraded", "cached"))


@pytest.mark.parametrize(
    ("seconds", "milliseconds"),
    [(30.0, 30_000), (29.97, 30_000), (29.44, 29_500), (1.2344, 1_240), (0.9, 900), (0.0123, 13), (1e-9, 1)],
)
def test_the_milliseconds_that_are_left_are_told_in_three_digits(seconds: float, milliseconds: int) -> None:
    body = HttpCodec("http://host", "", binary=False).write(CALL, seconds).body
    assert msgspec.json.decode(body)["parameters"]["timeout"] == milliseconds * 1000


def test_the_documents_of_two_requests_differ_in_their_id_alone() -> None:
    codec = HttpCodec("http://host", "", binary=True)
    one = codec.write(CALL, 29.99)
    other = codec.write(msgspec.structs.replace(CALL, id="another-id"), 29.95)
    length = int(one.headers["inference-header-content-length"])
    assert one.body[:length].replace(b"an-id", b"another-id") == other.body[: length + 5]
    assert one.body.startswith(b'{"id":"an-id"')


@pytest.mark.parametrize("codec", [HttpCodec("http://host", "", binary=True), GrpcCodec("grpc://host")])
def test_id_and_trace_are_headers(codec: HttpCodec | GrpcCodec) -> None:
    headers = codec.write(CALL, 1.0).headers
    assert (headers["x-request-id"], headers["traceparent"]) == ("an-id", "a-trace")
    without = codec.write(InferCall("iris", CALL.tensors, None), 1.0).headers
    assert not {"x-request-id", "traceparent"} & without.keys()


def test_an_answer_says_who_gave_it_and_how_good_it_is() -> None:
    call = msgspec.structs.replace(CALL, outputs=())
    body = msgspec.json.encode({"model_name": "iris", "model_version": "7", "outputs": []})
    assert HttpCodec("http://host", "", binary=True).read(call, WireReply(200, HEADERS, body)) == ANSWERED
    answer = message("inference.ModelInferResponse")(model_name="iris", model_version="7").SerializeToString()
    assert GrpcCodec("grpc://host").read(call, WireReply(0, HEADERS, answer)) == ANSWERED


def test_typed_contents_are_read_like_raw_ones() -> None:
    answer = message("inference.ModelInferResponse")()
    output = answer.outputs.add(name="y", datatype="FP32", shape=[2, 1])
    output.contents.fp32_contents.extend([1.5, 2.5])
    result = GrpcCodec("grpc://host").read(CALL, WireReply(0, {}, answer.SerializeToString()))
    assert isinstance(result, InferResult)
    assert result.tensors["y"].tolist() == [[1.5], [2.5]]
    assert result.tensors["y"].dtype == np.float32
    output.contents.fp32_contents.append(3.5)
    assert isinstance(GrpcCodec("grpc://host").read(CALL, WireReply(0, {}, answer.SerializeToString())), CallFailure)


def test_a_server_of_grpc_says_what_it_knows_beyond_the_protocol() -> None:
    said = message("inference.ServerMetadataResponse")(name="triton", extensions=["binary_tensor_data"])
    read = GrpcCodec("grpc://host").read(ServerMetadataCall(), WireReply(0, {}, said.SerializeToString()))
    assert read == {"name": "triton", "extensions": ["binary_tensor_data"]}


def test_bytes_beside_numbers_that_are_not_finite_are_base64() -> None:
    call = InferCall("m", {"a": np.array([b"\xff\0"], object), "b": np.array([np.nan])}, None)
    body = HttpCodec("here", "", binary=False).write(call, 1.0).body
    first, second = json.loads(body)["inputs"]
    assert (first["datatype"], first["data"]) == ("BYTES", ["/wA="])
    assert math.isnan(second["data"][0])


def test_missing_bytes_of_an_answer_are_none() -> None:
    outputs = [{"name": "a", "shape": [2], "datatype": "BYTES", "data": ["/wA=", None]}]
    reply = WireReply(200, {}, json.dumps({"outputs": outputs}).encode())
    codec = HttpCodec("here", "", binary=False)
    for byte_outputs, first in ((frozenset("a"), b"\xff\0"), (frozenset[str](), "/wA=")):
        result = codec.read(InferCall("m", {}, None, byte_outputs=byte_outputs), reply)
        assert isinstance(result, InferResult)
        assert result.tensors["a"].tolist() == [first, None]
