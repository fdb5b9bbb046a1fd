"""The sockets that a server listens on: bound once, by the process that forks the workers, and open while it serves."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from typing import Any, Protocol

from septet.errors import StartupError

ADVICE = {
    errno.EADDRINUSE: "another process listens there: stop it or choose another {flag}",
    errno.EACCES: "ports below 1024 need more rights: choose a {flag} from 1024 up",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose another --host",
}

#: A family and the address to bind, as `socket.getaddrinfo` gives them.
Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class MakeSocket(Protocol):
    """Makes a socket of an address; `alone`: there is no other address."""

    def __call__(self, family: socket.AddressFamily, address: tuple[Any, ...], *, alone: bool) -> socket.socket:
        """Raise OSError where that fails."""


def bind(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Listen on every address of `host`, IPv4 and IPv6, all on one port (0: a free one).

    Raises:
        StartupError: the host is not known, or the port is made or not allowed.
    """

    def listen(family: socket.AddressFamily, address: tuple[Any, ...], *, alone: bool) -> socket.socket:
        return _listen(family, address, backlog, alone=alone)

    return _on_every_address(host, port, listen, "--port")


def reserve(host: str, port: int) -> list[socket.socket]:
    """Hold every address of `host`, all on one port (0: a free one), with sockets that do not listen yet.

    Callers find the port closed until one of the processes that share a socket listens on it.

    Raises:
        StartupError: the host is not known, or the port is made or not allowed.
    """
    return _on_every_address(host, port, _reserve, "--grpc-port")


def listen_on_reserved(reserved: socket.socket, backlog: int) -> None:
    """Listen on a socket of `reserve`; where several processes share it, each may.

    From here on the address may be bound again, which connections take over from their listening socket: otherwise a
    port could not be used for a minute after connections of an earlier server on it were closed (TIME_WAIT). Nobody
    else can bind it all the same, since the socket listens.

    Raises:
        OSError: it cannot listen.
    """
    if os.name == "posix":
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.listen(backlog)


def _on_every_address(host: str, port: int, make: MakeSocket, flag: str) -> list[socket.socket]:
    addresses = _addresses(host, port)
    with contextlib.ExitStack() as undo:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                made = make(family, (address[0], chosen, *address[2:]), alone=len(addresses) == 1)
            except OSError as error:
                # `localhost` names an IPv6 address even where the machine has none.
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(addresses) > 1:
                    continue
                raise _refusal(host, port, error, flag) from error
            sockets.append(made)
            undo.callback(made.close)
        if not sockets:
            raise _refusal(host, port, OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL)), flag)
        undo.pop_all()
    return sockets


def _addresses(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise StartupError(
            f"cannot listen on host {host!r}: it is not a known name or address; use 127.0.0.1 for this machine only, "
            "0.0.0.0 for all its networks"
        ) from error
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _listen(family: socket.AddressFamily, address: tuple[Any, ...], backlog: int, *, alone: bool) -> socket.socket:
    with _closed_on_error(_bound(family, address, alone=alone)) as listening:
        listening.listen(backlog)
        listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
        return listening


def _reserve(family: socket.AddressFamily, address: tuple[Any, ...], *, alone: bool) -> socket.socket:
    with _closed_on_error(_bound(family, address, alone=alone)) as reserved:
        # Without it nobody else can bind the port in the same way while this socket does not listen.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        return reserved


def _bound(family: socket.AddressFamily, address: tuple[Any, ...], *, alone: bool) -> socket.socket:
    with _closed_on_error(socket.socket(family, socket.SOCK_STREAM)) as bound:
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` alone answers IPv4 as well; beside an IPv4 socket it must leave IPv4 to that.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if alone else 1)
        bound.bind(address)
        return bound


@contextlib.contextmanager
def _closed_on_error(opened: socket.socket) -> Iterator[socket.socket]:
    try:
        yield opened
    except BaseException:
        opened.close()
        raise


def _refusal(host: str, port: int, error: OSError, flag: str) -> StartupError:
    advice = ADVICE.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error)).format(flag=flag)
    return StartupError(f"cannot listen on {host}:{port}: {advice}")
