"""What the admin socket is told to do, where it cannot be read."""

import asyncio

import pytest

from septet.assembly.admin_routes import AdminRoutes
from septet.events import NullObserver
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpRequest
from septet.server.release_messages import ReleaseOrder, ReleaseResult
from septet.settings import Limits


async def never(order: ReleaseOrder) -> ReleaseResult:
    raise AssertionError(order)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"path": 1}', b'{"path": "relative"}', b'{"p\xe9th": "/a"}', b'{"path":' + b"[" * 30_000],
    ids=["nothing", "half", "a number", "a relative path", "not UTF-8", "deeply nested"],
)
def test_an_order_that_cannot_be_read_is_a_fault_of_the_callers(body: bytes) -> None:
    app = App()
    app.install(lambda _: (), (AdminRoutes(never),), NullObserver(), Limits(max_body_bytes=1 << 16))
    reply = asyncio.run(app(HttpRequest("POST", "/release", b"", {}, body)))
    assert (reply.status, reply.code) == (400, "malformed")
