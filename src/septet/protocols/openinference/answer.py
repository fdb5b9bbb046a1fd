"""Response -> the body of an answer: JSON, with the tensors that are wanted so as raw bytes behind it."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from septet.errors import Invalid, Problem
from septet.model.signature import Tensor
from septet.protocols.http import JSON, HttpReply
from septet.protocols.openinference.binary import LENGTH_HEADER
from septet.protocols.openinference.classification import best
from septet.protocols.openinference.datatypes import DATATYPES, raw_bytes
from septet.service import Service
from septet.types import Array, Request, Response

OCTETS = b"application/octet-stream"


class Form(NamedTuple):
    """How one output is wanted: as raw bytes or JSON, and as its best `classes` unless that is None."""

    binary: bool
    classes: int | None = None


class Answer:
    """Writes the answers of one service. JSON data is flat, in row-major order.

    Attributes:
        raw: the forms of all outputs where each is wanted as raw bytes.
    """

    def __init__(self, service: Service) -> None:
        signature = service.signature
        self._outputs: Mapping[str, Tensor] = {each.name: each for each in signature.outputs}
        self._names = tuple(self._outputs)
        self.raw = tuple(Form(binary=True) for _ in self._names)
        self._leads = {each.name: _lead(each.name, each.dtype) for each in signature.outputs}
        self._floats = frozenset(each.name for each in signature.outputs if each.dtype.startswith("float"))
        self._rows = signature.rows
        self._labels = {signature.scores: signature.labels}
        identity = {"model_name": service.identity.name, "model_version": service.identity.version}
        self._head = msgspec.json.encode(identity)[:-1]
        self._begin = self._head + b',"outputs":['

    def plain(self, request: Request, response: Response) -> HttpReply:
        """All wanted outputs as JSON, for a request without an id of its own."""
        return self._json(self._begin, request, response)

    def named(self, name: str, request: Request, response: Response) -> HttpReply:
        """The same for a request whose body has the id `name`, which the answer repeats."""
        return self._json(self._beginning(name), request, response)

    def formed(self, name: str | None, forms: Sequence[Form], request: Request, response: Response) -> HttpReply:
        """The wanted outputs, each in its own form."""
        parts = [self._beginning(name)]
        raw: list[bytes | memoryview] = []
        between = b""
        for output, form in zip(request.outputs or self._names, forms, strict=True):
            array, dtype = response.tensors[output], self._outputs[output].dtype
            if form.classes is not None:
                array = best(array, form.classes, self._labels.get(output, ()), rows=self._rows)
                dtype = "string"
            parts += (between, _lead(output, dtype), msgspec.json.encode(array.shape))
            if form.binary:
                data = raw_bytes(array, dtype)
                raw.append(data)
                parts.append(b',"parameters":{"binary_data_size":%d}' % len(data))
            else:
                parts += (b',"data":', _data(array, floats=dtype.startswith("float")))
            between = b"},"
        parts.append(b"}]}")
        if not any(form.binary for form in forms):
            return HttpReply(200, b"".join(parts), request.id, rows=request.rows, timings=response.timings)
        headers = ((LENGTH_HEADER, str(sum(map(len, parts))).encode()),)
        body = b"".join((*parts, *raw))
        return HttpReply(200, body, request.id, OCTETS, headers, rows=request.rows, timings=response.timings)

    def forms(
        self, names: Sequence[str] | None, wanted: Sequence[tuple[bool | None, int | None]], *, binary: bool
    ) -> tuple[Form, ...] | None:
        """The form of each wanted output; None where all are plain JSON.

        `wanted` has for each of `names` whether it is to be binary, if said, and its number of classes, if any;
        `binary` is what holds where nothing is said.

        Raises:
            Invalid: classes are wanted of an output of texts.
        """
        if names is None:
            return self.raw if binary else None
        forms = tuple(Form(binary if own is None else own, classes) for own, classes in wanted)
        for name, form in zip(names, forms, strict=True):
            if form.classes is not None and self._outputs[name].dtype == "string":
                text = f"The output {name!r} has texts, of which no best ones can be chosen; leave classification out."
                raise Invalid(text, (Problem(None, name, "an output of numbers", "BYTES"),))
        return forms if any(form.binary or form.classes is not None for form in forms) else None

    def _json(self, begin: bytes, request: Request, response: Response) -> HttpReply:
        parts = [begin]
        between = b""
        leads, floats, tensors = self._leads, self._floats, response.tensors
        for name in request.outputs or self._names:
            array = tensors[name]
            parts += (between, leads[name], msgspec.json.encode(array.shape), b',"data":')
            parts.append(_data(array, floats=name in floats))
            between = b"},"
        parts.append(b"}]}")
        return HttpReply(200, b"".join(parts), request.id, JSON, (), "ok", request.rows, response.timings)

    def _beginning(self, name: str | None) -> bytes:
        return self._begin if name is None else self._head + b',"id":' + msgspec.json.encode(name) + b',"outputs":['


def _lead(name: str, dtype: str) -> bytes:
    return msgspec.json.encode({"name": name, "datatype": DATATYPES[dtype]})[:-1] + b',"shape":'


def _data(array: Array, *, floats: bool) -> bytes:
    values = array.ravel().tolist()
    text = msgspec.json.encode(values)
    if floats and b"n" in text:  # null: a number is not finite, for which JSON has no word
        return json.dumps(values, separators=(",", ":")).encode()  # NaN, Infinity, -Infinity, as Triton writes them
    return text
