"""The listening sockets: bound once, by the process that forks the workers, and never closed while it serves."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

from septet.errors import StartupError

ADVICE = {
    errno.EADDRINUSE: "another process listens there: stop it or choose another --port",
    errno.EACCES: "ports below 1024 need more rights: choose a --port from 1024 up",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose another --host",
}

#: A family and the address to bind, as `socket.getaddrinfo` gives them.
Address = tuple[socket.AddressFamily, tuple[Any, ...]]


def bind(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Listen on every address of `host`, IPv4 and IPv6, all on one port (0: a free one).

    Raises:
        StartupError: the host is not known, or the port is taken or not allowed.
    """
    addresses = _addresses(host, port)
    with contextlib.ExitStack() as undo:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            chosen = sockets[0].getsockname()[1] if sockets else port
            try:
                listening = _listen(family, (address[0], chosen, *address[2:]), backlog, alone=len(addresses) == 1)
            except OSError as error:
                # `localhost` names an IPv6 address even where the machine has none.
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(addresses) > 1:
                    continue
                raise _refusal(host, port, error) from error
            sockets.append(listening)
            undo.callback(listening.close)
        if not sockets:
            raise _refusal(host, port, OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL)))
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
    with _closed_on_error(socket.socket(family, socket.SOCK_STREAM)) as listening:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` alone answers IPv4 as well; beside an IPv4 socket it must leave IPv4 to that.
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if alone else 1)
        listening.bind(address)
        listening.listen(backlog)
        listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
        return listening


@contextlib.contextmanager
def _closed_on_error(opened: socket.socket) -> Iterator[socket.socket]:
    try:
        yield opened
    except BaseException:
        opened.close()
        raise


def _refusal(host: str, port: int, error: OSError) -> StartupError:
    advice = ADVICE.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
    return StartupError(f"cannot listen on {host}:{port}: {advice}")
