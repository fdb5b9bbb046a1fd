"""The Open Inference Protocol over HTTP, from the calling side: tensors as JSON, or as bytes behind a JSON header."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
import numpy as np

from septet.errors import SeptetError, Unimplemented
from septet.model.base64_text import from_base64
from septet.model.signature import DTYPES
from septet.protocols.openinference.datatypes import DATATYPES, dtype_of, from_raw, raw_bytes
from septet.protocols.openinference.missing_parameter import missing_parameters
from septet.remote.remote_calls import (
    CallFailure,
    CancelJobCall,
    InferCall,
    InferResult,
    JobAnswerCall,
    JobCall,
    MetadataCall,
    ModelIndexCall,
    ReadyCall,
    RemoteCall,
    ServerMetadataCall,
    SubmitCall,
    TensorMetadataCall,
    WireReply,
    WireRequest,
)
from septet.remote.remote_errors import failure_of
from septet.tensors import listed
from septet.types import Array, Identity, Tensors

OK, ACCEPTED, NOT_READY = 200, 202, 503
MILLISECONDS, MICROSECONDS = 1_000, 1_000_000
JSON = "application/json"
BINARY = "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"
#: Errors are wanted with their code and problems, not only their text.
ERRORS: Final = {"septet-errors": "detailed"}
DIGEST, FLAGS = "septet-model-digest", "septet-flags"
BYTES: Final = DATATYPES["bytes"]
_TIMEOUT_DIGITS: Final = 3

#: The headers and the body of an inference request, from its document without inputs and its tensors.
_Writer: TypeAlias = Callable[[dict[str, Any], Tensors], tuple[dict[str, str], bytes]]


class _InferOutput(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: Any = None


class _InferAnswer(msgspec.Struct):
    outputs: list[_InferOutput]
    model_name: str = ""
    model_version: str | None = None


class _IndexedModel(msgspec.Struct):
    name: str


class HttpCodec:
    """A `ProtocolCodec`. `binary` says how tensors travel, `origin` is the server; `prefix` begins every path."""

    def __init__(self, origin: str, prefix: str, *, binary: bool) -> None:
        self._origin = origin
        self._prefix = prefix
        self._write_tensors: _Writer = _binary if binary else _json

    def write(self, call: RemoteCall, seconds: float) -> WireRequest:
        """Write a call as an HTTP request; an inference tells the server how long its answer is waited for."""
        if isinstance(call, InferCall):
            return self._infer(call, seconds)
        match call:
            case ReadyCall():
                method, path = "GET", "/v2/health/ready"
            case MetadataCall(model):
                method, path = "GET", "/metadata" if model is None else f"/models/{quote(model, safe='')}/metadata"
            case TensorMetadataCall(model):
                method, path = "GET", f"/v2/models/{quote(model, safe='')}"
            case ServerMetadataCall():
                method, path = "GET", "/v2"
            case ModelIndexCall():
                method, path = "POST", "/v2/repository/index"
            case SubmitCall() | JobCall() | CancelJobCall() | JobAnswerCall():
                return self._of_job(call)
        body = b"{}" if method == "POST" else b""
        return WireRequest(method, self._prefix + path, {"content-type": JSON} if body else {}, body)

    def _of_job(self, call: SubmitCall | JobCall | CancelJobCall | JobAnswerCall) -> WireRequest:
        """Write a call about a job; all of them may be sent twice."""
        match call:
            case SubmitCall(infer, headers):
                # Without a timeout, which would be that of its run; and so it is the same each time.
                wire = self._infer(infer, None)
                more = {"prefer": "respond-async", **headers}
                return msgspec.structs.replace(wire, headers={**wire.headers, **more}, repeatable=True)
            case JobCall(job, wait):
                method, path = "GET", f"/job/{quote(job, safe='')}?wait={wait:.3f}"
            case CancelJobCall(job):
                method, path = "DELETE", f"/job/{quote(job, safe='')}"
            case JobAnswerCall(job):
                method, path = "GET", f"/job/{quote(job, safe='')}/answer"
        return WireRequest(method, self._prefix + path, dict(ERRORS), repeatable=True)

    def _infer(self, call: InferCall, seconds: float | None) -> WireRequest:
        # The id stands first: for a server that knows the rest of the document, any id may stand there.
        document: dict[str, Any] = {} if call.id is None else {"id": call.id}
        document["parameters"] = {} if seconds is None else {"timeout": _timeout(seconds)}
        document["outputs"] = [{"name": name} for name in call.outputs or ()]
        headers, body = self._write_tensors(document, call.tensors)
        headers |= ERRORS
        if call.id is not None:
            headers["x-request-id"] = call.id
        if call.trace is not None:
            headers["traceparent"] = call.trace
        return WireRequest("POST", f"{self._prefix}/v2/models/{quote(call.model, safe='')}/infer", headers, body)

    def read(self, call: RemoteCall, reply: WireReply) -> Any | CallFailure:
        """Read an HTTP reply as the result of a call."""
        if isinstance(call, ReadyCall) and reply.status in (OK, NOT_READY):
            return reply.status == OK
        if reply.status not in (OK, ACCEPTED):
            return failure_of(reply, self._origin)
        if isinstance(call, SubmitCall) and reply.status == OK:
            return CallFailure(Unimplemented(f"{self._origin} answered at once: it accepts no jobs (--jobs)."))
        try:
            return _read(call, reply)
        except (SeptetError, ValueError, TypeError, LookupError) as error:
            text = f"{self._origin} answered something else than the Open Inference Protocol has: {error}"
            return CallFailure(SeptetError(text))


def _read(call: RemoteCall, reply: WireReply) -> Any:
    infer = call.infer if isinstance(call, JobAnswerCall) else call
    if isinstance(infer, InferCall):
        return _result(reply, infer)
    if isinstance(call, ModelIndexCall):
        return [each.name for each in msgspec.json.decode(reply.body, type=list[_IndexedModel])]
    return msgspec.json.decode(reply.body, type=dict[str, Any])


def datatype(array: Array) -> tuple[str, str]:
    """The signature's dtype of an array, and the protocol's datatype for it; bytes are sent as texts are."""
    dtype = "string" if array.dtype == object else array.dtype.name
    return dtype, DATATYPES[dtype]


def output_dtype(call: InferCall, datatype: str, name: str) -> str:
    """The signature's dtype of an output that came with a datatype.

    Raises:
        Invalid: there is no such datatype.
    """
    return "bytes" if datatype == BYTES and name in call.byte_outputs else dtype_of(datatype, name)


def wanted(tensors: Tensors, outputs: tuple[str, ...] | None) -> Tensors:
    """The wanted outputs in the order that they were asked for.

    Raises:
        KeyError: one is not there.
    """
    return tensors if outputs is None else {name: tensors[name] for name in outputs}


def flags_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The headers that describe the server's answer."""
    flags = headers.get(FLAGS)
    return () if flags is None else tuple(flag for each in flags.split(",") if (flag := each.strip()))


