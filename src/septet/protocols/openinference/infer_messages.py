"""Inference over gRPC: the message `ModelInferRequest` -> Request, and Response -> `ModelInferResponse`.

Tensors come raw, all of them, or as typed contents, all of them, and the answer goes back as the request came; where an
output is FP16, which has no typed contents, all of it goes raw.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from septet.bounded_cache import BoundedCache
from septet.errors import Invalid, Problem
from septet.lengthy_work import LengthyWork
from septet.model.signature import DTYPES
from septet.model.values import is_text
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import RequestFactory, answered
from septet.protocols.http.routes import Encode
from septet.protocols.openinference import typed_contents
from septet.protocols.openinference.classification import best
from septet.protocols.openinference.datatypes import DATATYPES, input_from_raw, raw_bytes
from septet.protocols.openinference.infer_document import number, refuse_shared_memory, shorter, timeout
from septet.protocols.openinference.infer_schema import InferSchema
from septet.protocols.openinference.long_contents import NO_CONTENTS, LongContents
from septet.protocols.openinference.missing_parameter import MISSING, places
from septet.protocols.rpc.descriptors import Message, message
from septet.protocols.rpc.methods import PROTOBUF, timeout_of
from septet.registry import ServedModel
from septet.tensors import contiguous_bytes
from septet.types import Array, Identity, Request, Response

#: Shapes of messages of which it is kept how to read or write them.
MOST_SHAPES: Final = 1024
# Tags of length-delimited fields: their number times 8, plus 2.
_ID_TAG, _RAW_OUTPUT_TAG, _STREAMED_TAG = b"\x1a", b"\x32", b"\x12"
_ONE_BYTE: Final = 0x80
_TEXTS: Final = frozenset(dtype for dtype in DTYPES if is_text(dtype))

#: Output names, dtypes and shapes.
Shapes: TypeAlias = tuple[tuple[str, str, tuple[int, ...]], ...]


class _RawLayout(NamedTuple):
    """An input of numbers that a request may have: its wire type, shape, and size in bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    size: int


class RawInputReader:
    """Reads raw inputs of one model."""

    def __init__(self, schema: InferSchema) -> None:
        self._schema = schema
        self._layouts: BoundedCache[tuple[str | int, ...], _RawLayout] = BoundedCache(MOST_SHAPES)

    def array(self, name: str, datatype: str, shape: Sequence[int], data: bytes, missing: object = None) -> Array:
        """The array of an input; `missing` is its parameter of that name, None where there is none.

        Raises:
            Invalid, Malformed: as `InferSchema.input`, `places` and `input_from_raw`.
        """
        key: tuple[str | int, ...] = (name, datatype, *shape)
        layout = self._layouts.get(key)
        if layout is not None and len(data) == layout.size and missing is None:
            return np.frombuffer(data, layout.dtype).reshape(layout.shape)
        sizes = list(shape)
        tensor = self._schema.input(name, datatype, sizes)
        at = () if missing is None else places(tensor, datatype, sizes, missing)
        array = input_from_raw(data, tensor, sizes, at)
        if tensor.dtype != "bool" and tensor.dtype not in _TEXTS:  # the bytes of these must be looked at each time
            self._layouts.keep(key, _RawLayout(DTYPES[tensor.dtype].newbyteorder("<"), array.shape, len(data)))
        return array


class RawOutputWriter:
    """Writes answers whose outputs are raw; `head` makes the message of an answer without its id and values.

    Protobuf lets the fields of a message follow each other in any number of pieces. So what protobuf makes of outputs
    of one shape is kept, and the id and the values are appended to it.
    """

    def __init__(self, head: Callable[[Shapes], bytes]) -> None:
        self._head = head
        self._heads: BoundedCache[Shapes, bytes] = BoundedCache(MOST_SHAPES)

    def write(self, message_id: str, outputs: Sequence[tuple[str, str, Array]]) -> bytes:
        """The message; `outputs` are names, dtypes and values."""
        shapes = tuple((name, dtype, array.shape) for name, dtype, array in outputs)
        head = self._heads.get(shapes)
        if head is None:
            head = self._head(shapes)
            self._heads.keep(shapes, head)
        parts: list[bytes | memoryview] = [head]
        if message_id:
            text = message_id.encode()
            parts += (_ID_TAG, varint(len(text)), text)
        for _, dtype, array in outputs:
            data = raw_bytes(array, dtype) if dtype in _TEXTS else contiguous_bytes(array)
            parts += (_RAW_OUTPUT_TAG, varint(len(data)), data)
        return b"".join(parts)


