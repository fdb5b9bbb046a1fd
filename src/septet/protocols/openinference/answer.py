"""Response -> the body of an answer: JSON, with the tensors that are wanted so as raw bytes behind it."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from septet.errors import Invalid, Problem
from septet.model.signature import Tensor
from septet.protocols.http import JSON, HttpReply
from septet.protocols.openinference.binary import LENGTH_HEADER
from septet.protocols.openinference.classification import best
from septet.protocols.openinference.datatypes import DATATYPES, raw_bytes
from septet.protocols.routes import Encode
from septet.service import Service
from septet.tensors import Outputs, Part
from septet.types import Request, Response

OCTETS = b"application/octet-stream"
_MOST_REMEMBERED: Final = 1024


class Form(NamedTuple):
    """How one output is wanted: as raw bytes or JSON, and as its best `classes` unless that is None."""

    binary: bool
    classes: int | None = None


#: What stands before an output's values, whether they are floats, the values of all of a run, and how many a row has.
_Frame: TypeAlias = tuple[bytes, bool, list[Any], int]
_RAW: Final = Form(binary=True)


class Answer:
    """Writes the answers of one service. JSON data is flat, in row-major order.

    Attributes:
        raw: the forms of all outputs where each is wanted as raw bytes.
    """

    def __init__(self, service: Service) -> None:
        signature = service.signature
        self._outputs: Mapping[str, Tensor] = {each.name: each for each in signature.outputs}
        self._names = tuple(self._outputs)
        self.raw = tuple(_RAW for _ in self._names)
        self._leads = {each.name: _lead(each.name, each.dtype) for each in signature.outputs}
        # By names and shapes, what stands before raw numbers, and the header that says where it ends.
        self._before: dict[tuple[Any, ...], tuple[bytes, tuple[tuple[bytes, bytes], ...]]] = {}
        self._floats = frozenset(each.name for each in signature.outputs if each.dtype.startswith("float"))
        self._rows = signature.rows
        self._labels = {signature.scores: signature.labels}
        identity = {"model_name": service.identity.name, "model_version": service.identity.version}
        self._head = msgspec.json.encode(identity)[:-1]
        self._begin = self._head + b',"outputs":['

    def encode(self, name: str | None, outputs: Sequence[str] | None, forms: Sequence[Form] | None) -> Encode:
        """How the wanted outputs are written, each in its form, or all as JSON.

        `name` is the id in the request's body, which the answer repeats.
        """
        if forms is None:
            return partial(self._json, self._beginning(name))
        wanted = tuple(outputs or self._names)
        numbers = all(self._outputs[output].dtype != "string" for output in wanted)
        if name is None and numbers and all(form == _RAW for form in forms):
            return partial(self._raw_numbers, wanted)
        return partial(self._formed, name, forms)

    def _raw_numbers(self, names: tuple[str, ...], request: Request, response: Response) -> HttpReply:
        """Numbers as raw bytes. Of the same shapes, the JSON before them is the same."""
        arrays = [response.tensors[name] for name in names]
        shapes = (names, *[array.shape for array in arrays])
        known = self._before.get(shapes)
        if known is None:
            reply = self._formed(None, self.raw[: len(names)], request, response)
            if len(self._before) >= _MOST_REMEMBERED:
                self._before.clear()
            known = self._before[shapes] = reply.body[: int(reply.headers[0][1])], reply.headers
        before, headers = known
        body = b"".join((before, *[np.ascontiguousarray(array).data for array in arrays]))
        return HttpReply(200, body, request.id, OCTETS, headers, "ok", request.rows, response.timings)

    def _formed(self, name: str | None, forms: Sequence[Form], request: Request, response: Response) -> HttpReply:
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
                parts += (b',"data":', _data(array.ravel().tolist(), floats=dtype.startswith("float")))
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
        tensors, rows = response.tensors, request.rows
        part = tensors if type(tensors) is Part else Part(Outputs(tensors, rows), 0, rows)
        memo, start, stop = part.shared.memo, part.start, part.stop
        frames = memo.get((request.outputs, rows))
        if frames is None:
            frames = memo[request.outputs, rows] = self._frames(part.shared, request)
        parts = [begin]
        for lead, floats, values, width in frames:
            parts += (lead, _data(values[start * width : stop * width], floats=floats))
        parts.append(b"}]}")
        return HttpReply(200, b"".join(parts), request.id, JSON, (), "ok", rows, response.timings)

    def _frames(self, shared: Outputs, request: Request) -> list[_Frame]:
        """What is the same for all requests of a run that have as many rows and want the same outputs."""
        frames: list[_Frame] = []
        between = b""
        for name in request.outputs or self._names:
            shape = shared.arrays[name].shape
            shown = (request.rows, *shape[1:]) if self._rows else shape
            lead = b"".join((between, self._leads[name], msgspec.json.encode(shown), b',"data":'))
            values = shared.flat(name)
            frames.append((lead, name in self._floats, values, len(values) // shared.rows))
            between = b"},"
        return frames

    def _beginning(self, name: str | None) -> bytes:
        return self._begin if name is None else self._head + b',"id":' + msgspec.json.encode(name) + b',"outputs":['


def _lead(name: str, dtype: str) -> bytes:
    return msgspec.json.encode({"name": name, "datatype": DATATYPES[dtype]})[:-1] + b',"shape":'


def _data(values: list[Any], *, floats: bool) -> bytes:
    text = msgspec.json.encode(values)
    if floats and b"n" in text:  # null: a number is not finite, for which JSON has no word
        return json.dumps(values, separators=(",", ":")).encode()  # NaN, Infinity, -Infinity, as Triton writes them
    return text
