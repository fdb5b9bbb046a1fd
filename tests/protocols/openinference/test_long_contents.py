"""Long typed contents of a gRPC message are read part by part."""

import numpy as np
import pytest

from septet.errors import Invalid
from septet.model.signature import DTYPES, Kind, Signature, Tensor
from septet.protocols.openinference.long_contents import without_long_contents
from septet.protocols.openinference.typed_contents import FIELDS
from septet.protocols.rpc.descriptors import message
from septet.types import Array
from tests.protocols import models
from tests.protocols.openinference.grpc_messages import http, infer_request

COUNT = 200_000


def signature(dtype: str) -> Signature:
    """Two inputs of this dtype."""
    inputs = (Tensor("a", dtype, (None, None)), Tensor("b", dtype, (None, None)))
    return Signature(Kind.TENSORS, inputs, (Tensor("y", "float32", (None, 1)),))


def decoded(dtype: str, tensors: dict[str, Array], sent: str | None = None) -> dict[str, Array]:
    """The tensors of a message, whose values are sent as another dtype if one is named."""
    named = dict.fromkeys(tensors, sent or dtype)
    sample = np.zeros((1, 1), DTYPES[dtype])
    service = models.service(signature(dtype), {"a": sample, "b": sample}, {"y": [[0]]})
    _, request, _ = models.calls(service).infer(http(infer_request(tensors, named, raw=False)))
    return dict(request.tensors)


@pytest.mark.parametrize("dtype", [dtype for dtype, field in FIELDS.items() if field != "bytes_contents"])
def test_the_values_of_every_datatype_come_as_they_were_sent(dtype: str) -> None:
    kind = DTYPES[dtype]
    if kind.kind in "iu":
        limits = np.iinfo(dtype)
        long = np.resize(np.array([limits.min, limits.max, 0, 1, limits.max // 3], kind), COUNT)
    else:
        long = (np.arange(COUNT) % 7).astype(kind)
    given = {"a": long.reshape(1, -1), "b": long[:3].reshape(1, 3)}
    found = decoded(dtype, given)
    for name, array in given.items():
        assert found[name].dtype == kind
        np.testing.assert_array_equal(found[name], array)


def test_values_of_another_field_are_refused_unread() -> None:
    array = np.ones((1, COUNT), np.int64)
    service = models.service(signature("float32"), {"a": [[0]], "b": [[0]]}, {"y": [[0]]})
    asked = infer_request({"a": array, "b": array}, {"a": "int64", "b": "int64"}, raw=False)
    for each in asked.inputs:
        each.datatype = "FP32"
    with pytest.raises(Invalid, match="whose values stand in fp32_contents alone; received int64_contents"):
        models.calls(service).infer(http(asked))


def test_more_values_than_the_shape_has_are_refused() -> None:
    asked = infer_request({"a": np.ones((1, COUNT), np.int64)}, {"a": "int64"}, raw=False)
    asked.inputs[0].shape[:] = [1, COUNT - 1]
    service = models.service(signature("int64"), {"a": [[0]], "b": [[0]]}, {"y": [[0]]})
    with pytest.raises(Invalid, match=f"needs {COUNT - 1} values in int64_contents, received {COUNT}"):
        models.calls(service).infer(http(asked))


def test_contents_in_several_pieces_are_left_to_the_parser() -> None:
    asked = infer_request({"a": np.ones((1, COUNT), np.int64)}, {"a": "int64"}, raw=False)
    contents = asked.inputs[0].contents.SerializeToString()
    kind = message("inference.ModelInferRequest")
    inner = _field(5, contents + contents)
    body = _field(5, inner)
    assert without_long_contents(body) == (body, {})
    assert len(kind.FromString(body).inputs[0].contents.int64_contents) == 2 * COUNT


def _field(number: int, data: bytes) -> bytes:
    """A field of bytes on the wire, of a length below 2 MiB."""
    size = len(data)
    return bytes((number << 3 | 2, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14)) + data
