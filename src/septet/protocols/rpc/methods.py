"""What a gRPC server can answer: one `Method` for each path.

A call is a request like any other: gRPC is POST over HTTP/2, `/package.Service/Method` is its path, and one message is
its body. So an `App` answers calls too, and a `Method` holds what gRPC adds to its route. No gRPC library is needed
here: a transport turns the reply's code into a status (`septet.protocols.http.error_bodies.GRPC`) and sends the rest
as it is.
"""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import msgspec
from google.protobuf.message import DecodeError

from septet.errors import Malformed
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id
from septet.protocols.http.routes import declared_routes
from septet.protocols.rpc.descriptors import Message, message

PROTOBUF = b"application/grpc+proto"
_MOST_DIGITS = 8  # as gRPC writes a timeout
_UNIT_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

#: The message that tells of a failed one where a stream goes on after it.
Fault: TypeAlias = Callable[[HttpReply], bytes]


class Method(msgspec.Struct, frozen=True):
    """One method.

    Attributes:
        path: such as `/package.Service/Method`; the application's route of that path answers one message.
        streams: `no`; `both`: messages come and go, each is answered in turn; `answers`: one message is answered, and
            again when the server begins to drain.
        fault: for `both`: how a failure is reported without ending the stream; None ends it.
    """

    path: str
    streams: Literal["no", "both", "answers"] = "no"
    fault: Fault | None = None


def read(kind: str, body: bytes) -> Message:
    """A message of a kind, such as `inference.ModelInferRequest`.

    Raises:
        Malformed: the bytes are none.
    """
    return parsed(message(kind), body)


def parsed(kind: Message, body: bytes) -> Message:
    """The same for a class of messages.

    Raises:
        Malformed: the bytes are none.
    """
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise Malformed(f"The message is not a {kind.DESCRIPTOR.full_name}: {error}") from None


def written(http: HttpRequest, answer: Message) -> HttpReply:
    """The reply that is one message."""
    return HttpReply(200, answer.SerializeToString(), checked_id(http.headers), PROTOBUF)


def methods_of(owner: object, *streaming: Method) -> tuple[Method, ...]:
    """The methods that an object declares as routes; those that are not among `streaming` have one message each way."""
    special = {each.path: each for each in streaming}
    paths = [path for route in declared_routes(type(owner)) for path in route.patterns]
    return tuple(special.get(path) or Method(path) for path in paths)


def timeout_of(headers: Mapping[bytes, bytes]) -> float | None:
    """The seconds left for a call by its header `grpc-timeout`, or None.

    Raises:
        Malformed: it is not a number and a unit.
    """
    value = headers.get(b"grpc-timeout")
    if value is None:
        return None
    unit = _UNIT_SECONDS.get(value[-1:])
    if unit is None or not value[:-1].isdigit() or len(value) > _MOST_DIGITS + 1:
        raise Malformed("The header grpc-timeout must be up to eight digits and one of the units H, M, S, m, u, n.")
    return int(value[:-1]) * unit
