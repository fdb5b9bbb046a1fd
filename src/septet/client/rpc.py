"""The Open Inference Protocol over gRPC, from the client's side: every tensor raw."""

from typing import Any

import msgspec

from septet.client.faults import failure
from septet.client.questions import Answered, Ask, Describe, Failure, Infer, Question, Ready, Reply
from septet.client.rest import datatype, named
from septet.errors import SeptetError
from septet.protocols.http.error_bodies import STATUS
from septet.protocols.openinference.datatypes import dtype_of, from_raw, raw_bytes
from septet.protocols.openinference.missing import told
from septet.protocols.rpc.descriptors import message
from septet.protocols.rpc.methods import parsed
from septet.protocols.rpc.paths import INFER, INFERENCE
from septet.types import Tensors

OK = 0
#: gRPC's status -> the status that HTTP has for it.
_HTTP = {
    3: STATUS["malformed"],
    4: STATUS["deadline_exceeded"],
    5: STATUS["not_found"],
    8: STATUS["too_large"],
    12: STATUS["not_found"],
    14: STATUS["unavailable"],
}


class Rpc:
    """A `Dialect`. `address` is who is spoken to."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._request = message("inference.ModelInferRequest")
        self._response = message("inference.ModelInferResponse")

    def ask(self, question: Question, seconds: float) -> Ask:  # noqa: ARG002 - gRPC itself tells the server
        """Write a question as a call."""
        match question:
            case Ready():
                return Ask("POST", f"/{INFERENCE}/ServerReady")
            case Describe():
                return Ask("POST", f"/{INFERENCE}/ModelMetadata")
            case Infer(model, tensors, outputs):
                request = self._request(model_name=model)
                for name, array in tensors.items():
                    dtype, kind = datatype(array)
                    given = request.inputs.add(name=name, datatype=kind, shape=array.shape)
                    for key, value in told(array).items():
                        given.parameters[key].string_param = value
                    request.raw_input_contents.append(bytes(raw_bytes(array, dtype)))
                for name in outputs or ():
                    request.outputs.add(name=name)
                return Ask("POST", INFER, {}, request.SerializeToString())

    def read(self, question: Question, reply: Reply) -> Any | Failure:
        """Read a reply as the answer to a question."""
        if reply.status != OK:
            status = _HTTP.get(reply.status, STATUS["internal"])
            return failure(Reply(status, reply.headers, reply.body), self._address)
        try:
            match question:
                case Ready():
                    return bool(parsed(message("inference.ServerReadyResponse"), reply.body).ready)
                case Describe():
                    said = parsed(message("inference.ModelMetadataResponse"), reply.body)
                    return msgspec.json.decode(said.properties["septet"], type=dict[str, Any])
                case Infer(_, _, outputs):
                    tensors = named(self._tensors(reply.body), outputs)
                    return Answered(tensors, reply.headers.get("septet-model-digest"))
        except (SeptetError, ValueError, LookupError) as error:
            text = f"{self._address} answered something else than Septet does over gRPC: {error}"
            return Failure(SeptetError(text))

    def _tensors(self, body: bytes) -> Tensors:
        answer = parsed(self._response, body)
        return {
            output.name: from_raw(data, dtype_of(output.datatype, output.name), output.shape[:], output.name).copy()
            for output, data in zip(answer.outputs, answer.raw_output_contents, strict=True)
        }
