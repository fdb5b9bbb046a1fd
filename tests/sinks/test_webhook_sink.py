"""Answers that are brought to hooks, some of which behave badly."""

import json
import socket
import ssl
import struct
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from septet.queues.job import StoredReply
from septet.sinks import webhook_client
from septet.sinks.delivery import DeliveryFailed, DeliveryRefused
from septet.sinks.open_sinks import OpenSinks
from septet.sinks.sink_policy import SinkPolicy
from tests.e2e.certificates import Authority
from tests.sinks.hooks import Hook, hook, saying, status
from tests.sinks.samples import BINARY_REPLY, DELIVERY_ID, JOB_ID, OTHER_SECRET, SECRET, delivery, failed_delivery
from tests.sinks.verification import verified

LOOPBACK = ("127.0.0.0/8",)
#: Trusts nobody; to read what the system trusts takes longer than most of these tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def policy(port: int, **changes: Any) -> SinkPolicy:
    """What allows hooks on this machine, over HTTP, with much time."""
    facts: dict[str, Any] = {
        "webhook_hosts": ("*",),
        "webhook_ports": (port,),
        "webhook_http": True,
        "webhook_networks": LOOPBACK,
        "webhook_secrets": (SECRET,),
        # No time is over because this machine is busy.
        **dict.fromkeys(("connect_seconds", "first_byte_seconds", "whole_seconds"), 600.0),
    }
    return SinkPolicy(**{**facts, **changes})


@contextmanager
def sinks(made: Hook, **changes: Any) -> Iterator[tuple[OpenSinks, str]]:
    """Open sinks, and the URL of a hook."""
    opened = OpenSinks(policy(made.port, **changes), NO_TLS)
    yield opened, f"http://127.0.0.1:{made.port}/hook?token=hidden"
    opened.close()


def failing(why: str) -> AbstractContextManager[object]:
    """A delivery in it may be brought once more."""
    return pytest.raises(DeliveryFailed, match=why)


def brought(made: Hook, **changes: Any) -> None:
    """Bring one answer to a hook."""
    with sinks(made, **changes) as (opened, url):
        opened.deliver(url, delivery())


def test_a_hook_is_told_the_job_and_its_answer_under_a_signature_that_holds() -> None:
    with hook(status(204)) as made:
        brought(made)
    (call,) = made.calls
    assert call.line == "POST /hook?token=hidden HTTP/1.1"
    assert call.headers["host"] == f"127.0.0.1:{made.port}"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["webhook-id"] == DELIVERY_ID
    assert call.headers["traceparent"].startswith("00-0af7")
    assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 300
    assert verified(call.headers, call.body, SECRET)
    assert not verified(call.headers, call.body + b" ", SECRET)
    told = json.loads(call.body)
    assert (told["type"], told["timestamp"]) == ("job.succeeded", "2023-11-14T22:13:21.500Z")
    assert told["data"]["job_id"] == JOB_ID
    # The very bytes of the answer, where it is JSON.
    assert b'"body":{"predictions": [1, 2.50]}' in call.body


def test_an_answer_that_is_not_json_is_told_as_base64_and_an_error_without_an_answer() -> None:
    with hook(status(200)) as made, sinks(made) as (opened, url):
        opened.deliver(url, delivery(reply=BINARY_REPLY))
        opened.deliver(url, failed_delivery())
    first, second = (json.loads(call.body) for call in made.calls)
    assert b64decode(first["data"]["answer"]["body_base64"]) == BINARY_REPLY.body
    assert (second["type"], "answer" in second["data"]) == ("job.failed", False)


def test_each_secret_of_several_verifies() -> None:
    with hook(status(200)) as made:
        brought(made, webhook_secrets=(SECRET, OTHER_SECRET))
    (call,) = made.calls
    assert verified(call.headers, call.body, SECRET)
    assert verified(call.headers, call.body, OTHER_SECRET)


def test_a_large_answer_arrives_whole() -> None:
    body = json.dumps("x" * 5_000_000).encode()
    with hook(status(200)) as made, sinks(made) as (opened, url):
        opened.deliver(url, delivery(reply=StoredReply(200, b"application/json", body)))
    assert body in made.calls[0].body


@pytest.mark.parametrize("number", [400, 401, 403, 404, 405, 410, 413, 422, 451, 499])
def test_a_hook_that_blames_the_request_is_not_called_again(number: int) -> None:
    with hook(status(number)) as made, pytest.raises(DeliveryRefused, match=str(number)):
        brought(made)