class MessageForm(NamedTuple):
    """How an answer is wanted: under which id, whether raw, whether in a stream, and as how many best classes."""

    id: str
    raw: bool
    streamed: bool
    classes: Mapping[str, int]


class InferMessages:
    """Decodes and encodes for one service.

    Attributes:
        identity: the model's.
    """

    def __init__(self, request_factory: RequestFactory) -> None:
        service = request_factory.service
        identity, signature = service.identity, service.signature
        self._request_factory = request_factory
        self._schema = InferSchema(signature, max_rows=request_factory.limits.max_rows)
        self._served = request_factory.model
        self.identity = identity
        self._response = message("inference.ModelInferResponse")
        self._raw_inputs = RawInputReader(self._schema)
        self._raw_answers = RawOutputWriter(partial(self._head, _identified(identity)))
        self._outputs = {each.name: each.dtype for each in signature.outputs}
        self._all_raw = any(each.dtype not in typed_contents.FIELDS for each in signature.outputs)
        self._rows = signature.rows
        self._labels = {signature.scores: signature.labels}

    def decode(
        self,
        http: HttpRequest,
        asked: Message,
        request_id: str,
        trace: str | None,
        *,
        streamed: bool,
        long: Mapping[int, LongContents] = NO_CONTENTS,
    ) -> tuple[ServedModel, Request, Encode]:
        """Read the message of `ModelInfer`, or one of `ModelStreamInfer`; `request_id` is for the answer's header.

        `trace` is what the headers say of it; `long` has the contents of inputs, by their places, that were cut out.

        Raises:
            Invalid: it is not what the protocol or the model asks for.
        """
        raw = asked.raw_input_contents
        try:
            tensors, rows = self._schema.tensors(
                self._raw(asked.inputs, raw, long) if raw else self._typed(asked.inputs, long)
            )
        except LengthyWork as work:
            work.owner = self._served
            raise
        outputs, classes = self._wanted(asked.outputs) if asked.outputs else (None, {})
        seconds = _seconds(asked, http)
        request = self._request_factory.request(tensors, rows, request_id, outputs, timeout=seconds, trace=trace)
        form = MessageForm(asked.id, bool(raw) or self._all_raw, streamed, classes)
        return self._served, request, partial(self._encode, form)

    def _raw(
        self, inputs: Sequence[Message], raw: Sequence[bytes], long: Mapping[int, LongContents]
    ) -> Iterator[tuple[str, Array]]:
        if len(raw) != len(inputs):
            what, got = f"{len(inputs)}, one for each input", str(len(raw))
            text = f"raw_input_contents must be none or {what}; received {got}."
            raise Invalid(text, (Problem(None, "raw_input_contents", what, got),))
        for given, data in zip(inputs, raw, strict=True):
            name = given.name
            missing = None
            if given.parameters:
                missing = _missing(given)
            if long or (given.HasField("contents") and given.contents.ListFields()):
                text = f"The input {name!r} has contents beside raw_input_contents. Send all inputs one way."
                raise Invalid(text, (Problem(None, name, "raw_input_contents alone", "both"),))
            yield name, self._raw_inputs.array(name, given.datatype, given.shape, data, missing)

    def _typed(self, inputs: Sequence[Message], long: Mapping[int, LongContents]) -> Iterator[tuple[str, Array]]:
        for place, given in enumerate(inputs):
            shape = given.shape[:]
            tensor = self._schema.input(given.name, given.datatype, shape)
            missing = _missing(given) if given.parameters else None
            at = () if missing is None else places(tensor, given.datatype, shape, missing)
            yield given.name, typed_contents.read(long.get(place, given.contents), tensor, shape, at)

    def _wanted(self, outputs: Sequence[Message]) -> tuple[tuple[str, ...] | None, dict[str, int]]:
        names = self._schema.outputs([wanted.name for wanted in outputs])
        classes: dict[str, int] = {}
        for wanted in outputs:
            if not wanted.parameters:
                continue
            parameters = _parameters(wanted)
            refuse_shared_memory(parameters, wanted.name)
            count = number(parameters, "classification", 1)
            if count is None:
                continue
            if is_text(self._outputs[wanted.name]):
                text = f"The output {wanted.name!r} has texts, of which no best ones can be chosen."
                raise Invalid(text, (Problem(None, wanted.name, "an output of numbers", "BYTES"),))
            classes[wanted.name] = count
        return names, classes

    def _encode(self, form: MessageForm, request: Request, response: Response) -> HttpReply:
        tensors, dtypes = response.tensors, self._outputs
        outputs = [(name, dtypes[name], tensors[name]) for name in request.outputs or dtypes]
        if form.classes:
            outputs = [self._as_classes(form.classes.get(name), name, dtype, array) for name, dtype, array in outputs]
        model = response.model
        if form.raw:
            same = model is self.identity
            writer = self._raw_answers if same else RawOutputWriter(partial(self._head, _identified(model)))
            body = writer.write(form.id, outputs)
        else:
            body = self._typed_answer(_identified(model), form.id, outputs)
        if form.streamed:
            body = b"".join((_STREAMED_TAG, varint(len(body)), body))
        return answered(request, response, body, PROTOBUF)

    def _as_classes(self, count: int | None, name: str, dtype: str, array: Array) -> tuple[str, str, Array]:
        if count is None:
            return name, dtype, array
        return name, "string", best(array, count, self._labels.get(name, ()), rows=self._rows)

    def _head(self, named: bytes, shapes: Shapes) -> bytes:
        answer = self._response.FromString(named)
        for name, dtype, shape in shapes:
            answer.outputs.add(name=name, datatype=DATATYPES[dtype], shape=shape)
        return _serialized(answer)

    def _typed_answer(self, named: bytes, message_id: str, outputs: Sequence[tuple[str, str, Array]]) -> bytes:
        answer = self._response.FromString(named)
        answer.id = message_id
        for name, dtype, array in outputs:
            written = answer.outputs.add(name=name, datatype=DATATYPES[dtype], shape=array.shape)
            typed_contents.write(written.contents, array, dtype)
        return _serialized(answer)


