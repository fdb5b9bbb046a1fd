"""Inference over gRPC: the message `ModelInferRequest` -> Request, and Response -> `ModelInferResponse`.

Tensors come raw, all of them, or as typed contents, all of them, and the answer goes back as the request came; where an
output is FP16, which has no typed contents, all of it goes raw.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from septet.errors import Invalid, Problem
from septet.model.values import is_text
from septet.protocols.http.http_messages import HttpReply, HttpRequest, answered
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.http.routes import Encode
from septet.protocols.openinference import contents
from septet.protocols.openinference.classification import best
from septet.protocols.openinference.contract import InferSchema
from septet.protocols.openinference.datatypes import DATATYPES
from septet.protocols.openinference.infer_document import number, refuse_shared_memory, timeout
from septet.protocols.openinference.missing import MISSING, places
from septet.protocols.openinference.raw_tensors import STREAMED, RawAnswers, RawInputs, Shapes, size
from septet.protocols.rpc.descriptors import Message, message
from septet.protocols.rpc.methods import PROTOBUF, timeout_of
from septet.registry import ServedModel
from septet.types import Array, Identity, Request, Response


class MessageForm(NamedTuple):
    """How an answer is wanted: under which id, whether raw, whether in a stream, and as how many best classes."""

    id: str
    raw: bool
    streamed: bool
    classes: Mapping[str, int]


class InferMessages:
    """Decodes and encodes for one service."""

    def __init__(self, request_factory: RequestFactory) -> None:
        service = request_factory.service
        identity, signature = service.identity, service.signature
        self._request_factory = request_factory
        self._contract = InferSchema(signature, max_rows=request_factory.limits.max_rows)
        self._served = request_factory.model
        self._identity = identity
        self._response = message("inference.ModelInferResponse")
        self._raw_inputs = RawInputs(self._contract)
        self._raw_answers = RawAnswers(partial(self._head, _identified(identity)))
        self._outputs = {each.name: each.dtype for each in signature.outputs}
        self._all_raw = any(each.dtype not in contents.FIELDS for each in signature.outputs)
        self._rows = signature.rows
        self._labels = {signature.scores: signature.labels}

    def decode(
        self, http: HttpRequest, asked: Message, request_id: str, *, streamed: bool
    ) -> tuple[ServedModel, Request, Encode]:
        """Read the message of `ModelInfer`, or one of `ModelStreamInfer`; `request_id` is for the answer's header.

        Raises:
            Invalid: it is not what the protocol or the model asks for.
        """
        raw = asked.raw_input_contents
        tensors, rows = self._contract.tensors(self._raw(asked.inputs, raw) if raw else self._typed(asked.inputs))
        outputs, classes = self._wanted(asked.outputs) if asked.outputs else (None, {})
        seconds = _seconds(asked, http)
        request = self._request_factory.request(
            tensors, rows, request_id, outputs, timeout=seconds, trace=http.context.trace
        )
        form = MessageForm(asked.id, bool(raw) or self._all_raw, streamed, classes)
        return self._served, request, partial(self._encode, form)

    def _raw(self, inputs: Sequence[Message], raw: Sequence[bytes]) -> Iterator[tuple[str, Array]]:
        if len(raw) != len(inputs):
            what, got = f"{len(inputs)}, one for each input", str(len(raw))
            text = f"raw_input_contents must be none or {what}; received {got}."
            raise Invalid(text, (Problem(None, "raw_input_contents", what, got),))
        for given, data in zip(inputs, raw, strict=True):
            name = given.name
            missing = None
            if given.parameters:
                missing = _missing(given)
            if given.HasField("contents") and given.contents.ListFields():
                text = f"The input {name!r} has contents beside raw_input_contents. Send all inputs one way."
                raise Invalid(text, (Problem(None, name, "raw_input_contents alone", "both"),))
            yield name, self._raw_inputs.array(name, given.datatype, given.shape, data, missing)

    def _typed(self, inputs: Sequence[Message]) -> Iterator[tuple[str, Array]]:
        for given in inputs:
            shape = given.shape[:]
            tensor = self._contract.input(given.name, given.datatype, shape)
            missing = _missing(given) if given.parameters else None
            at = () if missing is None else places(tensor, given.datatype, shape, missing)
            yield given.name, contents.read(given.contents, tensor, shape, at)

    def _wanted(self, outputs: Sequence[Message]) -> tuple[tuple[str, ...] | None, dict[str, int]]:
        names = self._contract.outputs([wanted.name for wanted in outputs])
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
            same = model is self._identity
            writer = self._raw_answers if same else RawAnswers(partial(self._head, _identified(model)))
            body = writer.write(form.id, outputs)
        else:
            body = self._typed_answer(_identified(model), form.id, outputs)
        if form.streamed:
            body = b"".join((STREAMED, size(len(body)), body))
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
            contents.write(written.contents, array, dtype)
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
    if not asked.parameters:
        return left
    named = timeout(_parameters(asked))
    return min((each for each in (left, named) if each is not None), default=None)


def _missing(given: Message) -> object:
    parameters = _parameters(given)
    refuse_shared_memory(parameters, given.name)
    return parameters.get(MISSING)


def _parameters(owner: Message) -> dict[str, Any]:
    chosen = {name: (value, value.WhichOneof("parameter_choice")) for name, value in owner.parameters.items()}
    return {name: getattr(value, choice) for name, (value, choice) in chosen.items() if choice is not None}
