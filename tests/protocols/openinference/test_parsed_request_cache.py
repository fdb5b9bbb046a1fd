"""Documents that were read before: whatever was read, a body means what it means to who reads it for the first time."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.errors import Malformed, SeptetError
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.http.http_messages import HttpRequest
from septet.protocols.openinference import parsed_request_cache
from septet.protocols.openinference.datatypes import DATATYPES
from septet.protocols.openinference.infer_request import InferRequestReader
from tests.budgets import examples
from tests.protocols import models

LENGTH = b"inference-header-content-length"
TENSORS = models.service(
    Signature(
        Kind.TENSORS,
        (Tensor("a", "float32", (None, 2, 2)), Tensor("b", "uint64", (None,))),
        (Tensor("y", "float32", (None, 2)), Tensor("t", "string", (None,))),
    ),
    {"a": np.ones((1, 2, 2)), "b": [1]},
    {"y": [[1.0, np.nan]], "t": ["yes"]},
)
MISSING = models.service(
    Signature(
        Kind.REGRESSION,
        (Tensor("x", "float32", (None, 2), (Column("a", "float32", nullable=True), Column("b", "float32"))),),
        (Tensor("y", "float32", (None, 1)),),
    ),
    {"x": [[1.0, 2.0]]},
    {"y": [[1.0]]},
)
SERVICES = {"one": models.classifier(), "columns": models.mixed(), "tensors": TENSORS, "missing": MISSING}


def inference(service: str = "one") -> InferRequestReader:
    return InferRequestReader(models.request_factory(SERVICES[service]))


def meaning(service: str, decode: InferRequestReader, http: HttpRequest) -> Any:
    """All that a request comes to, but for the id and the time of its deadline."""
    try:
        _, request, encode = decode.infer(http)
    except SeptetError as error:
        return type(error), error.message, error.problems
    tensors = {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in request.tensors.items()}
    reply = models.answered(SERVICES[service], request, encode)
    return tensors, request.rows, request.outputs, request.id, reply


def http(body: bytes, length: int | None) -> HttpRequest:
    headers = {} if length is None else {LENGTH: str(length).encode()}
    return HttpRequest("POST", "/v2/models/iris/infer", b"", {**headers, b"x-request-id": b"same"}, body)


FLOATS = st.sampled_from(["1", "2.5", "-0.0", "1e3", "3.4e38", "0.1"])
TEXTS = st.sampled_from(
    ['"A"', '"B"', '"C"', '"]"', '"[1]},"', '"data"', '"id"', '""', '"\\u00e9"', '"é"', '"a\\"]b"', "null"]
)
CELLS = {
    "float32": FLOATS,
    "float64": FLOATS | st.just("null"),
    "int64": st.sampled_from(["1", "-2", "120"]),
    "uint64": st.sampled_from(["0", "7", str(2**64 - 1), str(2**64), "1.0"]),
    "bool": st.sampled_from(["true", "false"]),
    "string": TEXTS,
}
ODD = st.sampled_from(["NaN", "null", '"1"', "1e40", "true", "[1,2,3,4]", "", "1, 2", '"data"', "[", "]", "]}", '"'])
OTHERS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {},
        {},
        {"parameters": {"timeout": 5}},
        {"parameters": {"binary_data_output": True}},
        {"parameters": {"data": 'x"data": [1'}},
        {"parameters": {"id": "b"}},
        {"unknown": [1, 2, 3, 4]},
        {"unknown": {"data": "@"}},
        {"unknown": {"id": "a"}},
        {"unknown": "data"},
        {"unknown": "id"},
    ]
)
IDS = st.sampled_from(["a", "b", "0f-9", "with space", "", "\\", '"', "é", "x" * 129, 7, None])
OUTPUTS: dict[str, list[Any]] = {
    "one": [
        [{"name": "label"}],
        [{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}],
        [{"name": "probabilities", "parameters": {"binary_data": True}}],
        [{"name": "probabilities", "parameters": {"classification": 2}}],
    ],
    "columns": [[{"name": "p"}]],
    "missing": [[{"name": "y"}]],
    "tensors": [[{"name": "t"}, {"name": "y"}], [{"name": "y", "parameters": {"binary_data": True}}]],
}


@st.composite
def values(draw: st.DrawFn, tensor: Tensor, rows: int, *, nested: bool) -> str:
    """The JSON of an input's data, now and then with a fault."""
    shape = [rows, *[size for size in tensor.shape[1:] if size is not None]]
    cells = [draw(CELLS[tensor.dtype]) for _ in range(math.prod(shape))]
    fault = draw(st.integers(0, 11))
    if fault == 0:
        cells[draw(st.integers(0, len(cells) - 1))] = draw(ODD)
    elif fault == 1:
        cells = cells[1:]
    comma = draw(st.sampled_from([",", ", "]))
    sizes = shape[1:] if nested else []
    if fault == 2 and len(sizes) == 1 and sizes[0] == 4:
        sizes = [draw(st.sampled_from([2, 8]))]
    for size in reversed(sizes):
        cells = [f"[{comma.join(cells[at : at + size])}]" for at in range(0, len(cells), size)]
    return f"[{comma.join(cells)}]"


