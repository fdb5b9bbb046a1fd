"""Response -> the body of an answer: JSON, with the tensors that are wanted so as raw bytes behind it.

The protocol does not say how JSON writes bytes that are no text. They are base64, and the parameter `content_type` of
the output says so, as that of MLServer does.
"""

import json
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from septet.errors import Invalid, Problem
from septet.lengthy_work import VALUES_ON_LOOP, leave_loop
from septet.protocols.codecs.array_json import array_json
from septet.protocols.http.http_messages import HttpReply
from septet.protocols.http.request_factory import answered
from septet.protocols.http.routes import Encode
from septet.protocols.openinference.binary_extension import LENGTH_HEADER
from septet.protocols.openinference.classification import best
from septet.protocols.openinference.datatypes import DATATYPES, elements_bytes
from septet.service import Service
from septet.tensors import Part, contiguous_bytes, listed, parts
from septet.types import Array, Identity, Request, Response, Tensors

OCTETS = b"application/octet-stream"


class OutputForm(NamedTuple):
    """How one output is wanted: as raw bytes or JSON, and as its best `classes` unless that is None."""

    binary: bool
    classes: int | None = None


_JSON: Final = OutputForm(binary=False)
_RAW: Final = OutputForm(binary=True)
#: The datatype of texts, and of moments, which are written as such.
_BYTES: Final = DATATYPES["string"]


#: The outputs of an answer: the JSON behind its beginning, and of each raw output its bytes; None where all
#: are JSON.
_WrittenAnswer: TypeAlias = tuple[bytes, tuple[bytes | memoryview, ...] | None]
#: One output of a run whose rows are cut into answers of as many rows each: what stands before its values, of each
#: answer its values as JSON, and what stands behind them; then of each answer its values as raw bytes. Of the values
#: one is None, that as JSON or that as raw bytes, or neither.
_WrittenOutput: TypeAlias = tuple[bytes, Sequence[bytes] | None, bytes, Sequence[bytes | memoryview] | None]


