"""Hooks: real servers on this machine, which behave as they are told to."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from tests.waiting import until


class Call:
    """One request as a hook got it. Names of headers are in lower case."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        self.line, *lines = head.decode().split("\r\n")
        self.headers = dict(map(_header, lines))


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name.lower(), value


#: Answers one request over its connection, which is closed afterwards. It may wait for the event: the test is over.
Answer: TypeAlias = Callable[[socket.socket, threading.Event], None]


class Hook:
    """What a hook was told so far."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.calls: list[Call] = []
        self.accepted = 0


def saying(text: bytes) -> Answer:
    """An answer that sends these bytes."""
    return lambda connected, _: connected.sendall(text)


def status(number: int, *headers: str) -> Answer:
    """An answer with this status and an empty body."""
    return saying("\r\n".join([f"HTTP/1.1 {number} Any", "content-length: 0", *headers, "", ""]).encode())


@contextmanager
def hook(*answers: Answer, context: ssl.SSLContext | None = None, before: bool = False) -> Iterator[Hook]:
    """A hook that gives these answers one after the other, then the last one again.

    With `before` it answers before it has read the request.
    """
    over = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        made = Hook(server.getsockname()[1])

        def talk(connected: socket.socket, answer: Answer) -> None:
            with contextlib.suppress(OSError), connected:
                secured = context.wrap_socket(connected, server_side=True) if context else connected
                with secured:
                    if not before:
                        made.calls.append(_read(secured))
                    answer(secured, over)

        def accept() -> None:
            while True:
                try:
                    connected, _ = server.accept()
                except OSError:
                    return
                answer = answers[min(made.accepted, len(answers) - 1)]
                made.accepted += 1
                threads.append(threading.Thread(target=talk, args=(connected, answer)))
                threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield made
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()


def _read(connected: socket.socket) -> Call:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connected.recv(65_536) or _end()
    call = Call(data)
    while len(call.body) < int(call.headers["content-length"]):
        call.body += connected.recv(65_536) or _end()
    return call


def _end() -> bytes:
    raise ConnectionResetError


def all_called(made: Hook, number: int) -> list[Call]:
    """The first so many calls of a hook."""
    until(lambda: len(made.calls) >= number)
    return made.calls