ELEMENTS = {
    # The last two are no texts: they say that they are longer, or are no UTF-8.
    "string": st.sampled_from([b"\4\0\0\0male", b"\4\0\0\0a\xc3\xa9b", b"\5\0\0\0male", b"\4\0\0\0m\xffle"]),
    "bool": st.sampled_from([b"\0", b"\1", b"\1", b"\2"]),
}


@st.composite
def raw(draw: st.DrawFn, tensor: Tensor, rows: int) -> bytes:
    """The bytes of an input, always as many, now and then with a fault."""
    numbers = st.integers(0, 99).map(lambda value: np.array(value, DTYPES[tensor.dtype]).tobytes())
    count = rows * math.prod(size for size in tensor.shape if size is not None)
    return b"".join([draw(ELEMENTS.get(tensor.dtype, numbers)) for _ in range(count)])


@st.composite
def documents(draw: st.DrawFn, service: str) -> list[tuple[bytes, int | None]]:
    """Bodies that differ in their values and their id, each with its length of JSON, if that is said: mostly good."""
    tensors = SERVICES[service].signature.inputs
    rows = draw(st.sampled_from([1, 1, 2]))
    in_json = draw(st.booleans())
    inputs: list[dict[str, Any]] = []
    for at, tensor in enumerate(tensors):
        size = len(draw(raw(tensor, rows)))
        given: dict[str, Any] = {"name": tensor.name, "shape": [rows, *tensor.shape[1:]]}
        given["datatype"] = DATATYPES[tensor.dtype]
        given |= {"data": f"@{at}"} if in_json else {"parameters": {"binary_data_size": size}}
        inputs.append({key: given[key] for key in draw(st.permutations(list(given)))})
    body: dict[str, Any] = {"inputs": draw(st.permutations(inputs)), **draw(OTHERS)}
    if draw(st.integers(0, 2)) == 0:
        body["outputs"] = draw(st.sampled_from(OUTPUTS[service]))
    if draw(st.booleans()):
        body["id"] = "@id"
    order = draw(st.permutations(list(body)))
    text = json.dumps({key: body[key] for key in order}, indent=draw(st.sampled_from([None, 1])))
    nested = [draw(st.booleans()) for _ in tensors]
    by_name = {tensor.name: tensor for tensor in tensors}
    made: list[tuple[bytes, int | None]] = []
    for _ in range(3):
        filled = text.replace('"@id"', json.dumps(draw(IDS), ensure_ascii=draw(st.booleans())))
        for at, tensor in enumerate(tensors):
            filled = filled.replace(f'"@{at}"', draw(values(tensor, rows, nested=nested[at])))
        document = filled.encode()
        tail = b"".join([draw(raw(by_name[each["name"]], rows)) for each in body["inputs"]])
        tail += draw(st.sampled_from([b"", b"", b"", b"\0"]))
        made.append((document, None) if in_json else (document + tail, len(document)))
    return made


@given(st.data())
@settings(max_examples=examples(50), deadline=None)
def test_what_was_read_before_changes_no_meaning(data: st.DataObject) -> None:
    service = data.draw(st.sampled_from(list(SERVICES)))
    drawn = data.draw(st.lists(documents(service), min_size=1, max_size=4))
    warm = inference(service)
    for body, length in [body for bodies in drawn for body in bodies] * 2:
        assert meaning(service, warm, http(body, length)) == meaning(service, inference(service), http(body, length))


