"""The application: routes requests to handlers, answers errors from one table, and tells the observer.

It starts without a model. Until `install` it is alive but not ready, and every other route answers 503 (C-11).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from septet.errors import MethodNotAllowed, NotFound, SeptetError, Unavailable
from septet.events import Finished, Observer, Silent
from septet.protocols.http.content_encoding import CODING, expanded
from septet.protocols.http.error_bodies import STATUS
from septet.protocols.http.error_responses import failed, id_of, refused
from septet.protocols.http.http_messages import Handle, HttpReply, HttpRequest, new_id, request_id_of, traceparent_of
from septet.protocols.http.predict_route import PredictRoute
from septet.protocols.http.routes import Route, Routes
from septet.protocols.mlflow.invocations import PATH as INVOCATIONS
from septet.protocols.openinference.infer_routes import TEMPLATES as OPEN_INFERENCE
from septet.protocols.rpc.paths import TEMPLATES as GRPC
from septet.protocols.tfserving.v1_routes import TEMPLATES as V1_TEMPLATES
from septet.types import Identity, Pending, Predictor

UNMATCHED = "unmatched"
# The paths of a service, in the order in which people look for them: the closed list that metrics count by.
PATHS = (
    *("/predict", "/predict/label", "/predict/test", "/predict/test/label"),
    *("/health", "/health/live", "/health/ready", "/health/startup"),
    *("/metadata", "/label", "/openapi.json", "/docs", "/", "/metrics"),
    *("/v2/health/live", "/v2/health/ready", *OPEN_INFERENCE),
    *(*V1_TEMPLATES, INVOCATIONS, "/ping"),
    *GRPC,
)


class App:
    """Every route of one service.

    Attributes:
        identity: the served model's, or None while it loads.
        starting: set while the process has more to open than this application: not ready, but answering.
        draining: set when the server is about to stop: not ready, but still answering.
    """

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.starting = False
        self.draining = False
        self._observer: Observer = Silent()
        self._most_bytes = 0
        health = {
            "/health": self._health,
            "/health/live": self._live,
            "/health/ready": self._ready,
            "/health/startup": self._startup,
            "/ping": self._ready,
            "/v2/health/live": self._open_inference_live,
            "/v2/health/ready": self._open_inference_ready,
        }
        self._routes: Routes = {path: Route(path, {"GET": handle}) for path, handle in health.items()}
        # The routes that predict, by path.
        self._endpoints: Mapping[str, PredictRoute] = {}

    def install(
        self, identity: Identity, routes: Routes, observer: Observer, predictor: Predictor, *, max_body_bytes: int
    ) -> None:
        """Begin to serve a model that is loaded, warm and proven; `max_body_bytes` bounds bodies that are expanded."""
        self._routes = {**self._routes, **routes}
        self._endpoints = {
            path: PredictRoute(route.template, route.predict, predictor, observer, max_body_bytes)
            for path, route in routes.items()
            if route.predict is not None
        }
        self._observer = observer
        self._most_bytes = max_body_bytes
        self.identity = identity

    @property
    def routes(self) -> Routes:
        """Every route there is by now."""
        return self._routes

    async def __call__(self, http: HttpRequest) -> HttpReply:
        """Answer a request; every failure becomes an error body, none is raised."""
        if http.path not in self._endpoints or http.method != "POST":
            return await self._handle(http)
        future: asyncio.Future[HttpReply] = asyncio.get_running_loop().create_future()
        pending = self.predict(http, partial(_resolve, future))
        assert pending is not None  # noqa: S101 - its route predicts
        try:
            return await future
        except asyncio.CancelledError:
            pending.cancel()
            raise

    def predict(self, http: HttpRequest, done: Callable[[HttpReply], None]) -> Pending | None:
        """Answer a prediction by calling `done`, perhaps before this returns; None where the request asks for none."""
        endpoint = self._endpoints.get(http.path)
        return None if endpoint is None or http.method != "POST" else endpoint.predict(http, done)

    def refuse(self, error: SeptetError, path: str, headers: Mapping[bytes, bytes]) -> HttpReply:
        """The reply to a request that a transport refuses before it is complete; `headers` as far as they came."""
        reply = refused(error, path, headers)
        self._observer.started()
        self._observer.finished(Finished(UNMATCHED, reply.id, reply.code, reply.status, 0, 0.0, message=reply.message))
        return reply

    async def _handle(self, http: HttpRequest) -> HttpReply:
        observer = self._observer
        observer.started()
        begun = time.perf_counter()
        route = self._routes.get(http.path)
        template = UNMATCHED if route is None else route.template
        reply = None
        try:
            handler = self._handler(http, route)
            coded = http.method == "POST" and CODING in http.headers
            reply = await handler(expanded(http, self._most_bytes) if coded else http)
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            reply = failed(error, template, http)
        finally:
            observer.finished(_event(template, http, reply, time.perf_counter() - begun))
        return reply

    def _handler(self, http: HttpRequest, route: Route | None) -> Handle:
        if route is None:
            if self.identity is None:
                raise Unavailable("The model is loading.")
            served = f"This server has the model {self.identity.name!r}, version {self.identity.version!r}"
            raise NotFound(f"There is no {http.path[:200]!r} here. {served}; GET /openapi.json lists what there is.")
        handler = route.handlers.get("GET" if http.method == "HEAD" else http.method)
        if handler is None:
            methods = {*route.handlers, *(["HEAD"] if "GET" in route.handlers else [])}
            allowed = ", ".join(sorted({*methods, *(["POST"] if route.predict is not None else [])}))
            raise MethodNotAllowed(f"{http.path} answers {allowed}, not {http.method}.", allowed)
        return handler

    async def _health(self, http: HttpRequest) -> HttpReply:
        return HttpReply(200, b'{"health":"ok"}', _checked_id(http))

    async def _live(self, http: HttpRequest) -> HttpReply:
        return HttpReply(200, b'{"status":"live"}', _checked_id(http))

    async def _ready(self, http: HttpRequest) -> HttpReply:
        self._require_ready()
        return await self._startup(http)

    def _require_ready(self) -> None:
        """Refuse while the model loads, and when the server is about to stop.

        Raises:
            Unavailable: it is so.
        """
        if self.draining:
            raise Unavailable("The server is draining.")
        if self.identity is None:
            raise Unavailable("The model is loading.")
        if self.starting:
            raise Unavailable("The server is starting.")

    async def _open_inference_live(self, http: HttpRequest) -> HttpReply:
        return HttpReply(200, b'{"live":true}', _checked_id(http))

    async def _open_inference_ready(self, http: HttpRequest) -> HttpReply:
        # Some clients read the key `live`, others `ready`; the specification has the one in its text for the other.
        try:
            self._require_ready()
        except Unavailable as error:
            reply = refused(error, http.path, http.headers)
            body = {"live": True, "ready": False, "error": error.message}
            return msgspec.structs.replace(reply, body=msgspec.json.encode(body))
        return HttpReply(200, b'{"live":true,"ready":true}', _checked_id(http))

    async def _startup(self, http: HttpRequest) -> HttpReply:
        if self.identity is None:
            raise Unavailable("The model is loading.")
        body = msgspec.json.encode({"status": "ready", "model": self.identity})
        return HttpReply(200, body, _checked_id(http))


def _resolve(future: "asyncio.Future[HttpReply]", reply: HttpReply) -> None:
    if not future.done():
        future.set_result(reply)


def _checked_id(http: HttpRequest) -> str:
    return request_id_of(http.headers) or new_id()


def _event(template: str, http: HttpRequest, reply: HttpReply | None, seconds: float) -> Finished:
    if reply is None:  # cancelled: the caller went away, or the server stopped
        return Finished(template, id_of(http.headers), "cancelled", STATUS["cancelled"], 0, seconds)
    timings = reply.timings
    if timings is None:
        return Finished(template, reply.id, reply.code, reply.status, reply.rows, seconds, message=reply.message)
    return Finished(
        template,
        reply.id,
        reply.code,
        reply.status,
        reply.rows,
        seconds,
        queue_seconds=timings.queue,
        run_seconds=timings.run,
        batch_rows=timings.batch_rows,
        trace=traceparent_of(http.headers),
    )