@pytest.mark.parametrize("number", [301, 302, 307, 308, 408, 409, 425, 429, 500, 502, 503, 504, 599])
def test_a_hook_that_may_answer_otherwise_later_is_called_again(number: int) -> None:
    with hook(status(number, "location: http://127.0.0.1:1/other")) as made:
        with pytest.raises(DeliveryFailed, match=str(number)) as failed:
            brought(made)
        assert failed.value.retry_after is None
        assert made.accepted == 1


def _date(ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=ahead)).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("7", 7, 7), ("999999999", 3600, 3600), (_date(99_999), 3600, 3600), (_date(-60), 0, 0), (" 9 ", 9, 9)],
)
def test_a_hook_that_says_when_is_called_then_and_within_an_hour(header: str, least: float, most: float) -> None:
    with hook(status(429, f"Retry-After: {header}")) as made, pytest.raises(DeliveryFailed) as failed:
        brought(made)
    assert failed.value.retry_after is not None
    assert least <= failed.value.retry_after <= most


@pytest.mark.parametrize("header", ["-1", "soon", "1.5", "٣", ""])
def test_nonsense_about_when_is_not_listened_to(header: str) -> None:
    answer = f"HTTP/1.1 503 Any\r\nretry-after: {header}\r\ncontent-length: 0\r\n\r\n".encode()
    with hook(saying(answer)) as made, pytest.raises(DeliveryFailed) as failed:
        brought(made)
    assert failed.value.retry_after is None


def _hang(_: socket.socket, over: threading.Event) -> None:
    over.wait()


def _trickle(data: bytes, connected: socket.socket, over: threading.Event) -> None:
    for byte in data:
        connected.sendall(bytes([byte]))
        if over.wait(0.02):
            return


def _trickle_head(connected: socket.socket, over: threading.Event) -> None:
    _trickle(b"HTTP/1.1 200 OK\r\n" + b"x-long: " + b"a" * 60_000, connected, over)


def test_a_hook_that_hangs_is_left() -> None:
    with hook(_hang) as made, pytest.raises(DeliveryFailed, match="in time"):
        brought(made, first_byte_seconds=0.1)


def test_a_hook_that_trickles_is_left_when_the_whole_time_is_over() -> None:
    with hook(_trickle_head) as made, pytest.raises(DeliveryFailed, match="in time"):
        brought(made, whole_seconds=0.3)


def test_a_hook_that_reads_nothing_is_left() -> None:
    reply = StoredReply(200, b"application/octet-stream", bytes(30_000_000))
    with hook(_hang, before=True) as made, sinks(made, whole_seconds=0.5) as (opened, url), failing("in time"):
        opened.deliver(url, delivery(reply=reply))


def test_a_hook_that_answers_without_end_is_left_and_its_status_counts() -> None:
    sent = []

    def pour(connected: socket.socket, over: threading.Event) -> None:
        connected.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while not over.is_set():
            sent.append(connected.send(bytes(65_536)))

    with hook(pour) as made:
        brought(made)
    # What the system's buffers hold was sent, not a gigabyte.
    assert sum(sent) < 100_000_000


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"HTTP/1.1 204 No\n\n"],
)
def test_an_answer_whose_body_hangs_counts(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_client, "_FAREWELL_SECONDS", 0.05)

    def hang(connected: socket.socket, over: threading.Event) -> None:
        connected.sendall(head)
        over.wait()

    with hook(hang) as made:
        brought(made)


def test_the_end_of_an_answer_of_known_length_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_client, "_FAREWELL_SECONDS", 600.0)

    def hang(connected: socket.socket, over: threading.Event) -> None:
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        connected.sendall(b"done")
        over.wait()

    with hook(hang) as made:
        brought(made, whole_seconds=500.0)


def test_a_hook_without_tls_is_no_https(tmp_path: Path) -> None:
    context = Authority(tmp_path / "one", "one").trusting()
    with hook(status(200)) as made, failing("no answer|in time"):
        OpenSinks(policy(made.port, connect_seconds=0.1), context).deliver(
            f"https://localhost:{made.port}/", delivery()
        )


