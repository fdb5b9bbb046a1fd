"""Response -> the body of an answer: JSON, with the tensors that are wanted so as raw bytes behind it."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec

from septet.errors import Invalid, Problem
from septet.model.values import is_text
from septet.protocols.http.http_messages import HttpReply, answered
from septet.protocols.http.routes import Encode
from septet.protocols.openinference.binary import LENGTH_HEADER
from septet.protocols.openinference.classification import best
from septet.protocols.openinference.datatypes import DATATYPES, raw_bytes, texts_bytes
from septet.service import Service
from septet.tensors import Outputs, Part
from septet.types import Identity, Request, Response

OCTETS = b"application/octet-stream"
_SIZE: Final = b',"parameters":{"binary_data_size":'


class OutputForm(NamedTuple):
    """How one output is wanted: as raw bytes or JSON, and as its best `classes` unless that is None."""

    binary: bool
    classes: int | None = None


_JSON: Final = OutputForm(binary=False)
_RAW: Final = OutputForm(binary=True)


class _Frame(NamedTuple):
    """One output in the answers of a run to all requests with as many rows.

    Attributes:
        lead: what stands before its values, or before their size where they are raw.
        write: writes the values of a request; None where they are bytes already.
        values: of all rows of the run.
        width: how many of them a row has.
        behind: what stands behind its values, or behind their size.
        raw: whether the values stand behind the JSON.
    """

    lead: bytes
    write: Callable[[list[Any]], bytes] | None
    values: Any
    width: int
    behind: bytes
    raw: bool


class _Raw(msgspec.Struct, frozen=True):
    """All outputs in such answers, where they are raw numbers.

    Attributes:
        text: the JSON.
        values: of each output the bytes of all rows of the run, and how many a row has.
    """

    text: bytes
    values: list[tuple[bytes | memoryview, int]]


class _Single(msgspec.Struct, frozen=True):
    """All outputs in the answers to requests of one row, where they are numbers in JSON.

    Attributes:
        texts: of each row of the run its answer, behind the beginning.
    """

    texts: list[bytes]


class InferResponseWriter:
    """Writes the answers of one service. JSON data is flat, in row-major order.

    Attributes:
        raw: the forms of all outputs where each is wanted as raw bytes.
    """

    def __init__(self, service: Service) -> None:
        signature = service.signature
        self._dtypes = {each.name: each.dtype for each in signature.outputs}
        self._names = tuple(self._dtypes)
        self.raw = tuple(_RAW for _ in self._names)
        self._texts = {name for name, dtype in self._dtypes.items() if is_text(dtype)}
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

        `wanted` has for each of `names` whether it is to be binary, if said, and its number of classes, if any;
        `binary` is what holds where nothing is said.

        Raises:
            Invalid: classes are wanted of an output of texts.
        """
        if names is None:
            return self.raw if binary else None
        forms = tuple(OutputForm(binary if own is None else own, classes) for own, classes in wanted)
        for name, form in zip(names, forms, strict=True):
            if form.classes is not None and name in self._texts:
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
        frames: list[_Frame] | _Raw | _Single | None
        if type(tensors) is Part:
            memo, start, stop = tensors.shared.memo, tensors.start, tensors.stop
            key = request.outputs, rows, forms
            frames = memo.get(key)
            if frames is None:
                frames = memo[key] = self._frames(tensors.shared, request, forms)
        else:
            # One unit: an output may have another number of rows than was asked.
            start, stop = 0, 1
            frames = self._frames(Outputs(tensors, 1), request, forms)
        if isinstance(frames, _Single):
            return answered(request, response, begin + frames.texts[start])
        raw: list[bytes | memoryview]
        if isinstance(frames, _Raw):
            text = begin + frames.text
            raw = [values[start * width : stop * width] for values, width in frames.values]
        else:
            parts, raw = [begin], []
            for lead, write, values, width, behind, is_raw in frames:
                own = values[start * width : stop * width]
                if write is not None:
                    own = write(own)
                if is_raw:
                    raw.append(own)
                    own = b"%d" % len(own)
                parts += (lead, own, behind)
            parts.append(b"]}")
            text = b"".join(parts)
            if not raw:
                return answered(request, response, text)
        body = b"".join((text, *raw))
        return answered(request, response, body, OCTETS, _length(len(text)))

    def _frames(
        self, shared: Outputs, request: Request, forms: tuple[OutputForm, ...] | None
    ) -> list[_Frame] | _Raw | _Single:
        """What is the same for all requests of a run that have as many rows and want the same outputs."""
        names = request.outputs or self._names
        if forms is None and request.rows == 1 < shared.rows and self._texts.isdisjoint(names):
            written = [shared.written(name) for name in names]
            if all(each is not None for each in written):
                return _Single(list(self._answers(shared, names, written)))
        if forms is not None and forms.count(_RAW) == len(forms) and self._texts.isdisjoint(names):
            return self._raw(shared, request.rows, names)
        return [
            self._frame(shared, request.rows, name, form, b"," if at else b"")
            for at, (name, form) in enumerate(zip(names, forms or [_JSON] * len(names), strict=True))
        ]

    def _answers(self, shared: Outputs, names: Sequence[str], written: Sequence[Any]) -> Iterator[bytes]:
        """Of each row by itself all outputs, whose numbers are `written`, up to the end of the answer."""
        leads = [
            _lead(name, DATATYPES[self._dtypes[name]], (1, *shared.arrays[name].shape[1:]), binary=False)
            for name in names
        ]
        first, *others = [lead + b"[" for lead in leads]
        befores = [first, *(b"]}," + lead for lead in others)]
        for numbers in zip(*written, strict=True):
            yield b"".join((*chain.from_iterable(zip(befores, numbers, strict=True)), b"]}]}"))

    def _raw(self, shared: Outputs, rows: int, names: Sequence[str]) -> _Raw:
        parts: list[bytes] = []
        values: list[tuple[bytes | memoryview, int]] = []
        for name in names:
            array, dtype = shared.arrays[name], self._dtypes[name]
            data = raw_bytes(array, dtype)
            width = len(data) // shared.rows
            shape = (rows, *array.shape[1:]) if rows < shared.rows else array.shape
            parts.append(_described(name, DATATYPES[dtype], shape, min(rows, shared.rows) * width))
            values.append((data, width))
        return _Raw(b",".join(parts) + b"]}", values)

    def _frame(self, shared: Outputs, rows: int, name: str, form: OutputForm, between: bytes) -> _Frame:
        array, dtype = shared.arrays[name], self._dtypes[name]
        if form.classes is not None:
            array, dtype = best(array, form.classes, self._labels.get(name, ()), rows=self._rows), "string"
        shape = (rows, *array.shape[1:]) if rows < shared.rows else array.shape
        lead = between + _lead(name, DATATYPES[dtype], shape, binary=form.binary)
        if form.binary and not is_text(dtype):
            data = raw_bytes(array, dtype)
            return _Frame(lead, None, data, len(data) // shared.rows, b"}}", raw=True)
        values = shared.flat(name) if form.classes is None else array.ravel().tolist()
        width = len(values) // shared.rows
        if form.binary:
            return _Frame(lead, texts_bytes, values, width, b"}}", raw=True)
        if rows == 1 < shared.rows and not is_text(dtype) and (written := shared.written(name)) is not None:
            return _Frame(lead + b"[", b"".join, written, 1, b"]}", raw=False)
        return _Frame(
            lead, _numbers if dtype.startswith("float") else msgspec.json.encode, values, width, b"}", raw=False
        )

    def _beginning(self, name: str | None, head: bytes) -> bytes:
        if name is None:
            return self._begin if head is self._head else head + b',"outputs":['
        return head + b',"id":' + msgspec.json.encode(name) + b',"outputs":['


def _named(identity: Identity) -> bytes:
    """The keys that name the model, and an open brace before them."""
    return msgspec.json.encode({"model_name": identity.name, "model_version": identity.version})[:-1]


@lru_cache
def _lead(name: str, datatype: str, shape: tuple[int, ...], *, binary: bool) -> bytes:
    """What stands before an output's values, or before their size where they are raw."""
    said = {"name": name, "datatype": datatype, "shape": shape}
    return msgspec.json.encode(said)[:-1] + (_SIZE if binary else b',"data":')


@lru_cache
def _described(name: str, datatype: str, shape: tuple[int, ...], size: int) -> bytes:
    """An output of so many raw bytes."""
    return b"%b%d}}" % (_lead(name, datatype, shape, binary=True), size)


@lru_cache
def _length(size: int) -> tuple[tuple[bytes, bytes]]:
    """The header that says so many bytes are JSON."""
    return ((LENGTH_HEADER, b"%d" % size),)


def _numbers(values: list[Any]) -> bytes:
    text = msgspec.json.encode(values)
    if b"n" in text:  # null: a number is not finite, for which JSON has no word
        return json.dumps(values, separators=(",", ":")).encode()  # NaN, Infinity, -Infinity, as Triton writes them
    return text
