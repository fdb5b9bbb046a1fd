"""The application: routes requests to handlers, answers errors from one table, and passes every event to the observer.

It starts without a model. Until `install` it is live but not ready, and every other route answers 503.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TypeAlias

import msgspec

from septet.errors import MethodNotAllowed, NotFound, SeptetError, TooLarge, Unavailable
from septet.events import Finished, NullObserver, Observer
from septet.model.received import shown_names
from septet.protocols.http.content_encoding import CODING, expanded
from septet.protocols.http.error_responses import failed, refused
from septet.protocols.http.finished_events import finished_event
from septet.protocols.http.health_routes import HealthRoutes, ServerState
from septet.protocols.http.http_messages import Handle, HttpReply, HttpRequest
from septet.protocols.http.predict_route import JobAcceptor, PredictRoute
from septet.protocols.http.routes import (
    PathRoutes,
    Paths,
    Route,
    RouteTable,
    documented_paths,
    model_paths,
    server_paths,
)
from septet.protocols.http.work_thread import WorkThread
from septet.registry import Models, ServedModel
from septet.settings import Limits
from septet.types import Identity, Pending

UNMATCHED = "unmatched"
# Bytes of a body that asks for no prediction.
_MOST_SMALL_BYTES = 1 << 15
# Characters of a caller's path, or method, that an error repeats.
_SHOWN_PATH = 200

#: The objects whose declared routes belong to one model.
Bind: TypeAlias = Callable[[ServedModel], Sequence[object]]


class _Dispatch(msgspec.Struct, frozen=True):
    """What answers the requests of now: the routes that predict, by path, and the table of all others."""

    predicting: Mapping[str, PredictRoute]
    table: RouteTable


class App:
    """Every route of one server.

    Attributes:
        models: that are served.
        state: of the server, as its health routes report it; `state.starting` and `state.draining` are set by who runs
            it.
    """

    def __init__(self, models: Models | None = None) -> None:
        self.models = Models() if models is None else models
        self.state = ServerState(self.models)
        self._owners: Sequence[object] = (HealthRoutes(self.state),)
        self._bind: Bind = _nothing
        self._observer: Observer = NullObserver()
        self._limits = Limits()
        self.work_thread = WorkThread()
        self._jobs: JobAcceptor | None = None
        # What `bind` made for each model that is served.
        self._bound: dict[ServedModel, Sequence[object]] = {}
        self._dispatch = _Dispatch({}, RouteTable({}))
        # The handlers that run: the event loop refers to their tasks weakly.
        self._tasks: set[asyncio.Task[HttpReply]] = set()
        #: The model that replies name where they are of none; None where several are served.
        self.identity: Identity | None = None
        self.models.on_change(self._renew)
        self._renew()

    def beside(self, probes: frozenset[str]) -> "App":  # noqa: ARG002 - here everybody may ask everything
        """An application of the same models for another protocol; `probes` are its paths that ask for health."""
        return App(self.models)

    def install(
        self,
        bind: Bind,
        owners: Sequence[object],
        observer: Observer,
        limits: Limits,
        jobs: JobAcceptor | None = None,
    ) -> None:
        """Answer the routes that `owners` declare, and for each model those of what `bind` makes for it.

        `limits` bound bodies that are expanded, and the time for those that are long. `jobs` takes what is to be
        answered later.
        """
        self._owners = (HealthRoutes(self.state), *owners)
        self._bind = bind
        self._bound.clear()
        self._observer = observer
        self._limits = limits
        self._jobs = jobs
        self._renew()

    def _renew(self) -> None:
        """Make the routes for the models of now, and put them in place of the old ones by one assignment.

        Models are loaded in another thread while the event loop answers.
        """
        sole = self.models.sole
        self._bound = {model: self._bound.get(model) or self._bind(model) for model in self.models}
        paths: Paths = {}
        for model, owners in self._bound.items():
            paths |= model_paths(model, model.service.identity, *owners, short=model is sole)
        # The server's own last: no model may hide one of them, such as `/v2/models/stats`.
        paths |= server_paths(*self._owners)
        predicting = {
            path: PredictRoute(
                found.template,
                found.decode,
                found.model,
                self._observer,
                self._limits,
                self.work_thread,
                self._jobs,
                found.deferred,
            )
            for path, found in paths.items()
            if found.decode is not None and "{" not in path
        }
        self._dispatch = _Dispatch(predicting, RouteTable(paths))
        self.__dict__.pop("_short_paths", None)
        self.identity = None if sole is None else sole.service.identity

    @property
    def draining(self) -> bool:
        """Whether the server is about to stop: not ready, but still answering."""
        return self.state.draining

    @draining.setter
    def draining(self, draining: bool) -> None:
        self.state.draining = draining

    def find(self, path: str) -> PathRoutes | None:
        """What a path answers by now."""
        return self._dispatch.table.find(path)[0]

    def predicting(self, path: str) -> PredictRoute | None:
        """The route that predicts at a path."""
        return self._dispatch.predicting.get(path)

    def operations(self) -> Iterator[tuple[str, Route, ServedModel | None]]:
        """Each declared route, with the path under which documents show it and the model that it belongs to."""
        for model, owners in self._bound.items():
            short = model is self.models.sole
            for owner in owners:
                for path, route in documented_paths(type(owner), model.service.identity, short=short):
                    yield path, route, model
        for owner in self._owners:
            for path, route in documented_paths(type(owner)):
                yield path, route, None

    async def __call__(self, http: HttpRequest) -> HttpReply:
        """Answer a request; every failure becomes an error body, none is raised."""
        route = self._dispatch.predicting.get(http.path)
        if route is None or http.method != "POST":
            return await self._handle(http)
        future: asyncio.Future[HttpReply] = asyncio.get_running_loop().create_future()
        pending = route.predict(http, partial(_resolve, future))
        try:
            return await future
        except asyncio.CancelledError:
            pending.cancel()
            raise

    def answer(self, http: HttpRequest, done: Callable[[HttpReply], None]) -> Pending:
        """Answer a request by calling `done` once: a prediction perhaps before this returns, all else from a task."""
        route = self._dispatch.predicting.get(http.path)
        if route is not None and http.method == "POST":
            return route.predict(http, done)
        task = asyncio.get_running_loop().create_task(self._handle(http))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _PendingReply(task, done)

    def check_caller(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a caller who may not ask before its large body is read. Here everybody may."""

    def refuse(self, error: SeptetError, path: str, headers: Mapping[bytes, bytes]) -> HttpReply:
        """The reply to a request that a transport refuses before it is complete; `headers` as far as they came."""
        reply = refused(error, path, headers)
        self._observer.started()
        self._observer.finished(Finished(UNMATCHED, reply.id, reply.code, reply.status, 0, 0.0, message=reply.message))
        return reply

    def abandon(self, http: HttpRequest) -> None:
        """Give the observer the event of a complete request that its caller gave up before it was its turn."""
        self._observer.started()
        self._observer.finished(finished_event(UNMATCHED, http, None, 0.0, None))

    async def _handle(self, http: HttpRequest) -> HttpReply:
        dispatch = self._dispatch
        if http.method == "POST" and http.path in dispatch.predicting:
            return await self(http)  # it predicts since the request came
        observer = self._observer
        observer.started()
        begun = time.perf_counter()
        routes, parameters = dispatch.table.find(http.path)
        template = UNMATCHED if routes is None else routes.template
        model = None if routes is None or routes.model is None else routes.model.service.identity
        reply = None
        try:
            handler = self._handler(http, routes)
            if parameters:
                http = msgspec.structs.replace(http, parameters=parameters)
            if http.method == "POST":
                http = _small(http, self._limits.max_body_bytes)
            reply = await handler(http)
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            reply = failed(error, template, http, model)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            reply = failed(RuntimeError("The handler cancelled itself."), template, http, model)
        finally:
            observer.finished(finished_event(template, http, reply, time.perf_counter() - begun, model))
        return reply

    def _handler(self, http: HttpRequest, routes: PathRoutes | None) -> Handle:
        if routes is None:
            raise self._unknown(http.path)
        handler = routes.handlers.get("GET" if http.method == "HEAD" else http.method)
        if handler is None:
            text = f"{http.path[:_SHOWN_PATH]} answers {routes.allowed}, not {http.method[:_SHOWN_PATH]}."
            raise MethodNotAllowed(text, routes.allowed)
        return handler

    def _unknown(self, path: str) -> SeptetError:
        models = self.models
        if not models:
            return Unavailable("The model is loading.")
        if self.state.starting:
            # Its routes may not all be there yet.
            return Unavailable("The server is starting.")
        for name, reason in models.missing.items():
            if _names(path, name):
                return Unavailable(f"The model {name!r} could not be loaded: {reason}")
        if self.identity is not None:
            served = f"This server has the model {self.identity.name!r}, version {self.identity.version!r}"
        else:
            served = f"This server has the models {shown_names(each.service.identity.name for each in models)}"
            if path in self._short_paths:
                served += f", so ask /models/NAME{path} for one of them"
        return NotFound(f"There is no {path[:_SHOWN_PATH]!r} here. {served}; GET /openapi.json lists what there is.")

    @cached_property
    def _short_paths(self) -> frozenset[str]:
        """The paths that a single model would answer without its name."""
        found = ((model, model.service.identity, owners) for model, owners in self._bound.items())
        return frozenset(
            path for model, named, owners in found for path in model_paths(model, named, *owners, short=True)
        )


