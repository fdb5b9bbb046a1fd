"""Where a server is and how it is spoken to: read from the arguments of whoever calls it."""

import math
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from septet.remote.caller_tls import SYSTEM_TLS, CallerTls

TransportName: TypeAlias = Literal["binary", "json", "grpc"]

HTTP = ("http", "https")
#: What begins the address of a server on a Unix socket; its path follows.
UNIX = "unix:"
GRPC = ("grpc", "grpcs")
TLS = ("https", "grpcs")


class ServerAddress(msgspec.Struct, frozen=True):
    """A server's address.

    Attributes:
        origin: `scheme://host:port`, or `unix:` and the path of a Unix socket.
        prefix: what begins every path of HTTP, empty or with a slash.
        transport: how tensors travel.
        tls: the caller's files for TLS.
    """

    origin: str
    prefix: str
    transport: TransportName
    tls: CallerTls = SYSTEM_TLS


def parse_address(url: str, transport: TransportName, tls: CallerTls = SYSTEM_TLS) -> ServerAddress:
    """Read and check where a server is; a `grpc://` or `grpcs://` URL chooses gRPC, `unix:/path` a Unix socket.

    Raises:
        ValueError: one of the arguments cannot be.
    """
    if transport not in ("binary", "json", "grpc"):
        raise ValueError(f"transport must be 'binary', 'json' or 'grpc', not {transport!r}")
    if url.startswith(UNIX + "/") and transport != "grpc":
        _check_tls(url, "unix", tls)
        return ServerAddress(url, "", transport)
    parts = urlsplit(url)
    if parts.scheme not in HTTP + GRPC or not parts.netloc or (parts.scheme in GRPC and parts.port is None):
        raise ValueError(
            f"url must be like http://host:8000, https://host, grpc://host:8001 or unix:/path, not {url!r}"
        )
    _check_tls(url, parts.scheme, tls)
    if parts.scheme in GRPC:
        return ServerAddress(f"{parts.scheme}://{parts.netloc}", "", "grpc", tls)
    if transport == "grpc":
        raise ValueError(f"gRPC has a port of its own: write grpc://host:port instead of {url!r}")
    return ServerAddress(f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/"), transport, tls)


def _check_tls(url: str, scheme: str, tls: CallerTls) -> None:
    if tls and scheme not in TLS:
        raise ValueError(f"ca, client_certificate and client_key are for https:// and grpcs://, not for {url!r}")


def check_timeout(timeout: float) -> float:
    """The timeout of a call, in seconds.

    Raises:
        ValueError: it is none.
    """
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    return timeout
