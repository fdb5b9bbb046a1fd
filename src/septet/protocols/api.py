"""The application: routes requests to handlers, answers errors from one table, and tells the observer.

It starts without a model. Until `install` it is alive but not ready, and every other route answers 503 (C-11).
"""

import logging
import time
from collections.abc import Mapping

import msgspec

from septet.errors import Malformed, MethodNotAllowed, NotFound, Overloaded, SeptetError, Unavailable
from septet.events import Finished, Observer, Silent
from septet.protocols.errors import STATUS, envelope
from septet.protocols.http import Handle, HttpReply, HttpRequest, caller_id, new_id
from septet.types import Identity

Routes = Mapping[str, Mapping[str, Handle]]
UNMATCHED = "unmatched"
# The paths of a service, in the order in which people look for them: the closed list that metrics count by.
PATHS = (
    *("/predict", "/predict/label", "/predict/test", "/predict/test/label"),
    *("/health", "/health/live", "/health/ready", "/health/startup"),
    *("/metadata", "/label", "/openapi.json", "/docs", "/", "/metrics"),
)

logger = logging.getLogger("septet.api")


class App:
    """A `Handle` for every route of one service.

    Attributes:
        identity: the served model's, or None while it loads.
        draining: set when the server is about to stop: not ready, but still answering.
    """

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.draining = False
        self._observer: Observer = Silent()
        self._routes: Routes = {
            "/health": {"GET": self._health},
            "/health/live": {"GET": self._live},
            "/health/ready": {"GET": self._ready},
            "/health/startup": {"GET": self._startup},
        }

    def install(self, identity: Identity, routes: Routes, observer: Observer) -> None:
        """Begin to serve a model that is loaded, warm and proven."""
        self._routes = {**self._routes, **routes}
        self._observer = observer
        self.identity = identity

    async def __call__(self, http: HttpRequest) -> HttpReply:
        """Answer a request; every failure becomes an error body, none is raised."""
        observer = self._observer
        observer.started()
        begun = time.perf_counter()
        route = http.path if http.path in self._routes else UNMATCHED
        reply = None
        try:
            reply = await self._handler(http)(http)
        except SeptetError as error:
            reply = _refusal(error, http.headers)
        except Exception:
            request_id = _id(http.headers)
            logger.exception("A request failed unexpectedly", extra={"id": request_id, "route": route})
            text = "The server failed to answer. The log has the reason under this id."
            reply = HttpReply(
                500, envelope("internal", text, (), request_id), request_id, code="internal", message=text
            )
        finally:
            observer.finished(_event(route, http, reply, time.perf_counter() - begun))
        return reply

    def refuse(self, error: SeptetError, headers: Mapping[bytes, bytes]) -> HttpReply:
        """The reply to a request that a transport refuses before it is complete; `headers` as far as they came."""
        reply = _refusal(error, headers)
        self._observer.started()
        self._observer.finished(Finished(UNMATCHED, reply.id, reply.code, reply.status, 0, 0.0, message=reply.message))
        return reply

    def _handler(self, http: HttpRequest) -> Handle:
        methods = self._routes.get(http.path)
        if methods is None:
            if self.identity is None:
                raise Unavailable("The model is loading.")
            raise NotFound(f"There is no {http.path[:200]!r} here. GET /openapi.json lists what there is.")
        handler = methods.get("GET" if http.method == "HEAD" else http.method)
        if handler is None:
            allowed = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
            raise MethodNotAllowed(f"{http.path} answers {allowed}, not {http.method}.", allowed)
        return handler

    async def _health(self, http: HttpRequest) -> HttpReply:
        return HttpReply(200, b'{"health":"ok"}', _checked_id(http))

    async def _live(self, http: HttpRequest) -> HttpReply:
        return HttpReply(200, b'{"status":"live"}', _checked_id(http))

    async def _ready(self, http: HttpRequest) -> HttpReply:
        if self.draining:
            raise Unavailable("The server is draining.")
        return await self._startup(http)

    async def _startup(self, http: HttpRequest) -> HttpReply:
        if self.identity is None:
            raise Unavailable("The model is loading.")
        body = msgspec.json.encode({"status": "ready", "model": self.identity})
        return HttpReply(200, body, _checked_id(http))


def _checked_id(http: HttpRequest) -> str:
    return caller_id(http.headers) or new_id()


def _id(headers: Mapping[bytes, bytes]) -> str:
    """The caller's id where it is a good one, else a new one."""
    try:
        return caller_id(headers) or new_id()
    except Malformed:
        return new_id()


def _refusal(error: SeptetError, headers: Mapping[bytes, bytes]) -> HttpReply:
    request_id = error.request_id or _id(headers)
    more: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, MethodNotAllowed):
        more = ((b"allow", error.allowed.encode()),)
    elif isinstance(error, Overloaded):
        more = ((b"retry-after", str(error.retry_after).encode()),)
    elif isinstance(error, Unavailable):
        more = ((b"retry-after", b"1"),)
    body = envelope(error.code, error.message, error.problems, request_id)
    status = STATUS.get(error.code, 500)
    return HttpReply(status, body, request_id, headers=more, code=error.code, message=error.message)


def _event(route: str, http: HttpRequest, reply: HttpReply | None, seconds: float) -> Finished:
    if reply is None:  # cancelled: the caller went away, or the server stopped
        return Finished(route, _id(http.headers), "cancelled", STATUS["cancelled"], 0, seconds)
    timings = reply.timings
    if timings is None:
        return Finished(route, reply.id, reply.code, reply.status, reply.rows, seconds, message=reply.message)
    trace = http.headers.get(b"traceparent")
    return Finished(
        route,
        reply.id,
        reply.code,
        reply.status,
        reply.rows,
        seconds,
        timings.queue,
        timings.run,
        timings.batch_rows,
        None if trace is None else trace.decode("latin-1"),
    )
