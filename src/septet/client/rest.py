"""The Open Inference Protocol over HTTP, from the client's side: tensors as JSON, or as bytes behind a JSON header."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np

from septet.client.faults import failure
from septet.client.questions import Answered, Ask, Describe, Failure, Infer, Question, Ready, Reply
from septet.errors import SeptetError
from septet.model.signature import DTYPES
from septet.protocols.openinference.datatypes import DATATYPES, dtype_of, from_raw, raw_bytes
from septet.protocols.openinference.missing import told
from septet.tensors import listed
from septet.types import Array, Tensors

OK, NOT_READY = 200, 503
MICROSECONDS = 1_000_000
JSON = "application/json"
BINARY = "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"
#: Errors are wanted with their code and problems, not only their text.
ERRORS = {"septet-errors": "detailed"}


class _Output(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] = {}
    data: Any = None


class _Answer(msgspec.Struct):
    outputs: list[_Output]


class Rest:
    """A `Dialect`. `binary` says how tensors travel, `address` who is spoken to; `prefix` begins every path."""

    def __init__(self, address: str, prefix: str, *, binary: bool) -> None:
        self._address = address
        self._prefix = prefix
        self._binary = binary

    def ask(self, question: Question, seconds: float) -> Ask:
        """Write a question as an HTTP request; the server is told how long the answer is waited for."""
        match question:
            case Ready():
                return Ask("GET", f"{self._prefix}/v2/health/ready")
            case Describe():
                return Ask("GET", f"{self._prefix}/metadata")
            case Infer(model, tensors, outputs):
                path = f"{self._prefix}/v2/models/{quote(model, safe='')}/infer"
                parameters = {"timeout": max(1, int(seconds * MICROSECONDS))}
                wanted = None if outputs is None else [{"name": name} for name in outputs]
                write = _binary if self._binary else _json
                headers, body = write(tensors, wanted, parameters)
                return Ask("POST", path, {**headers, **ERRORS}, body)

    def read(self, question: Question, reply: Reply) -> Any | Failure:
        """Read an HTTP reply as the answer to a question."""
        if isinstance(question, Ready) and reply.status == NOT_READY:
            return False
        if reply.status != OK:
            return failure(reply, self._address)
        try:
            match question:
                case Ready():
                    return True
                case Describe():
                    return msgspec.json.decode(reply.body, type=dict[str, Any])
                case Infer(_, _, outputs):
                    tensors = named(_tensors(reply), outputs)
                    return Answered(tensors, reply.headers.get("septet-model-digest"))
        except (SeptetError, ValueError, TypeError, LookupError) as error:
            text = f"{self._address} answered something else than the Open Inference Protocol has: {error}"
            return Failure(SeptetError(text))


def datatype(array: Array) -> tuple[str, str]:
    """The signature's dtype of an array, and the protocol's datatype for it."""
    dtype = "string" if array.dtype == object else array.dtype.name
    return dtype, DATATYPES[dtype]


def named(tensors: Tensors, outputs: tuple[str, ...] | None) -> Tensors:
    """The wanted outputs in the order that they were asked for.

    Raises:
        KeyError: one is not there.
    """
    return tensors if outputs is None else {name: tensors[name] for name in outputs}


def _json(tensors: Tensors, wanted: Any, parameters: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    inputs = []
    for name, array in tensors.items():
        entry = {**_head(name, array), "data": listed(array.ravel())}
        if missing := told(array):
            entry |= {"data": ["" if value is None else value for value in entry["data"]], "parameters": missing}
        inputs.append(entry)
    body = {"inputs": inputs, "outputs": wanted or [], "parameters": parameters}
    finite = all(array.dtype.kind != "f" or np.isfinite(array).all() for array in tensors.values())
    # Only the standard library writes the tokens NaN and Infinity, which this protocol's servers read.
    return {"content-type": JSON}, msgspec.json.encode(body) if finite else json.dumps(body).encode()


def _binary(tensors: Tensors, wanted: Any, parameters: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    inputs, parts = [], []
    for name, array in tensors.items():
        part = raw_bytes(array, datatype(array)[0])
        inputs.append({**_head(name, array), "parameters": {"binary_data_size": len(part), **told(array)}})
        parts.append(part)
    parameters = {**parameters, "binary_data_output": True}
    header = msgspec.json.encode({"inputs": inputs, "outputs": wanted or [], "parameters": parameters})
    return {"content-type": BINARY, HEADER_LENGTH: str(len(header))}, b"".join((header, *parts))


def _head(name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "shape": list(array.shape), "datatype": datatype(array)[1]}


def _tensors(reply: Reply) -> Tensors:
    length = reply.headers.get(HEADER_LENGTH)
    stop = len(reply.body) if length is None else int(length)
    rest = memoryview(reply.body)[stop:]
    tensors: dict[str, Array] = {}
    for output in _answer(reply.body[:stop]).outputs:
        dtype = dtype_of(output.datatype, output.name)
        size = output.parameters.get("binary_data_size")
        if size is None:
            tensors[output.name] = np.array(output.data, DTYPES[dtype]).reshape(output.shape)
        else:
            # A copy, because who is given an array expects to write to it.
            tensors[output.name] = from_raw(rest[:size], dtype, output.shape, output.name).copy()
            rest = rest[size:]
    return tensors


def _answer(text: bytes) -> _Answer:
    try:
        return msgspec.json.decode(text, type=_Answer)
    except msgspec.DecodeError:  # of the tokens NaN and Infinity, perhaps
        parsed: Mapping[str, Any] = json.loads(text)
        return msgspec.convert(parsed, _Answer)
