import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from septet.errors import StartupError
from septet.server.listener import bind, listen_on_reserved, reserve

Bind = Callable[[str, int], list[socket.socket]]


@pytest.fixture
def bound() -> Iterator[Bind]:
    with ExitStack() as opened:

        def bind_until_the_end(host: str, port: int) -> list[socket.socket]:
            return [opened.enter_context(listening) for listening in bind(host, port, backlog=16)]

        yield bind_until_the_end


def test_a_free_port_is_chosen_and_listened_on(bound: Bind) -> None:
    (listening,) = bound("127.0.0.1", 0)

    port = listening.getsockname()[1]
    socket.create_connection(("127.0.0.1", port), timeout=30).close()
    assert not listening.getblocking()


def test_all_addresses_of_a_host_share_the_port(bound: Bind) -> None:
    sockets = bound("localhost", 0)

    assert len({listening.getsockname()[1] for listening in sockets}) == 1


def test_a_taken_port_is_explained(bound: Bind) -> None:
    (listening,) = bound("127.0.0.1", 0)
    port = listening.getsockname()[1]

    with pytest.raises(StartupError, match=f"127.0.0.1:{port}: another process listens there"):
        bind("127.0.0.1", port, backlog=16)


def test_an_unknown_host_is_explained() -> None:
    with pytest.raises(StartupError, match=r"'no such host': it is not a known name"):
        bind("no such host", 0, backlog=16)


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(StartupError, match="no such address"):
        bind("192.0.2.1", 0, backlog=16)


class Narrow(socket.socket):
    """A machine that lets nobody bind, and has no IPv6."""

    def bind(self, address: Any) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "")
        if address[1] == 80:
            raise PermissionError(errno.EACCES, "")
        super().bind(address)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr("septet.server.listener.socket.socket", Narrow)
    monkeypatch.setattr("septet.server.listener.socket.getaddrinfo", both)


@pytest.mark.usefixtures("narrow")
def test_a_machine_without_ipv6_listens_on_ipv4(bound: Bind) -> None:
    assert [listening.family for listening in bound("localhost", 0)] == [socket.AF_INET]


@pytest.mark.usefixtures("narrow")
def test_a_port_that_needs_rights_is_explained() -> None:
    with pytest.raises(StartupError, match="choose a --port from 1024 up"):
        bind("localhost", 80, backlog=16)


@pytest.fixture
def reserved() -> Iterator[socket.socket]:
    (found,) = reserve("127.0.0.1", 0)
    with found:
        yield found


def test_a_reserved_port_answers_nobody(reserved: socket.socket) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(reserved.getsockname(), timeout=30)


def test_a_reserved_port_answers_once_somebody_listens(reserved: socket.socket) -> None:
    reserved.listen()
    socket.create_connection(reserved.getsockname(), timeout=30).close()


def test_a_reserved_port_is_taken_for_other_servers(reserved: socket.socket) -> None:
    port = reserved.getsockname()[1]
    with pytest.raises(StartupError, match="another process listens there"):
        reserve("127.0.0.1", port)
    with pytest.raises(StartupError, match="another process listens there"):
        bind("127.0.0.1", port, backlog=16)


def leave_in_time_wait(listening: socket.socket) -> tuple[str, int]:
    """End a server whose side closed a connection first, and return where it was."""
    address: tuple[str, int] = listening.getsockname()
    listening.setblocking(True)  # noqa: FBT003 - the standard library's signature
    with socket.create_connection(address, timeout=30) as client:
        accepted, _ = listening.accept()
        listening.close()
        accepted.close()
        assert client.recv(1) == b""
    return address


def test_a_port_can_be_had_again_at_once_after_its_server_has_closed_connections() -> None:
    (listening,) = bind("127.0.0.1", 0, backlog=16)
    for again in bind(*leave_in_time_wait(listening), backlog=16):
        again.close()


def test_a_reserved_port_can_be_had_again_at_once_after_its_server_has_closed_connections(
    reserved: socket.socket,
) -> None:
    listen_on_reserved(reserved, 16)
    for again in reserve(*leave_in_time_wait(reserved)):
        with again:
            listen_on_reserved(again, 16)


def test_a_reserved_port_on_which_somebody_listens_is_taken_for_other_servers(reserved: socket.socket) -> None:
    listen_on_reserved(reserved, 16)
    with pytest.raises(StartupError, match="another process listens there"):
        reserve("127.0.0.1", reserved.getsockname()[1])
