"""Documents that were read before: whatever was read, a body means what it means to who reads it for the first time."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.errors import SeptetError
from septet.protocols.dataplane import Dataplane
from septet.protocols.http import HttpRequest
from septet.protocols.openinference import plans
from septet.protocols.openinference.inference import Inference
from tests.protocols import models

LENGTH = b"inference-header-content-length"
SERVICE = models.classifier()


def inference() -> Inference:
    return Inference(Dataplane(SERVICE, models.LIMITS))


def meaning(decode: Inference, http: HttpRequest) -> Any:
    """All that a request comes to, but for the id and the time of its deadline."""
    try:
        request, encode = decode(http)
    except SeptetError as error:
        return type(error), error.message, error.problems
    tensors = {name: (array.dtype, array.shape, array.tobytes()) for name, array in request.tensors.items()}
    reply = models.answered(SERVICE, request, encode)
    shown = reply.body.replace(request.id.encode(), b"")
    return tensors, request.rows, request.outputs, reply.status, reply.media_type, reply.headers, shown


def http(body: bytes, length: int | None) -> HttpRequest:
    headers = {} if length is None else {LENGTH: str(length).encode()}
    return HttpRequest("POST", "/v2/models/iris/infer", b"", {**headers, b"x-request-id": b"same"}, body)


NUMBERS = st.lists(st.sampled_from(["1", "2.5", "-0.0", "1e3", "3.4e38", "0.1"]), min_size=4, max_size=8)
ODD = st.sampled_from(["NaN", "null", '"1"', "1e40", "true", "[1,2,3,4]", "", "1, 2", '"data"', "[", "]"])
NAMES = st.sampled_from(["X", "X", "X", "data", '"data": ['])
OTHERS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {},
        {"id": "a"},
        {"parameters": {"timeout": 5}},
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "label"}]},
        {"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}]},
        {"outputs": [{"name": "probabilities", "parameters": {"classification": 2}}]},
        {"parameters": {"data": 'x"data": [1'}},
        {"unknown": [1, 2, 3, 4]},
        {"unknown": {"data": "@"}},
        {"unknown": "data"},
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> list[tuple[bytes, int | None]]:
    """Two bodies that differ in their numbers, each with its length of JSON, if that is said: good ones mostly."""
    rows = draw(st.sampled_from([1, 1, 2]))
    given: dict[str, Any] = {"name": draw(NAMES), "shape": [rows, 4], "datatype": "FP32"}
    in_json = draw(st.booleans())
    given |= {"data": "@"} if in_json else {"parameters": {"binary_data_size": 16 * rows}}
    keys = draw(st.permutations(list(given)))
    others: dict[str, Any] = draw(OTHERS)
    body = {"inputs": [{key: given[key] for key in keys}], **others}
    order = draw(st.permutations(list(body)))
    text = json.dumps({key: body[key] for key in order}, indent=draw(st.sampled_from([None, 1])))
    comma = draw(st.sampled_from([",", ", "]))
    made: list[tuple[bytes, int | None]] = []
    for first in (0, 1):
        cells = draw(NUMBERS)[: 4 * rows]
        if draw(st.integers(0, 3)) == 0:
            cells[0] = draw(ODD)
        document = text.replace('"@"', f"[{comma.join(cells)}]").encode()
        tail = np.arange(first, first + draw(st.sampled_from([4 * rows, 4 * rows, 5])), dtype=np.float32).tobytes()
        made.append((document, None) if in_json else (document + tail, len(document)))
    return made


@given(st.lists(documents(), min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_what_was_read_before_changes_no_meaning(drawn: list[list[tuple[bytes, int | None]]]) -> None:
    warm = inference()
    for body, length in [body for pair in drawn for body in pair] * 2:
        assert meaning(warm, http(body, length)) == meaning(inference(), http(body, length))


HEAD = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":'
BODY = HEAD + b"[1,2,3,4]}]}"
BINARY = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}]}'


def kept(decode: Inference, body: bytes) -> bool:
    assert decode._plans is not None
    return decode._plans.json(body) is not None


def test_a_document_is_known_with_other_numbers() -> None:
    decode = inference()
    decode(http(BODY, None))
    assert kept(decode, HEAD + b"[ -1.5, 2e3,0, 9 ]}]}")
    decode(http(BINARY + bytes(16), len(BINARY)))
    assert decode._plans is not None
    assert decode._plans.binary(BINARY + b"\1" * 16, len(BINARY)) is not None


@pytest.mark.parametrize(
    "numbers", [b"[1,2,3]", b"[[1,2,3,4]]", b"[1,2,3,NaN]", b"[1,2,3,1e40]", b"[1,2,3,4", b"1", b""]
)
def test_other_values_are_read_with_care(numbers: bytes) -> None:
    decode = inference()
    decode(http(BODY, None))
    assert not kept(decode, HEAD + numbers + b"}]}")


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"a",' + BODY[1:],
        HEAD + b"[[1,2,3,4]]}]}",
        b'{"x":{"data":[1,2,3,4]},' + BODY[1:],
        b'{"x":{"data":[1,2,3,4]},' + BODY[1:].replace(b'"data"', b'"d\\u0061ta"'),
        b'{"x":"data",' + BODY[1:],
        BODY + b" " * plans.MOST_BYTES,
    ],
)
def test_documents_that_would_not_come_again_or_cannot_be_told_apart_are_not_kept(body: bytes) -> None:
    decode = inference()
    decode(http(body, None))
    assert not kept(decode, body)


def test_there_is_an_end_to_what_is_kept() -> None:
    decode = inference()
    made = [b" " * at + BODY for at in range(plans.MOST_PLANS + 1)]
    for body in made:
        decode(http(body, None))
    assert not kept(decode, made[0])
    assert kept(decode, made[-1])
