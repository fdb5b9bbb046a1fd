"""The transports over gRPC, for threads and for coroutines: the one module that knows grpcio.

gRPC does not survive a fork: a transport that was used before one must not be used in the child.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import grpc
import grpc.aio
import msgspec

from septet.remote.caller_tls import SYSTEM_TLS, CallerPem, CallerTls, caller_pem
from septet.remote.remote_calls import CallFailure, WireReply, WireRequest
from septet.remote.remote_errors import broken, late, unreachable

#: The library's own types, which have no annotations.
Pairs: TypeAlias = Iterable[tuple[str, Any]] | None

OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),  # the client has its own, out of a budget
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)
# How the library says that nothing was sent; UNAVAILABLE alone may also be a connection that broke.
UNSENT = ("failed to connect", "DNS resolution failed")
DETAILS = "septet-error-bin"


class GrpcTransport:
    """A `ThreadTransport`. `origin` is `grpc://host:port`, or `grpcs://` for TLS; `headers` go with every call.

    The files of `tls` are read once, here.
    """

    def __init__(self, origin: str, headers: Mapping[str, str], tls: CallerTls = SYSTEM_TLS) -> None:
        self._origin = origin
        self._headers = dict(headers)
        self._pem = caller_pem(tls)
        self._channel: Any = None

    def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        """Make one call and wait for its answer."""
        if self._channel is None:
            self._channel = _open(grpc, self._origin, self._pem)
        try:
            body, call = self._channel.unary_unary(request.path).with_call(
                request.body, timeout=seconds, metadata=_metadata({**self._headers, **request.headers})
            )
        except grpc.RpcError as error:
            return _failed(error, self._origin, seconds)
        return WireReply(0, _headers(call.trailing_metadata()), body)

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            channel, self._channel = self._channel, None
            channel.close()


class GrpcAioTransport:
    """An `AsyncTransport`, of the event loop that it is first used on. Arguments as for threads."""

    def __init__(self, origin: str, headers: Mapping[str, str], tls: CallerTls = SYSTEM_TLS) -> None:
        self._origin = origin
        self._headers = dict(headers)
        self._pem = caller_pem(tls)
        self._channel: Any = None

    async def send(self, request: WireRequest, seconds: float) -> WireReply | CallFailure:
        """Make one call and wait for its answer."""
        if self._channel is None:
            self._channel = _open(grpc.aio, self._origin, self._pem)
        call = self._channel.unary_unary(request.path)(
            request.body, timeout=seconds, metadata=_metadata({**self._headers, **request.headers})
        )
        try:
            body = await call
        except grpc.RpcError as error:
            return _failed(error, self._origin, seconds)
        return WireReply(0, _headers(await call.trailing_metadata()), body)

    async def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close()


def _open(library: Any, origin: str, pem: CallerPem) -> Any:
    scheme, _, target = origin.partition("://")
    if scheme == "grpcs":
        credentials = grpc.ssl_channel_credentials(pem.ca, pem.client_key, pem.client_certificate)
        return library.secure_channel(target, credentials, OPTIONS)
    return library.insecure_channel(target, OPTIONS)


def _metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name.lower(), value) for name, value in headers.items())


def _headers(pairs: Pairs) -> dict[str, str]:
    return {name: value for name, value in pairs or () if isinstance(value, str)}


def _failed(error: Any, origin: str, seconds: float) -> WireReply | CallFailure:
    """The error of a failed call: the one that the server sent, or what became of the connection."""
    status, details = error.code(), error.details()
    trailing = dict(error.trailing_metadata() or ())
    if "x-request-id" not in trailing:
        if status is grpc.StatusCode.DEADLINE_EXCEEDED:
            return late(origin, seconds)
        if status is grpc.StatusCode.UNAVAILABLE:
            unsent = details is not None and details.startswith(UNSENT)
            return unreachable(origin, details) if unsent else broken(origin, details)
    body = trailing.get(DETAILS) or msgspec.json.encode({"error": details or status.name})
    return WireReply(status.value[0], _headers(trailing.items()), body)