@lru_cache
def _identified(identity: Identity) -> bytes:
    """The fields of an answer that name its model, serialized."""
    named = message("inference.ModelInferResponse")(model_name=identity.name, model_version=identity.version)
    return _serialized(named)


def _serialized(answer: Message) -> bytes:
    return answer.SerializeToString()  # type: ignore[no-any-return]


def _seconds(asked: Message, http: HttpRequest) -> float | None:
    """The time left: the call's, the parameter's, or the shorter of the two."""
    left = timeout_of(http.headers)
    wanted = (http.known_context or http.context).timeout
    if wanted is not None:
        left = shorter(left, wanted)
    return shorter(left, timeout(_parameters(asked))) if asked.parameters else left


def _missing(given: Message) -> object:
    parameters = _parameters(given)
    refuse_shared_memory(parameters, given.name)
    return parameters.get(MISSING)


def _parameters(owner: Message) -> dict[str, Any]:
    chosen = {name: (value, value.WhichOneof("parameter_choice")) for name, value in owner.parameters.items()}
    return {name: getattr(value, choice) for name, (value, choice) in chosen.items() if choice is not None}


def varint(length: int) -> bytes:
    """A length as protobuf writes it: seven bits in a byte, the lowest first, the highest bit set but in the last."""
    if length < _ONE_BYTE:
        return bytes((length,))
    parts = bytearray()
    while length >= _ONE_BYTE:
        parts.append(length & (_ONE_BYTE - 1) | _ONE_BYTE)
        length >>= 7
    parts.append(length)
    return bytes(parts)
