"""A gRPC message is not parsed where it has more fields than any request."""

import pytest

from septet.errors import Malformed
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.field_limits import MOST_FIELDS, MOST_TEXTS, PACKED, TEXTS, CountedFields, check_fields
from tests.protocols import models

COUNTED: CountedFields = {4: {}, 5: {3: PACKED, 4: {}, 5: {8: TEXTS}}, 6: {}}


@pytest.mark.parametrize("field", [1, 3, 4, 5, 6, 7, 15])
def test_more_fields_than_any_request_has_are_not_parsed(field: int) -> None:
    one = bytes((field << 3 | 2, 0))
    check_fields(one * MOST_FIELDS, COUNTED)
    with pytest.raises(Malformed, match="more than 20000 fields"):
        check_fields(one * (MOST_FIELDS + 1), COUNTED)
    http = HttpRequest("POST", "/", b"", {}, one * (1 << 16))
    with pytest.raises(Malformed, match="more than 20000 fields"):
        models.calls(models.classifier()).infer(http)


def test_fields_of_inputs_are_counted_and_their_contents_are_not() -> None:
    asked = message("inference.ModelInferRequest")()
    given = asked.inputs.add(name="x", datatype="BYTES", shape=[30_000, 1])
    given.contents.bytes_contents.extend([b"ab"] * 30_000)
    check_fields(asked.SerializeToString(), COUNTED)
    for at in range(MOST_FIELDS):
        given.parameters[str(at)].bool_param = True
    with pytest.raises(Malformed, match="more than 20000 fields"):
        check_fields(asked.SerializeToString(), COUNTED)


@pytest.mark.parametrize(
    "body", [b"", b"\x2a", b"\x2a\x05", b"\x2a" + b"\xff" * 100_000, b"\x08" + b"\xff" * 100_000, b"\xff" * 9]
)
def test_what_is_no_message_is_left_to_the_parser(body: bytes) -> None:
    check_fields(body, COUNTED)


def test_fields_of_every_kind_are_passed() -> None:
    check_fields(b"\x08\x96\x01" + b"\x0d1234" + b"\x0912345678" + b"\x82\x01\x00", COUNTED)


def test_a_group_is_refused() -> None:
    with pytest.raises(Malformed, match="group"):
        check_fields(b"\x7b\x7c", COUNTED)


def test_a_shape_of_thousands_of_sizes_is_refused() -> None:
    asked = message("inference.ModelInferRequest")()
    asked.inputs.add(name="x", datatype="FP32", shape=[1] * 5000)
    with pytest.raises(Malformed, match="too many sizes"):
        check_fields(asked.SerializeToString(), COUNTED)


def test_more_texts_than_are_parsed_at_once_are_refused() -> None:
    asked = message("inference.ModelInferRequest")()
    asked.inputs.add(name="x", datatype="BYTES", shape=[1]).contents.bytes_contents.extend([b""] * (MOST_TEXTS + 1))
    with pytest.raises(Malformed, match="more than 524288 texts"):
        check_fields(asked.SerializeToString(), COUNTED)