HEAD = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","data":'
BODY = HEAD + b"[1,2,3,4]}]}"
BINARY = b'{"inputs":[{"name":"X","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}]}'


def kept(decode: InferRequestReader, body: bytes) -> bool:
    assert decode._cache is not None
    return decode._cache.find_json(body) is not None


def test_a_document_is_known_with_other_values() -> None:
    decode = inference()
    decode.infer(http(BODY, None))
    assert kept(decode, HEAD + b"[ -1.5, 2e3,0, 9 ]}]}")
    decode.infer(http(HEAD + b"[[1,2,3,4]]}]}", None))
    assert kept(decode, HEAD + b"[ [5,6,7 ,8] ]}]}")
    assert kept(decode, HEAD + b"[5,6,7,8]}]}")
    decode.infer(http(BINARY + bytes(16), len(BINARY)))
    assert decode._cache is not None
    assert decode._cache.find_binary(BINARY + b"\1" * 16, len(BINARY)) is not None


def test_what_follows_a_known_document_within_its_length_is_read_with_care() -> None:
    decode = inference()
    for _ in range(2):
        decode.infer(http(BINARY + bytes(16), len(BINARY)))
    with pytest.raises(Malformed):
        decode.infer(http(BINARY + b"x" + bytes(16), len(BINARY) + 1))


def test_a_document_is_known_with_another_id() -> None:
    decode = inference()
    for length in (None, len(BINARY) + 9):
        body = (BODY if length is None else BINARY) + (b"" if length is None else bytes(16))
        for own in (b"a", b"b"):
            _, request, encode = decode.infer(http(b'{"id":"' + own + b'",' + body[1:], length))
            assert request.id == own.decode()
            assert b'"id":"' + own + b'"' in models.answered(SERVICES["one"], request, encode).body
    assert kept(decode, b'{"id":"c",' + BODY[1:])
    assert decode._cache is not None
    assert decode._cache.find_binary(b'{"id":"c",' + BINARY[1:] + bytes(16), len(BINARY) + 9) is not None


COLUMNS = (
    b'{"inputs":[{"name":"sex","shape":[1,1],"datatype":"BYTES","data":["male"]},'
    b'{"name":"fare","shape":[1,1],"datatype":"FP64","data":[1.5]},'
    b'{"name":"deck","shape":[1,1],"datatype":"BYTES","data":["A"]},'
    b'{"name":"alone","shape":[1,1],"datatype":"BOOL","data":[true]},'
    b'{"name":"age","shape":[1,1],"datatype":"INT64","data":[29]}]}'
)


TEXTS_AND_MORE = (
    b'{"inputs":[{"name":"sex","shape":[1,1],"datatype":"BYTES","parameters":{"binary_data_size":8}},'
    b'{"name":"fare","shape":[1,1],"datatype":"FP64","parameters":{"binary_data_size":8}},'
    b'{"name":"deck","shape":[1,1],"datatype":"BYTES","parameters":{"binary_data_size":5}},'
    b'{"name":"alone","shape":[1,1],"datatype":"BOOL","parameters":{"binary_data_size":1}},'
    b'{"name":"age","shape":[1,1],"datatype":"INT64","parameters":{"binary_data_size":8}}]}'
)


def test_a_document_whose_texts_lie_behind_it_is_known_while_they_are_sound() -> None:
    decode = inference("columns")
    sound = b"\4\0\0\0male" + bytes(8) + b"\1\0\0\0A" + b"\1" + bytes(8)
    decode.infer(http(TEXTS_AND_MORE + sound, len(TEXTS_AND_MORE)))
    assert decode._cache is not None
    other = sound.replace(b"male", b"fema").replace(b"A", b"B")
    known = decode._cache.find_binary(TEXTS_AND_MORE + other, len(TEXTS_AND_MORE))
    assert known is not None
    tensors = known[1]
    assert (tensors["sex"].tolist(), tensors["deck"].tolist(), tensors["alone"].tolist()) == (
        [["fema"]],
        [["B"]],
        [[True]],
    )
    damaged = [sound.replace(b"\4", b"\3"), sound.replace(b"male", b"m\xffle"), sound.replace(b"A\1", b"A\2")]
    assert [decode._cache.find_binary(TEXTS_AND_MORE + each, len(TEXTS_AND_MORE)) for each in damaged] == [None] * 3


