"""Messages of the gRPC protocol as a caller makes them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from septet.model.signature import DTYPES, Kind, Signature, Tensor
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.openinference.datatypes import DATATYPES, raw_bytes
from septet.protocols.openinference.grpc_service import GrpcService
from septet.protocols.openinference.typed_contents import FIELDS
from septet.protocols.rpc.descriptors import Message, message
from septet.service import Service
from septet.settings import Limits
from septet.types import Array
from tests.protocols.models import LIMITS, calls, reply, service

PATH = "/inference.GRPCInferenceService/ModelInfer"


def infer_request(tensors: Mapping[str, Array], dtypes: Mapping[str, str], *, raw: bool, **more: Any) -> Message:
    """A `ModelInferRequest` of arrays."""
    asked = message("inference.ModelInferRequest")(**{"model_name": "iris", **more})
    for name, array in tensors.items():
        given = asked.inputs.add(name=name, datatype=DATATYPES[dtypes[name]], shape=array.shape)
        if raw:
            asked.raw_input_contents.append(bytes(raw_bytes(array, dtypes[name])))
        else:
            values = array.ravel().tolist()
            getattr(given.contents, FIELDS[dtypes[name]]).extend(
                [value.encode() for value in values] if dtypes[name] == "string" else values
            )
    return asked


def rows_of_x(count: int = 1, *, raw: bool = True, **more: Any) -> Message:
    """A request for the classifier of four columns."""
    rows = np.arange(4 * count, dtype=np.float32).reshape(count, 4)
    return infer_request({"X": rows}, {"X": "float32"}, raw=raw, **more)


def http(asked: Message | bytes, **headers: str) -> HttpRequest:
    """The call as a transport hands it over."""
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return HttpRequest("POST", PATH, b"", sent, asked if isinstance(asked, bytes) else asked.SerializeToString())


def messages(of: Service, limits: Limits = LIMITS) -> GrpcService:
    """The methods of a service."""
    return calls(of, limits)


def answered(of: Service, asked: Message, **headers: str) -> tuple[Message, HttpReply]:
    """The answer to a request, as the caller reads it, and the reply that carried it."""
    given = reply(of, messages(of).infer, http(asked, **headers))
    return message("inference.ModelInferResponse").FromString(given.body), given


def echo_of(dtype: str, shape: tuple[int | None, ...] = (None, 2), kind: Kind = Kind.TENSORS) -> Service:
    """A service with one input and one output of a dtype; its answer is always `sample_of`."""
    signature = Signature(kind, (Tensor("x", dtype, shape),), (Tensor("y", dtype, shape),))
    return service(signature, {"x": sample_of(dtype)}, {"y": sample_of(dtype)})


def sample_of(dtype: str) -> Array:
    """One row of two values at the edges of a dtype."""
    if dtype == "bytes":
        return np.array([[b"", b"\xff\0"]], object)
    if dtype == "string":
        values: Sequence[Any] = ["", "grün"]
    elif dtype == "bool":
        values = [True, False]
    elif dtype.startswith("float"):
        values = [np.finfo(dtype).max, -0.0]
    else:
        values = [np.iinfo(dtype).min, np.iinfo(dtype).max]
    return np.array([values], DTYPES[dtype])
