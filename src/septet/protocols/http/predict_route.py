"""One prediction on its way over HTTP: decode, submit, encode, reply, and a fact for the observer.

The one definition for every transport and every protocol over HTTP. It is driven by callbacks, so that it costs neither
a coroutine nor a future, and many of one turn of the event loop are decoded, run and encoded in a row.
"""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from time import monotonic, perf_counter
from typing import Protocol

import msgspec

from septet.errors import SeptetError, Unavailable
from septet.events import Finished, Observer
from septet.lengthy_work import LengthyWork
from septet.protocols.http.content_encoding import ACCEPTED, CODING, compressed, expanded
from septet.protocols.http.error_responses import failed
from septet.protocols.http.finished_events import finished_event
from septet.protocols.http.http_messages import PREFER, HttpReply, HttpRequest
from septet.protocols.http.routes import Decode, Encode
from septet.protocols.http.work_thread import WorkThread
from septet.registry import ServedModel
from septet.runtimes.run_progress import reporting
from septet.settings import Limits
from septet.types import DONE_ALREADY, Identity, Pending, Request, Response


class JobAcceptor(Protocol):
    """Takes requests that are answered later."""

    def wanted(self, http: HttpRequest) -> bool:
        """Whether the headers of a request prefer that."""

    def accept(self, ready: "ReadyRequest", done: Callable[[HttpReply], None]) -> Pending:
        """Accept a request that was decoded and found good; the observer has been told of its arrival."""


class PredictRoute(msgspec.Struct, frozen=True):
    """A path that predicts, and what it needs.

    `model` is the one that the path belongs to; None where the body names it. `jobs` takes what is to be answered
    later, `deferred`: all that is posted here is.
    """

    template: str
    decode: Decode
    model: ServedModel | None
    observer: Observer
    limits: Limits
    work_thread: WorkThread
    jobs: JobAcceptor | None = None
    deferred: bool = False

    def predict(self, http: HttpRequest, done: Callable[[HttpReply], None], arrived: float | None = None) -> Pending:
        """Decode the body, hand the request to the predictor, and call `done` with the reply, perhaps at once.

        Where the model's gate is closed, all that waits until the gate lets it in. `arrived` is passed when it does:
        when the request was complete, in seconds of `perf_counter`.
        """
        begun, own = perf_counter(), self.model
        if arrived is not None:
            begun = arrived
        elif own is not None and own.gate.closed:
            return self._hold(http, done, begun, own)
        self.observer.started()
        try:
            model, request, encode = self.decode(
                expanded(http, self.limits.max_body_bytes) if CODING in http.headers else http
            )
        except LengthyWork as work:
            owner = work.owner if isinstance(work.owner, ServedModel) else own
            return LengthyDecoding(self, owner, http, done, begun).begin()
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            done(self.refusal(error, http, begun, None if own is None else own.service.identity))
            return DONE_ALREADY
        jobs = self.jobs
        if jobs is not None and self.defers(http):
            return jobs.accept(ReadyRequest(self, model, http, begun, perf_counter() - begun, request, encode), done)
        if http.report is not None:
            return ReadyRequest(self, model, http, begun, perf_counter() - begun, request, encode).submit(done)
        inflight = InflightRequest(self, model, http, done, begun, perf_counter() - begun, request, encode)
        model.in_flight += 1
        try:
            inflight.pending = model.submit(request, inflight.answer)
        except Exception as error:  # noqa: BLE001 - a middleware of the user's may raise in place of a call of `done`
            inflight.answer(error)
        return inflight

    def defers(self, http: HttpRequest) -> bool:
        """Whether a request is to be answered later."""
        jobs = self.jobs
        return jobs is not None and (self.deferred or (PREFER in http.headers and jobs.wanted(http)))

    def _hold(
        self, http: HttpRequest, done: Callable[[HttpReply], None], begun: float, model: ServedModel
    ) -> "HeldArrival":
        model.begin()
        arrival = HeldArrival(self, model, http, done, begun)
        model.gate.wait(arrival.enter)
        return arrival

    def given_up(self, http: HttpRequest, begun: float, model: ServedModel | None) -> None:
        """Give the observer the event of a request that its caller gave up."""
        identity = None if model is None else model.service.identity
        seconds = perf_counter() - begun
        self.observer.finished(finished_event(self.template, http, None, seconds, identity))

    def refusal(self, error: Exception, http: HttpRequest, begun: float, model: Identity | None) -> HttpReply:
        """The reply with an error; the observer gets its event as well."""
        if isinstance(error, SeptetError):
            model = error.model or model
        reply = failed(error, self.template, http, model)
        self.observer.finished(finished_event(self.template, http, reply, perf_counter() - begun, model))
        return reply