def test_a_head_without_end_is_no_answer() -> None:
    with hook(saying(b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 200_000)) as made, failing("HTTP"):
        brought(made)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK",
        b"\x00" * 100 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_is_no_answer(answer: bytes) -> None:
    with hook(saying(answer)) as made, pytest.raises(DeliveryFailed, match="HTTP"):
        brought(made)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.0 200 OK\n\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n",
    ],
)
def test_unusual_but_sound_answers_count(answer: bytes) -> None:
    with hook(saying(answer)) as made:
        brought(made)


def test_a_hook_that_resets_or_closes_is_called_again() -> None:
    def reset(connected: socket.socket, _: threading.Event) -> None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with hook(reset, saying(b"")) as made, sinks(made) as (opened, url):
        for _ in range(2):
            with pytest.raises(DeliveryFailed, match="no answer"):
                opened.deliver(url, delivery())


def test_a_hook_that_refuses_before_it_has_read_all_is_believed() -> None:
    reply = StoredReply(200, b"application/octet-stream", bytes(20_000_000))

    def refuse(connected: socket.socket, _: threading.Event) -> None:
        connected.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        connected.shutdown(socket.SHUT_WR)
        while connected.recv(1 << 20):
            pass

    refused = pytest.raises(DeliveryRefused, match="413")
    with hook(refuse, before=True) as made, sinks(made) as (opened, url), refused:
        opened.deliver(url, delivery(reply=reply))


def test_a_hook_that_is_down_or_unknown_is_called_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    opened = OpenSinks(policy(port), NO_TLS)
    with pytest.raises(DeliveryFailed, match="Connection refused"):
        opened.deliver(f"http://127.0.0.1:{port}/", delivery())
    with pytest.raises(DeliveryFailed, match="cannot be found"):
        opened.deliver(f"http://no-such-host.invalid:{port}/", delivery())


def test_neither_path_nor_query_nor_secret_stands_in_an_error() -> None:
    with hook(status(500)) as made, pytest.raises(DeliveryFailed) as failed:
        brought(made)
    text = str(failed.value)
    assert f"http://127.0.0.1:{made.port}/***" in text
    assert not any(each in text for each in ("hidden", "hook?", SECRET))


def test_a_name_that_leads_to_this_machine_is_refused() -> None:
    with hook(status(200)) as made:
        opened = OpenSinks(policy(made.port, webhook_networks=()), NO_TLS)
        with pytest.raises(DeliveryRefused, match="network"):
            opened.deliver(f"http://localhost:{made.port}/", delivery())
        assert made.accepted == 0


def test_the_address_that_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = socket.getaddrinfo

    def changing(host: str, *arguments: Any, **more: Any) -> Any:
        if host != "rebound.test":
            return real(host, *arguments, **more)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.99", *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    with hook(status(200)) as made:
        opened = OpenSinks(policy(made.port, webhook_networks=("127.0.0.1/32",)), NO_TLS)
        opened.deliver(f"http://rebound.test:{made.port}/", delivery())
        assert made.calls[0].headers["host"] == f"rebound.test:{made.port}"
        assert asked == ["rebound.test"]
        with pytest.raises(DeliveryRefused):
            opened.deliver(f"http://rebound.test:{made.port}/", delivery())


def test_the_next_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def several(host: str, *arguments: Any, **more: Any) -> Any:
        places = ("10.0.0.1", "127.0.0.2", "127.0.0.1") if host == "several.test" else (host,)
        return [found for place in places for found in real(place, *arguments, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", several)
    with hook(status(200)) as made:
        OpenSinks(policy(made.port), NO_TLS).deliver(f"http://several.test:{made.port}/", delivery())
        assert made.accepted == 1


def test_certificates_are_checked_against_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *arguments, **more: real("127.0.0.1", *arguments, **more))
    authority, stranger = Authority(tmp_path / "one", "one"), Authority(tmp_path / "two", "two")
    server = _server_context(*authority.issue("server"))
    with hook(status(200), context=server) as made:
        known = OpenSinks(policy(made.port), context=authority.trusting())
        known.deliver(f"https://localhost:{made.port}/", delivery())
        with pytest.raises(DeliveryFailed, match="certificate"):
            known.deliver(f"https://other.test:{made.port}/", delivery())
        with pytest.raises(DeliveryFailed, match="certificate"):
            OpenSinks(policy(made.port), context=stranger.trusting()).deliver(
                f"https://localhost:{made.port}/", delivery()
            )
        assert len(made.calls) == 1


def _server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