class _PendingReply:
    """The `Pending` of a request whose handler runs in a task."""

    def __init__(self, task: "asyncio.Task[HttpReply]", done: Callable[[HttpReply], None]) -> None:
        self._task = task
        self._done: Callable[[HttpReply], None] | None = done
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        self._done = None
        self._task.cancel()

    def _ended(self, task: "asyncio.Task[HttpReply]") -> None:
        done, self._done = self._done, None
        # Without `cancel`, a task is cancelled only where the event loop ends.
        if done is not None and not task.cancelled():
            done(task.result())


def _small(http: HttpRequest, most: int) -> HttpRequest:
    """The request with its body expanded to `most` bytes, to be read on the event loop: it predicts nothing.

    Raises:
        TooLarge: the body is larger than such a one can be.
    """
    if CODING in http.headers and len(http.body) <= _MOST_SMALL_BYTES:
        http = expanded(http, min(most, _MOST_SMALL_BYTES))
    if len(http.body) > _MOST_SMALL_BYTES:
        raise TooLarge(f"The body is over the {_MOST_SMALL_BYTES} bytes that this path takes.")
    return http


def _names(path: str, model: str) -> bool:
    """Whether a path is one of this model's: `/models/{model}/...`, also below `/v1` and `/v2`, or with `:predict`."""
    return re.match(rf"(/v[12])?/models/{re.escape(model)}([/:]|$)", path) is not None


def _nothing(_: ServedModel) -> Sequence[object]:
    return ()


def _is_cancelled() -> bool:
    """Whether the caller went away or the server stops: somebody has cancelled the task that runs the handler."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _resolve(future: "asyncio.Future[HttpReply]", reply: HttpReply) -> None:
    if not future.done():
        future.set_result(reply)
