"""The dialect and the wire to an endpoint."""

from collections.abc import Mapping
from importlib.util import find_spec

from septet.client.endpoint import Endpoint
from septet.client.http import CoroutineHttp, ThreadedHttp
from septet.client.questions import AsyncWire, Dialect, Wire
from septet.client.rest import Rest
from septet.errors import MissingExtra


def threaded(place: Endpoint, headers: Mapping[str, str]) -> tuple[Dialect, Wire]:
    """For a client of threads.

    Raises:
        MissingExtra: the transport's library is not installed.
    """
    if place.transport != "grpc":
        return _rest(place), ThreadedHttp(place.address, headers)
    dialect = _rpc(place)
    from septet.client.grpc import ThreadedGrpc

    return dialect, ThreadedGrpc(place.address, headers)


def coroutine(place: Endpoint, headers: Mapping[str, str]) -> tuple[Dialect, AsyncWire]:
    """For a client of coroutines.

    Raises:
        MissingExtra: the transport's library is not installed.
    """
    if place.transport != "grpc":
        return _rest(place), CoroutineHttp(place.address, headers)
    dialect = _rpc(place)
    from septet.client.grpc import CoroutineGrpc

    return dialect, CoroutineGrpc(place.address, headers)


def _rest(place: Endpoint) -> Dialect:
    return Rest(place.address, place.prefix, binary=place.transport == "binary")


def _rpc(place: Endpoint) -> Dialect:
    if any(find_spec(name) is None for name in ("grpc", "google.protobuf")):
        raise MissingExtra("The client over gRPC needs grpcio and protobuf: pip install 'septet[grpc-client]'")
    from septet.client.rpc import Rpc

    return Rpc(place.address)