def _timeout(seconds: float) -> int:
    """Microseconds: the milliseconds that are left, of which three digits count, rounded up.

    Servers cache the documents that they have parsed. With every millisecond written, no document would come twice.
    """
    left = max(1, math.ceil(seconds * MILLISECONDS - 1e-6))
    step: int = 10 ** max(0, len(str(left)) - _TIMEOUT_DIGITS)
    return -(-left // step) * step * (MICROSECONDS // MILLISECONDS)


def _json(document: dict[str, Any], tensors: Tensors) -> tuple[dict[str, str], bytes]:
    inputs = []
    for name, array in tensors.items():
        entry = {**_head(name, array), "data": listed(array.ravel())}
        if missing := missing_parameters(array):
            entry |= {"data": ["" if value is None else value for value in entry["data"]], "parameters": missing}
        inputs.append(entry)
    body = {**document, "inputs": inputs}
    finite = all(array.dtype.kind != "f" or np.isfinite(array).all() for array in tensors.values())
    # Only the standard library writes the tokens NaN and Infinity, which this protocol's servers read.
    return {"content-type": JSON}, msgspec.json.encode(body) if finite else json.dumps(
        msgspec.to_builtins(body)
    ).encode()


def _binary(document: dict[str, Any], tensors: Tensors) -> tuple[dict[str, str], bytes]:
    inputs, parts = [], []
    for name, array in tensors.items():
        part = raw_bytes(array, datatype(array)[0])
        inputs.append(
            {**_head(name, array), "parameters": {"binary_data_size": len(part), **missing_parameters(array)}}
        )
        parts.append(part)
    parameters = {**document["parameters"], "binary_data_output": True}
    header = msgspec.json.encode({**document, "parameters": parameters, "inputs": inputs})
    return {"content-type": BINARY, HEADER_LENGTH: str(len(header))}, b"".join((header, *parts))


def _head(name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "shape": list(array.shape), "datatype": datatype(array)[1]}


def _result(reply: WireReply, call: InferCall) -> InferResult:
    length = reply.headers.get(HEADER_LENGTH)
    stop = len(reply.body) if length is None else int(length)
    rest = memoryview(reply.body)[stop:]
    document = _document(reply.body[:stop])
    tensors: dict[str, Array] = {}
    for output in document.outputs:
        dtype = output_dtype(call, output.datatype, output.name)
        size = (output.parameters or {}).get("binary_data_size")
        if size is None:
            data = list(map(_from_base64, output.data)) if dtype == "bytes" else output.data
            tensors[output.name] = np.array(data, DTYPES[dtype]).reshape(output.shape)
        else:
            tensors[output.name] = from_raw(rest[:size], dtype, output.shape, output.name)
            rest = rest[size:]
    model = Identity(document.model_name, document.model_version or "", reply.headers.get(DIGEST, ""))
    return InferResult(wanted(tensors, call.outputs), model, flags_of(reply.headers))


def _from_base64(value: str | None) -> bytes | None:
    return None if value is None else from_base64(value)


def _document(text: bytes) -> _InferAnswer:
    try:
        return msgspec.json.decode(text, type=_InferAnswer)
    except msgspec.DecodeError:  # of the tokens NaN and Infinity, perhaps
        parsed: Mapping[str, Any] = json.loads(text)
        return msgspec.convert(parsed, _InferAnswer)
