"""Where a client's server is and how it is spoken to: read from the client's arguments."""

import math
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

Transport: TypeAlias = Literal["binary", "json", "grpc"]

HTTP = ("http", "https")
GRPC = ("grpc", "grpcs")


class Endpoint(msgspec.Struct, frozen=True):
    """A server's address.

    Attributes:
        address: `scheme://host:port`.
        prefix: what begins every path of HTTP, empty or with a slash.
        transport: how tensors travel.
    """

    address: str
    prefix: str
    transport: Transport


def endpoint(url: str, transport: Transport, timeout: float) -> Endpoint:
    """Read and check a client's arguments; a `grpc://` or `grpcs://` URL chooses gRPC.

    Raises:
        ValueError: one of them cannot be.
    """
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError(f"timeout must be a number of seconds above 0, not {timeout!r}")
    if transport not in ("binary", "json", "grpc"):
        raise ValueError(f"transport must be 'binary', 'json' or 'grpc', not {transport!r}")
    parts = urlsplit(url)
    if parts.scheme not in HTTP + GRPC or not parts.netloc or (parts.scheme in GRPC and parts.port is None):
        raise ValueError(f"url must be like http://host:8000, https://host or grpc://host:8001, not {url!r}")
    if parts.scheme in GRPC:
        return Endpoint(f"{parts.scheme}://{parts.netloc}", "", "grpc")
    if transport == "grpc":
        raise ValueError(f"gRPC has a port of its own: write grpc://host:port instead of {url!r}")
    return Endpoint(f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/"), transport)