class InferResponseWriter:
    """Writes the answers of one service. JSON data is flat, in row-major order.

    Attributes:
        raw: the forms of all outputs where each is wanted as raw bytes.
    """

    def __init__(self, service: Service) -> None:
        signature = service.signature
        self._datatypes = {each.name: DATATYPES[each.dtype] for each in signature.outputs}
        self._base64 = frozenset(each.name for each in signature.outputs if each.dtype == "bytes")
        self._names = tuple(self._datatypes)
        self.raw = (_RAW,) * len(self._names)
        self._json = (_JSON,) * len(self._names)
        self._rows = signature.rows
        self._labels = {signature.scores: signature.labels}
        self._identity = service.identity
        self._head = _named(service.identity)
        self._begin = self._head + b',"outputs":['

    def encode(self, name: str | None, forms: tuple[OutputForm, ...] | None) -> Encode:
        """How the wanted outputs are written, each in its form, or all as JSON.

        `name` is the id in the request's body, which the answer repeats.
        """
        return partial(self._written, name, self._beginning(name, self._head), forms)

    def forms(
        self, names: Sequence[str] | None, wanted: Sequence[tuple[bool | None, int | None]], *, binary: bool
    ) -> tuple[OutputForm, ...] | None:
        """The form of each wanted output; None where all are plain JSON.

        `wanted` has for each of `names` whether it is to be binary, if given, and its number of classes, if any;
        `binary` is the default.

        Raises:
            Invalid: classes are wanted of an output of texts.
        """
        if names is None:
            return self.raw if binary else None
        forms = tuple(OutputForm(binary if own is None else own, classes) for own, classes in wanted)
        for name, form in zip(names, forms, strict=True):
            if form.classes is not None and self._datatypes[name] == _BYTES:
                text = f"The output {name!r} has texts, of which no best ones can be chosen; leave classification out."
                raise Invalid(text, (Problem(None, name, "an output of numbers", "BYTES"),))
        return forms if any(form.binary or form.classes is not None for form in forms) else None

    def _written(
        self,
        name: str | None,
        begin: bytes,
        forms: tuple[OutputForm, ...] | None,
        request: Request,
        response: Response,
    ) -> HttpReply:
        tensors, rows = response.tensors, request.rows
        if response.model is not self._identity:
            begin = self._beginning(name, _named(response.model))
        if (
            type(tensors) is Part
            and tensors.shared.values <= VALUES_ON_LOOP
            and not tensors.start % rows
            and not tensors.shared.rows % rows
        ):
            # The answers to all requests that share a run and want the same of as many rows are written at once, and
            # kept with the run: that takes a third of the time of writing each by itself.
            shared, key = tensors.shared, (request.outputs, forms, rows)
            answers: list[_WrittenAnswer] | None = shared.memo.get(key)
            if answers is None:
                answers = self._answers(shared.arrays, shared.rows // rows, request.outputs, forms)
                shared.memo[key] = answers
            text, raw = answers[tensors.start // rows]
        else:
            text, raw = self._answers(tensors, 1, request.outputs, forms)[0]
        text = begin + text
        if raw is None:
            return answered(request, response, text)
        return answered(request, response, b"".join((text, *raw)), OCTETS, _length(len(text)))

    def _answers(
        self, tensors: Tensors, count: int, names: tuple[str, ...] | None, forms: tuple[OutputForm, ...] | None
    ) -> list[_WrittenAnswer]:
        """So many answers of as many rows each, with the wanted outputs."""
        names = names or self._names
        pieces: list[Sequence[bytes]] = []
        raws: list[Sequence[bytes | memoryview]] = []
        constant = b""
        for name, form in zip(names, forms or self._json, strict=False):
            begin, values, end, raw = self._output(name, tensors[name], count, form)
            constant += begin
            if values is not None:
                pieces += ([constant] * count, values)
                constant = b""
            constant += end + b","
            if raw is not None:
                raws.append(raw)
        constant = constant[:-1] + b"]}"
        if not pieces:
            return [(constant, raw) for raw in zip(*raws, strict=True)]
        texts = map(b"".join, zip(*pieces, [constant] * count, strict=True))
        if not raws:
            return [(text, None) for text in texts]
        return list(zip(texts, zip(*raws, strict=True), strict=True))

    def _output(self, name: str, array: Array, count: int, form: OutputForm) -> _WrittenOutput:
        """One output in so many answers of as many rows each."""
        binary, classes = form
        datatype = self._datatypes[name]
        if classes is not None:
            array = best(array, classes, self._labels.get(name, ()), rows=self._rows)
            datatype = _BYTES
        shape, is_text = array.shape, datatype == _BYTES
        if count > 1:
            shape = (shape[0] // count, *shape[1:])
        if binary:
            if is_text:
                raw = [elements_bytes(listed(each.ravel())) for each in array.reshape(count, -1)]
                described = [_described(name, datatype, shape, len(each)) for each in raw]
                return b"", described, b"", raw
            data = contiguous_bytes(array)
            size = len(data) // count
            parts = (data,) if count == 1 else [data[at * size : (at + 1) * size] for at in range(count)]
            return _described(name, datatype, shape, size), None, b"", parts
        begin = _described_base64(name, shape) if name in self._base64 else _described(name, datatype, shape, None)
        if count == 1:
            return begin, (_json_values(array),), b"}", None
        if not is_text:
            text = msgspec.json.encode(array.reshape(count, -1).tolist())
            if b"n" not in text:  # no null: all numbers are finite
                return begin + b"[", text[2:-2].split(b"],["), b"]}", None
        return begin, [_json_values(each) for each in array.reshape(count, -1)], b"}", None

    def _beginning(self, name: str | None, head: bytes) -> bytes:
        if name is None:
            return self._begin if head is self._head else head + b',"outputs":['
        return head + b',"id":' + msgspec.json.encode(name) + b',"outputs":['


def _named(identity: Identity) -> bytes:
    """The keys that name the model, and an open brace before them."""
    return msgspec.json.encode({"model_name": identity.name, "model_version": identity.version})[:-1]


@lru_cache
def _described(name: str, datatype: str, shape: tuple[int, ...], size: int | None) -> bytes:
    """An output of so many raw bytes; where `size` is None, up to its values in JSON."""
    text = msgspec.json.encode({"name": name, "datatype": datatype, "shape": shape})[:-1]
    return text + (b',"data":' if size is None else b',"parameters":{"binary_data_size":%d}}' % size)


@lru_cache
def _described_base64(name: str, shape: tuple[int, ...]) -> bytes:
    """An output of bytes, up to its values in JSON."""
    return _described(name, _BYTES, shape, None).removesuffix(b'"data":') + (
        b'"parameters":{"content_type":"base64"},"data":'
    )


@lru_cache
def _length(size: int) -> tuple[tuple[bytes, bytes]]:
    """The header with the number of bytes that are JSON."""
    return ((LENGTH_HEADER, b"%d" % size),)


def _json_values(array: Array) -> bytes:
    """The values of an array as a flat list in JSON; bytes as base64."""
    if array.size > VALUES_ON_LOOP:
        leave_loop()
        if array.dtype.kind != "f" or np.isfinite(array).all():
            return array_json(array.ravel())
        encoder = json.JSONEncoder(separators=(",", ":"))
        return b"[%b]" % b",".join([encoder.encode(listed(part))[1:-1].encode() for part in parts(array.ravel())])
    values = listed(array.ravel())
    text = msgspec.json.encode(values)
    if b"n" in text and array.dtype.kind == "f":  # null: a number is not finite, for which JSON has no word
        return json.dumps(values, separators=(",", ":")).encode()  # NaN, Infinity, -Infinity, as Triton writes them
    return text
