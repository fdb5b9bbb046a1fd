"""Sends one request to a hook, which is a server of somebody else and may do anything.

The address that is checked is the one that is connected to, so a name that changes what it stands for is of no use.
Redirects are not followed, proxies of the environment are not used, and one deadline bounds the whole, however little
the other end reads or sends at a time; a library's limit for each read would not. So this speaks HTTP/1.1 (RFC 9112)
itself, one request for a connection.
"""

import datetime as dt
import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from septet.sinks.delivery import DeliveryFailed, DeliveryRefused
from septet.sinks.public_addresses import Network, is_allowed, parse_ip, parse_network
from septet.sinks.sink_address import WebhookAddress
from septet.sinks.sink_policy import SinkPolicy

MOST_READ: Final = 65_536  # bytes of an answer
LONGEST_RETRY_AFTER: Final = 3600.0
#: For how long an answer is read on after its head, so that the other end sees no reset.
_FAREWELL_SECONDS: Final = 1.0
_CHUNK: Final = 65_536
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_RETRY_AFTER: Final = re.compile(rb"\nretry-after:[ \t]*([^\r\n]{1,64}?)[ \t]*\r?\n", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r?\n", re.IGNORECASE)
_LONGEST_END: Final = 3  # bytes of the end of a head that may have come without its last one
_LAST_INFORMATIONAL: Final = 199

_Place: TypeAlias = tuple[socket.AddressFamily, Any]


class WebhookReply(msgspec.Struct, frozen=True):
    """What a hook answered: its status, and how many seconds to wait, at most an hour."""

    status: int
    retry_after: float | None


class WebhookClient:
    """Threads may share it."""

    def __init__(self, policy: SinkPolicy, context: ssl.SSLContext | None = None) -> None:
        self._policy = policy
        self._networks: tuple[Network, ...] = tuple(map(parse_network, policy.webhook_networks))
        self._context = context or ssl.create_default_context()

    def post(self, address: WebhookAddress, headers: Mapping[str, str], body: bytes) -> WebhookReply:
        """Send a body, and read the head of the answer.

        Raises:
            DeliveryRefused: the host has only addresses that are not allowed.
            DeliveryFailed: there was no answer in time, or none that is HTTP.
        """
        begun = time.monotonic()
        ends = begun + self._policy.whole_seconds
        lines = [f"POST {address.target} HTTP/1.1", f"host: {address.netloc}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, "connection: close", "", ""]).encode("ascii")
        try:
            with self._connected(address, min(ends, begun + self._policy.connect_seconds)) as connected:
                # A hook may answer before it has read all, and then close: what it answered counts.
                broken = _sent(connected, head + body, ends)
                return _reply(connected, self._policy.first_byte_seconds, ends, broken)
        except ssl.SSLCertVerificationError as error:
            raise DeliveryFailed(f"{address.shown} has no certificate for its name: {error.verify_message}") from None
        except TimeoutError:
            raise DeliveryFailed(f"{address.shown} did not answer in time.") from None
        except OSError as error:
            raise DeliveryFailed(f"{address.shown} gave no answer: {error.strerror or type(error).__name__}") from None
        except _NoHttp:
            raise DeliveryFailed(f"{address.shown} did not answer in HTTP.") from None

    def _connected(self, address: WebhookAddress, deadline: float) -> socket.socket:
        failure: OSError = TimeoutError()
        places = self._places(address)
        for left, (family, place) in zip(range(len(places), 0, -1), places, strict=True):
            connected = socket.socket(family, socket.SOCK_STREAM)
            try:
                # The first of many must not take the time of all.
                connected.settimeout(_seconds_left(deadline) / left)
                connected.connect(place)
                if address.scheme == "https":
                    connected.settimeout(_seconds_left(deadline))
                    return self._context.wrap_socket(connected, server_hostname=address.host)
            except OSError as error:
                connected.close()
                failure = error
            else:
                return connected
        raise failure

    def _places(self, address: WebhookAddress) -> list[_Place]:
        """What the host stands for, as far as it is allowed. The resolver has time limits of its own."""
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError):
            raise DeliveryFailed(f"The host of {address.shown} cannot be found.") from None
        allowed: list[_Place] = [
            (family, place) for family, _, _, _, place in found if is_allowed(parse_ip(str(place[0])), self._networks)
        ]
        if not allowed:
            raise DeliveryRefused(f"The host of {address.shown} is in no network that hooks may be in.")
        return allowed


class _NoHttp(Exception):
    """Raised when an answer is not HTTP."""


def _sent(connected: socket.socket, data: bytes, deadline: float) -> OSError | None:
    """Send all bytes; the error, where the other end took no more of them."""
    rest = memoryview(data)
    while rest:
        connected.settimeout(_seconds_left(deadline))
        try:
            rest = rest[connected.send(rest[:_CHUNK]) :]
        except TimeoutError:
            raise
        except OSError as error:
            return error
    return None


def _reply(connected: socket.socket, first_byte: float, ends: float, broken: OSError | None) -> WebhookReply:
    head, searched, read = b"", 0, 0
    deadline = min(ends, time.monotonic() + first_byte)
    while True:
        if end := _HEAD_END.search(head, searched):
            status = _STATUS.match(head)
            if status is None:
                raise _NoHttp
            if int(status[1]) > _LAST_INFORMATIONAL:
                break
            head, searched = head[end.end() :], 0
            continue
        searched = max(0, len(head) - _LONGEST_END)
        if read >= MOST_READ:
            raise _NoHttp
        connected.settimeout(_seconds_left(deadline))
        data = connected.recv(MOST_READ - read)
        if not data:
            if head:
                raise _NoHttp
            raise broken or ConnectionResetError(0, "it closed the connection")
        head, read, deadline = head + data, read + len(data), ends
    lines = head[: end.end()]
    waited, length = _RETRY_AFTER.search(lines), _LENGTH.search(lines)
    left = MOST_READ - read if length is None else min(MOST_READ - read, int(length[1]) - len(head) + end.end())
    _finish(connected, left, min(ends, time.monotonic() + _FAREWELL_SECONDS))
    return WebhookReply(int(status[1]), None if waited is None else _seconds(waited[1]))


def _finish(connected: socket.socket, most: int, deadline: float) -> None:
    """Read what is left of an answer, within bounds; what it is does not matter any more."""
    try:
        while most > 0:
            connected.settimeout(_seconds_left(deadline))
            data = connected.recv(most)
            if not data:
                return
            most -= len(data)
    except OSError:
        return


def _seconds(header: bytes) -> float | None:
    """Seconds of a `Retry-After` (RFC 9110, 10.2.3), which may be a date; None where it is neither."""
    text = header.decode("latin-1")
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        until = dt.datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return min(max(0.0, until.timestamp() - time.time()), LONGEST_RETRY_AFTER)


def _seconds_left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
