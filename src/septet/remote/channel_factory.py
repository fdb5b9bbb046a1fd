"""The channel to a server's address."""

from collections.abc import Mapping
from importlib.util import find_spec

from septet.errors import MissingExtra
from septet.remote.channels import AsyncChannel, ThreadChannel
from septet.remote.http_codec import HttpCodec
from septet.remote.http_transport import AiohttpTransport, Urllib3Transport
from septet.remote.remote_calls import ProtocolCodec
from septet.remote.retries import RetryBudget
from septet.remote.server_address import ServerAddress


def thread_channel(address: ServerAddress, headers: Mapping[str, str]) -> ThreadChannel:
    """A channel for threads; `headers` go with every request.

    Raises:
        MissingExtra: the transport's library is not installed.
        Invalid: the caller's files for TLS cannot be used.
    """
    if address.transport != "grpc":
        return ThreadChannel(_http_codec(address), Urllib3Transport(address.origin, headers, address.tls))
    codec = _grpc_codec(address)
    from septet.remote.grpc_transport import GrpcTransport

    return ThreadChannel(codec, GrpcTransport(address.origin, headers, address.tls))


def async_channel(
    address: ServerAddress, headers: Mapping[str, str], budget: RetryBudget | None = None
) -> AsyncChannel:
    """A channel for the coroutines of one event loop; `headers` go with every request.

    Raises:
        MissingExtra: the transport's library is not installed.
        Invalid: the caller's files for TLS cannot be used.
    """
    if address.transport != "grpc":
        return AsyncChannel(_http_codec(address), AiohttpTransport(address.origin, headers, address.tls), budget=budget)
    codec = _grpc_codec(address)
    from septet.remote.grpc_transport import GrpcAioTransport

    return AsyncChannel(codec, GrpcAioTransport(address.origin, headers, address.tls), budget=budget)


def _http_codec(address: ServerAddress) -> ProtocolCodec:
    return HttpCodec(address.origin, address.prefix, binary=address.transport == "binary")


def _grpc_codec(address: ServerAddress) -> ProtocolCodec:
    if any(find_spec(name) is None for name in ("grpc", "google.protobuf")):
        raise MissingExtra("The client over gRPC needs grpcio and protobuf: pip install 'septet[grpc-client]'")
    from septet.remote.grpc_codec import GrpcCodec

    return GrpcCodec(address.origin)