def test_a_document_of_several_inputs_is_known_in_any_order_of_them() -> None:
    decode = inference("columns")
    decode.infer(http(COLUMNS, None))
    other = COLUMNS.replace(b"[1.5]", b"[null]").replace(b'["A"]', b'["]},{"]').replace(b"[29]", b"[ 30 ]")
    assert kept(decode, other)
    _, request, _ = decode.infer(http(other, None))
    assert list(request.tensors) == ["age", "fare", "sex", "deck", "alone"]
    assert (request.tensors["age"].tolist(), request.tensors["deck"].tolist()) == ([[30]], [["]},{"]])


@pytest.mark.parametrize(
    "numbers", [b"[1,2,3]", b"[[1,2,3,4]]", b"[1,2,3,NaN]", b"[1,2,3,1e40]", b"[1,2,3,4", b"1", b"", b"[1,2,3,4]]"]
)
def test_other_values_are_read_with_care(numbers: bytes) -> None:
    decode = inference()
    decode.infer(http(BODY, None))
    assert not kept(decode, HEAD + numbers + b"}]}")


@pytest.mark.parametrize("numbers", [b"[[1,2],[3,4]]", b"[[1,2,3,4],[1,2,3,4]]", b"[[1,2,3]]", b"[1,2,3,4]"])
def test_other_lists_in_lists_are_read_with_care(numbers: bytes) -> None:
    decode = inference()
    decode.infer(http(HEAD + b"[[1,2,3,4]]}]}", None))
    assert not kept(decode, HEAD + numbers + b"}]}")


def test_lists_of_other_lengths_are_read_with_care() -> None:
    decode, head = inference(), HEAD.replace(b"[1,4]", b"[2,4]")
    decode.infer(http(head + b"[[1,2,3,4],[5,6,7,8]]}]}", None))
    assert kept(decode, head + b"[[9,2,3,4],[5,6,7,8]]}]}")
    assert not kept(decode, head + b"[[1,2,3],[4,5,6,7,8]]}]}")


@pytest.mark.parametrize("own", [b'""', b'"a b"', b'"\\u0061"', b"7", b"null", b'"\xff"', b'"' + b"x" * 129 + b'"'])
def test_other_ids_are_read_with_care(own: bytes) -> None:
    decode = inference()
    decode.infer(http(b'{"id":"a",' + BODY[1:], None))
    assert not kept(decode, b'{"id":' + own + b"," + BODY[1:])


@pytest.mark.parametrize(
    "body",
    [
        BODY[:-1] + b',"id":"a"}',
        b'{"x":{"id":"a"},' + BODY[1:-1] + b',"id":"a"}',
        b'{"x":{"data":[1,2,3,4]},' + BODY[1:],
        b'{"x":{"data":[1,2,3,4]},' + BODY[1:].replace(b'"data"', b'"d\\u0061ta"'),
        b'{"x":"data",' + BODY[1:],
        b'{"x":"id",' + BODY[1:],
        BODY + b" " * parsed_request_cache.MOST_DOCUMENT_BYTES,
    ],
)
def test_documents_that_cannot_be_told_apart_are_not_kept(body: bytes) -> None:
    decode = inference()
    decode.infer(http(body, None))
    assert not kept(decode, body)


def test_there_is_an_end_to_what_is_kept() -> None:
    decode = inference()
    made = [b" " * at + BODY for at in range(parsed_request_cache.MOST_PREFIXES + 1)]
    for body in made:
        decode.infer(http(body, None))
    assert not kept(decode, made[0])
    assert kept(decode, made[-1])
    made = [BODY + b" " * at for at in range(parsed_request_cache.MOST_PER_PREFIX + 1)]
    for body in made:
        decode.infer(http(body, None))
    assert [kept(decode, body) for body in made] == [False] + [True] * parsed_request_cache.MOST_PER_PREFIX
