"""The Open Inference Protocol over gRPC, from the calling side: every tensor raw."""

from typing import Any

import msgspec

from septet.errors import SeptetError, Unimplemented
from septet.model.signature import Tensor
from septet.protocols.http.error_bodies import STATUS
from septet.protocols.openinference import typed_contents
from septet.protocols.openinference.datatypes import from_raw, raw_bytes
from septet.protocols.openinference.missing_parameter import missing_parameters
from septet.protocols.rpc.descriptors import Message, message
from septet.protocols.rpc.methods import parsed
from septet.protocols.rpc.paths import INFER, INFERENCE
from septet.remote.http_codec import DIGEST, datatype, flags_of, output_dtype, wanted
from septet.remote.remote_calls import (
    JOB_CALLS,
    CallFailure,
    InferCall,
    InferResult,
    MetadataCall,
    ModelIndexCall,
    ReadyCall,
    RemoteCall,
    ServerMetadataCall,
    TensorMetadataCall,
    WireReply,
    WireRequest,
)
from septet.remote.remote_errors import failure_of
from septet.types import Array, Identity

OK = 0
#: The property of a model's metadata that holds Septet's own description.
PROPERTY = "septet"
#: gRPC's status -> the status that HTTP has for it.
_HTTP = {
    3: STATUS["malformed"],
    4: STATUS["deadline_exceeded"],
    5: STATUS["not_found"],
    8: STATUS["too_large"],
    12: STATUS["not_found"],
    14: STATUS["unavailable"],
}


class GrpcCodec:
    """A `ProtocolCodec`. `origin` is who is spoken to."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._request = message("inference.ModelInferRequest")
        self._response = message("inference.ModelInferResponse")

    def write(self, call: RemoteCall, seconds: float) -> WireRequest:  # noqa: ARG002 - gRPC itself tells the server
        """Write a call as a method's path and message.

        Raises:
            Unimplemented: it is about a job.
        """
        if isinstance(call, JOB_CALLS):
            raise Unimplemented("Jobs are submitted and read over HTTP here: give the client an http:// address.")
        match call:
            case InferCall():
                return self._infer(call)
            case ReadyCall():
                method, asked = "ServerReady", message("inference.ServerReadyRequest")()
            case MetadataCall(model) | TensorMetadataCall(model):
                method, asked = "ModelMetadata", message("inference.ModelMetadataRequest")(name=model or "")
            case ServerMetadataCall():
                method, asked = "ServerMetadata", message("inference.ServerMetadataRequest")()
            case ModelIndexCall():
                method, asked = "RepositoryIndex", message("inference.RepositoryIndexRequest")()
        return WireRequest("POST", f"/{INFERENCE}/{method}", {}, asked.SerializeToString())

    def _infer(self, call: InferCall) -> WireRequest:
        request = self._request(model_name=call.model, id=call.id or "")
        for name, array in call.tensors.items():
            dtype, kind = datatype(array)
            given = request.inputs.add(name=name, datatype=kind, shape=array.shape)
            for key, value in missing_parameters(array).items():
                given.parameters[key].string_param = value
            request.raw_input_contents.append(bytes(raw_bytes(array, dtype)))
        for name in call.outputs or ():
            request.outputs.add(name=name)
        headers = {"x-request-id": call.id, "traceparent": call.trace}
        return WireRequest(
            "POST", INFER, {name: value for name, value in headers.items() if value}, request.SerializeToString()
        )

    def read(self, call: RemoteCall, reply: WireReply) -> Any | CallFailure:
        """Read a reply as the result of a call."""
        if reply.status != OK:
            status = _HTTP.get(reply.status, STATUS["internal"])
            return failure_of(WireReply(status, reply.headers, reply.body), self._origin)
        try:
            return self._result(call, reply) if isinstance(call, InferCall) else _described(call, reply.body)
        except (SeptetError, ValueError, LookupError) as error:
            text = f"{self._origin} answered something else than Septet does over gRPC: {error}"
            return CallFailure(SeptetError(text))

    def _result(self, call: InferCall, reply: WireReply) -> InferResult:
        answer = parsed(self._response, reply.body)
        if answer.raw_output_contents:
            tensors = {
                name: from_raw(data, output_dtype(call, output.datatype, name), output.shape[:], name)
                for output, data in zip(answer.outputs, answer.raw_output_contents, strict=True)
                for name in (output.name,)
            }
        else:
            tensors = {output.name: _typed(call, output) for output in answer.outputs}
        model = Identity(answer.model_name, answer.model_version, reply.headers.get(DIGEST, ""))
        return InferResult(wanted(tensors, call.outputs), model, flags_of(reply.headers))


def _typed(call: InferCall, output: Message) -> Array:
    """The values of an output that some servers answer as typed contents, whatever way the request came."""
    dtype, shape = output_dtype(call, output.datatype, output.name), output.shape[:]
    return typed_contents.read(output.contents, Tensor(output.name, dtype, tuple(shape)), shape)


def _described(call: RemoteCall, body: bytes) -> Any:
    match call:
        case ReadyCall():
            return bool(parsed(message("inference.ServerReadyResponse"), body).ready)
        case ModelIndexCall():
            return [each.name for each in parsed(message("inference.RepositoryIndexResponse"), body).models]
        case ServerMetadataCall():
            server = parsed(message("inference.ServerMetadataResponse"), body)
            return {"name": server.name, "extensions": list(server.extensions)}
    found = parsed(message("inference.ModelMetadataResponse"), body)
    if isinstance(call, MetadataCall):
        return msgspec.json.decode(found.properties[PROPERTY], type=dict[str, Any])

    def tensors(each: Any) -> list[dict[str, Any]]:
        return [{"name": one.name, "datatype": one.datatype, "shape": list(one.shape)} for one in each]

    return {
        "name": found.name,
        "versions": list(found.versions),
        "inputs": tensors(found.inputs),
        "outputs": tensors(found.outputs),
    }
