"""What stands behind a balancer, and how callers reach it."""

import re

import msgspec

from septet.errors import SettingsInvalid
from septet.settings import Limits

#: Of the caller's own deadline, and the answer that says it has passed, a balancer must not be ahead.
MARGIN_SECONDS = 5
#: A request is asked of no more replicas than this: a fault of all of them would be multiplied.
MOST_TRIES = 3
_LARGEST_PORT = 65535


class Replica(msgspec.Struct, frozen=True):
    """One server.

    Attributes:
        host: of an IPv6 address without brackets; of a server on a Unix socket `unix:` and the path.
        port: None for a Unix socket.
    """

    host: str
    port: int | None

    @property
    def address(self) -> str:
        """Host and port, as configurations have them."""
        if self.port is None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def replica_of(text: str) -> Replica:
    """Read `host:port`, or `unix:` and the absolute path of a Unix socket.

    Raises:
        SettingsInvalid: it is something else.
    """
    if re.fullmatch(r"unix:/[\w@%+=,./-]+", text):
        return Replica(text, None)
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    plain = host and host.isprintable() and not any(each.isspace() or each in "\"'\\;{}#$/" for each in host)
    if not plain or not port.isdecimal() or not 0 < int(port) <= _LARGEST_PORT:
        raise SettingsInvalid(f"{text!r}: give each replica as HOST:PORT, such as 10.0.0.1:8000, or as unix:/PATH")
    return Replica(host, int(port))


class BalancedService(msgspec.Struct, frozen=True):
    """Replicas of one server, and how they are published.

    Attributes:
        name: of the service, as the configuration names its parts.
        replicas: for HTTP.
        grpc_replicas: for gRPC, in the same order; may be empty.
        listen, grpc_listen: the ports on which the balancer answers.
        prefix: the path under which HTTP is published, such as `/models/iris`; empty for none.
        certificate, key: files in PEM, to answer with TLS; None without. HAProxy has both in one file, the certificate.
        limits: the server's own.
    """

    name: str
    replicas: tuple[Replica, ...]
    grpc_replicas: tuple[Replica, ...]
    listen: int
    grpc_listen: int
    prefix: str
    certificate: str | None
    key: str | None
    limits: Limits

    @property
    def tries(self) -> int:
        """How many replicas a request is asked of before it is given up."""
        return min(len(self.replicas or self.grpc_replicas), MOST_TRIES)

    @property
    def answer_seconds(self) -> int:
        """How long an answer may take: longer than any deadline that the server grants."""
        return round(self.limits.max_timeout_seconds) + MARGIN_SECONDS


def checked(service: BalancedService) -> BalancedService:
    """The service, where a configuration can be written for it.

    Raises:
        SettingsInvalid: it has no replica, or a name, a port or a file that a configuration cannot have.
    """
    if not service.replicas and not service.grpc_replicas:
        raise SettingsInvalid("give each server with --replica HOST:PORT, or --grpc-replica HOST:PORT")
    if service.replicas and service.grpc_replicas and len(service.replicas) != len(service.grpc_replicas):
        raise SettingsInvalid(
            f"{len(service.replicas)} replicas for HTTP and {len(service.grpc_replicas)} for gRPC are given; give both "
            "addresses of each server, in the same order"
        )
    for replica in service.grpc_replicas:
        if replica.port is None:
            raise SettingsInvalid(f"{replica.host}: gRPC is served on TCP ports only; give HOST:PORT")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", service.name):
        raise SettingsInvalid(f"--service {service.name!r}: take letters, digits and _ only, a letter first")
    for port in (service.listen, service.grpc_listen):
        if not 0 < port <= _LARGEST_PORT:
            raise SettingsInvalid(f"{port} is no port: take one from 1 to {_LARGEST_PORT}")
    for file in (service.certificate, service.key):
        if file is not None and not re.fullmatch(r"[\w@%+=:,./-]+", file):
            raise SettingsInvalid(f"{file!r}: a configuration needs a path without spaces and quotes")
    return service


def unavailable(request_id: str) -> str:
    """The body of a reply where no replica answers, as the native routes have it; `request_id` may be a variable."""
    return (
        '{"error":{"code":"unavailable","message":"No replica answers. Try again in a moment.",'
        f'"details":[],"id":"{request_id}"}}}}'
    )


def too_large(most_bytes: int, request_id: str) -> str:
    """The body of a reply to a body of too many bytes."""
    return (
        f'{{"error":{{"code":"too_large","message":"The body has more than {most_bytes} bytes. Send fewer rows at a '
        f'time.","details":[],"id":"{request_id}"}}}}'
    )
