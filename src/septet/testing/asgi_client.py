"""A client without sockets: it calls an ASGI application in memory, and reads the whole response."""

import asyncio
import json as json_library
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import unquote

import msgspec

from septet.assembly.asgi_mounting import asgi
from septet.service import Service
from septet.testing.in_memory import application

_Message: TypeAlias = MutableMapping[str, Any]
AsgiCallable: TypeAlias = Callable[
    [_Message, Callable[[], Awaitable[_Message]], Callable[[_Message], Awaitable[None]]], Awaitable[None]
]


class TestResponse(msgspec.Struct, frozen=True):
    """One HTTP response; the names of its headers are in lower case."""

    __test__ = False  # it is no test, whatever pytest makes of the name

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.content.decode()

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is not.
        """
        return json_library.loads(self.content)


async def asgi_request(
    app: AsgiCallable,
    method: str,
    path: str,
    *,
    json: Any = None,
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> TestResponse:
    """Ask an ASGI application once; `json` is sent as such in place of `content`. `path` may have a query.

    Raises:
        Exception: whatever the application raises.
    """
    sent = {"host": "testserver", **{name.lower(): value for name, value in (headers or {}).items()}}
    if json is not None:
        content = json_library.dumps(json).encode()
        sent.setdefault("content-type", "application/json")
    if content:
        sent.setdefault("content-length", str(len(content)))
    raw_path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("testclient", 50_000),
        "server": ("testserver", 80),
    }
    exchange = _Exchange(content)
    await app(scope, exchange.receive, exchange.send)
    return exchange.response()


class _Exchange:
    """The application's side of one request: gives the body once, and collects what is sent."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._given = False
        self._start: _Message = {}
        self._parts: list[bytes] = []

    async def receive(self) -> _Message:
        if self._given:
            # Nobody goes away before the response is complete.
            await asyncio.get_running_loop().create_future()
        self._given = True
        return {"type": "http.request", "body": self._content, "more_body": False}

    async def send(self, message: _Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._parts.append(bytes(message.get("body", b"")))

    def response(self) -> TestResponse:
        headers = {
            bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in self._start["headers"]
        }
        return TestResponse(self._start["status"], headers, b"".join(self._parts))


class TestClient:
    """Asks an application request by request, on an event loop of its own. A context manager.

    What it asks is an ASGI application (`septet.asgi(...)`, `septet.testing.application(...)`, or your own), a
    `Service`, or the path of a model. Applications get no `lifespan` events.
    """

    __test__ = False  # it is no test, whatever pytest makes of the name

    def __init__(self, served: AsgiCallable | Service | str | os.PathLike[str]) -> None:
        if isinstance(served, Service):
            self._app: AsgiCallable = application(served)
        elif isinstance(served, str | os.PathLike):
            self._app = asgi(served)
        else:
            self._app = served
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its event loop, and what still runs there."""
        self._runner.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> TestResponse:
        """GET a path."""
        return self.request("GET", path, headers=headers)

    def post(
        self, path: str, json: Any = None, *, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        """POST a JSON value, or the bytes of `content`."""
        return self.request("POST", path, json=json, content=content, headers=headers)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """Send any request, as `asgi_request` does."""
        return self._runner.run(asgi_request(self._app, method, path, json=json, content=content, headers=headers))
