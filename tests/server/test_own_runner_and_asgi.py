"""The same application over our own runner and over ASGI gives the same answers."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from septet.protocols.http.asgi import Asgi
from septet.settings import Limits
from tests.budgets import examples
from tests.server.memory import Peer

pytestmark = pytest.mark.usefixtures("loop")

METHODS = st.sampled_from(["GET", "POST", "HEAD", "DELETE", "OPTIONS", "PUT"])
PATHS = st.sampled_from(["/echo", "/", "/nothing", "/echo/", "/health", "/health/ready", "//", "/é"])
IDS = st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=140)
BODIES = st.binary(max_size=80)


async def over_asgi(
    peer: Peer, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    scope: dict[str, object] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "headers": headers,
    }
    scope |= {"query_string": b"", "root_path": ""}
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: object) -> None:
        sent.append(message)  # type: ignore[arg-type]

    await Asgi(peer.app, max_body_bytes=60)(scope, receive, send)
    pairs: list[tuple[bytes, bytes]] = sent[0]["headers"]  # type: ignore[assignment]
    return sent[0]["status"], {n.decode(): v.decode() for n, v in pairs}, sent[1]["body"]  # type: ignore[return-value]


@given(METHODS, PATHS, IDS, BODIES)
@hypothesis_settings(max_examples=examples(75))
def test_asgi_gives_the_same_answers(method: str, path: str, own_id: str | None, body: bytes) -> None:
    peer = Peer(Limits(max_body_bytes=60))
    headers = [(b"host", b"here"), (b"content-length", b"%d" % len(body))]
    if own_id is not None:
        headers.append((b"x-request-id", own_id.encode()))
    target = path.replace("é", "%C3%A9").encode()
    peer.send(
        b"%b %b HTTP/1.1\r\n" % (method.encode(), target)
        + b"".join(b"%b: %b\r\n" % pair for pair in headers)
        + b"\r\n"
        + body
    )
    head, _, content = peer.transport.written.partition(b"\r\n\r\n")
    status_line, *lines = head.decode().split("\r\n")
    own = dict(line.split(": ", 1) for line in lines)
    status, theirs, their_content = peer.loop.run_until_complete(over_asgi(peer, method, path, headers, body))
    assert own.pop("date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert int(status_line.split()[1]) == status
    assert content.replace(own.pop("x-request-id").encode(), b"") == their_content.replace(
        theirs.pop("x-request-id").encode(), b""
    )
    assert own == theirs
