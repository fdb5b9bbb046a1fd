"""What each process that serves is to do, as their parent knows it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

import msgspec

from septet.assembly.loading import ModelLoader
from septet.service import Service
from septet.settings import Settings

if TYPE_CHECKING:
    from septet.access.watched_keys import WatchedKeys
    from septet.server.tls_files import TlsFiles


class Addresses(msgspec.Struct, frozen=True):
    """Where a server answers.

    Attributes:
        url: for HTTP.
        grpc: the addresses for gRPC, such as `127.0.0.1:8001`.
        unix_socket: where HTTP is answered in place of the URL's host and port.
    """

    url: str
    grpc: Sequence[str] = ()
    unix_socket: Path | None = None


Announce = Callable[[Sequence[Service], Addresses], None]


class ServingPlan(msgspec.Struct, frozen=True):
    """What all processes of a server have in common.

    Attributes:
        loader: of the models.
        begun: when the start began, in seconds of the performance counter.
        addresses: where the server answers.
        announce: called once, by the first process that is ready.
        tls_files: what encrypts connections; None for plain ones.
        keys: those of callers; None where none is needed.
        http, grpc: how many sockets are for each, in this order; one more may be for admin operations.
        serving: how many of the processes serve; all further ones answer jobs.
    """

    loader: ModelLoader
    settings: Settings
    begun: float
    addresses: Addresses
    announce: Announce
    tls_files: "TlsFiles | None"
    keys: "WatchedKeys | None"
    http: int
    grpc: int
    serving: int

    def split(self, sockets: Sequence[socket]) -> tuple[Sequence[socket], Sequence[socket], Sequence[socket]]:
        """Those for HTTP, for gRPC, and for admin operations."""
        others = self.http + self.grpc
        return sockets[: self.http], sockets[self.http : others], sockets[others:]