class ReadyRequest(msgspec.Struct, frozen=True, gc=False):
    """A request that was decoded and found good, and has not been given to its model.

    `begun` is when it was complete, in seconds of `perf_counter`; `decoded` is how long reading it took.
    """

    route: PredictRoute
    model: ServedModel
    http: HttpRequest
    begun: float
    decoded: float
    request: Request
    encode: Encode

    def submit(self, done: Callable[[HttpReply], None]) -> Pending:
        """Give it to its model, and call `done` with the reply; what computes it may tell its progress meanwhile."""
        model, request, report = self.model, self.request, self.http.report
        if report is not None:
            request = msgspec.structs.replace(request, report=report)
        inflight = InflightRequest(self.route, model, self.http, done, self.begun, self.decoded, request, self.encode)
        model.begin()
        try:
            with nullcontext() if report is None else reporting((request,)):
                inflight.pending = model.submit(request, inflight.answer)
        except Exception as error:  # noqa: BLE001 - a middleware of the user's may raise in place of a call of `done`
            inflight.answer(error)
        return inflight


class HeldArrival(msgspec.Struct, gc=False, eq=False):
    """A `Pending` at the gate of a model which refuses requests; the observer gets no event before it enters."""

    route: PredictRoute
    model: ServedModel
    http: HttpRequest
    done: Callable[[HttpReply], None] | None
    begun: float
    pending: Pending = DONE_ALREADY

    def enter(self) -> None:
        """Its turn has come. The model is not closed before: the arrival is a request under way."""
        done, self.done = self.done, None
        if done is not None:
            self.pending = self.route.predict(self.http, done, self.begun)
        self.model.end()

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self.done is None:
            self.pending.cancel()
            return
        self.done = None
        self.route.observer.started()
        self.route.given_up(self.http, self.begun, self.model)


class LengthyDecoding(msgspec.Struct, gc=False, eq=False):
    """A `Pending` whose body is decoded in the thread for lengthy work; the observer has been told of its arrival.

    `model` is the one that it is for, which is not closed before; None where the body alone tells it.
    """

    route: PredictRoute
    model: ServedModel | None
    http: HttpRequest
    done: Callable[[HttpReply], None] | None
    begun: float
    pending: Pending = DONE_ALREADY

    def begin(self) -> Pending:
        """Let the body wait for the thread."""
        if self.model is not None:
            self.model.begin()
        http = self.http
        try:
            seconds = self._seconds() - (perf_counter() - self.begun)
            self.pending = self.route.work_thread.submit(self._decoded, self._answer, len(http.body), seconds)
        except SeptetError as error:
            self._answer(error)
        return self

    def _seconds(self) -> float:
        """The time for the request as far as its head tells it."""
        limits, seconds = self.route.limits, (self.http.known_context or self.http.context).timeout
        if seconds is None:
            return limits.seconds_of(beginning(self.route.template))
        return min(seconds, limits.max_timeout_seconds)

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        self.pending.cancel()
        if self.done is not None:
            self.done = None
            self.route.given_up(self.http, self.begun, self.model)
            self._end()

    def _decoded(self) -> tuple[ServedModel, Request, Encode]:
        route, http = self.route, self.http
        return route.decode(expanded(http, route.limits.max_body_bytes) if CODING in http.headers else http)

    def _answer(self, outcome: tuple[ServedModel, Request, Encode] | Exception) -> None:
        done, self.done = self.done, None
        if done is None:
            return
        route, http, begun, own = self.route, self.http, self.begun, self.model
        if not isinstance(outcome, Exception) and _is_closed(outcome[0]):
            outcome = Unavailable("The model was replaced while the request was read. Send it again.")
        if isinstance(outcome, Exception):
            done(route.refusal(outcome, http, begun, None if own is None else own.service.identity))
        else:
            model, request, encode = outcome
            spent = perf_counter() - begun
            if request.deadline is not None:
                # It counts from the arrival, not from when the thread was free.
                request = msgspec.structs.replace(request, deadline=request.deadline - spent)
            ready = ReadyRequest(route, model, http, begun, spent, request, encode)
            if route.jobs is not None and route.defers(http):
                self.pending = route.jobs.accept(ready, done)
            else:
                self.pending = ready.submit(done)
        self._end()

    def _end(self) -> None:
        if self.model is not None:
            self.model.end()


def beginning(path: str) -> str:
    """The part of a path by which the settings name its timeout, such as `/v2`."""
    return "/" + path.split("/", 2)[1]


def _is_closed(model: ServedModel) -> bool:
    return model.on_idle is not None and not model.in_flight


class InflightRequest(msgspec.Struct, gc=False, eq=False):
    """A `Pending` that calls `done` with the reply, once, unless it is cancelled before.

    `begun` is when the request was complete, in seconds of `perf_counter`; `decoded` is how long reading it took; `ran`
    is when its answer came, where that is written in a thread.
    """

    route: PredictRoute
    model: ServedModel
    http: HttpRequest
    done: Callable[[HttpReply], None] | None
    begun: float
    decoded: float
    request: Request
    encode: Encode
    pending: Pending = DONE_ALREADY
    ran: float = 0.0

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self.done is None:
            return
        self.done = None
        self.pending.cancel()
        self.route.given_up(self.http, self.begun, self.model)
        self.model.end()

    def answer(self, outcome: Response | Exception) -> None:
        """Take the predictor's answer."""
        done = self.done
        if done is None:
            return
        self.done = None
        route, http, request, ran = self.route, self.http, self.request, self.ran or perf_counter()
        model = self.model
        if isinstance(outcome, Exception):
            model.end()
            done(route.refusal(outcome, http, self.begun, model.service.identity))
            return
        try:
            reply = self.encode(request, outcome)
            if ACCEPTED in http.headers:
                reply = compressed(reply, http.headers[ACCEPTED])
        except LengthyWork:
            self._encode_apart(outcome, done, ran)
            return
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            model.end()
            # A faulty middleware may have answered something else than a `Response`.
            done(route.refusal(error, http, self.begun, getattr(outcome, "model", model.service.identity)))
            return
        # `ServedModel.end`, spelled out where most requests pass.
        model.in_flight -= 1
        if model.on_idle is not None and not model.in_flight:
            model.on_idle()
        timings = outcome.timings
        now = perf_counter()
        route.observer.finished(
            Finished(
                route.template,
                reply.id,
                "ok",
                reply.status,
                request.rows,
                now - self.begun,
                self.decoded,
                timings.queue,
                timings.run,
                now - ran,
                timings.batch_rows,
                request.trace,
                None,
                outcome.model,
                http.caller,
            )
        )
        done(reply)

    def _encode_apart(self, response: Response, done: Callable[[HttpReply], None], ran: float) -> None:
        """Write a large answer in the thread for lengthy work; until then the request is under way."""
        self.done, self.ran = done, ran
        size, deadline = sum(array.nbytes for array in response.tensors.values()), self.request.deadline
        seconds = None if deadline is None else deadline - monotonic()
        try:
            written = partial(self._written, response)
            self.pending = self.route.work_thread.submit(partial(self._encoded, response), written, size, seconds)
        except SeptetError as error:
            self.answer(error)

    def _encoded(self, response: Response) -> HttpReply:
        reply, headers = self.encode(self.request, response), self.http.headers
        return compressed(reply, headers[ACCEPTED]) if ACCEPTED in headers else reply

    def _written(self, response: Response, outcome: HttpReply | Exception) -> None:
        if isinstance(outcome, Exception):
            self.answer(outcome)
            return
        self.encode = partial(_written_before, outcome)
        self.answer(response)


def _written_before(reply: HttpReply, _request: Request, _response: Response) -> HttpReply:
    return reply
