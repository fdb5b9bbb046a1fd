"""One prediction on its way over HTTP: decode, submit, encode, reply, and a fact for the observer.

The one definition for every transport and every protocol over HTTP. It is driven by callbacks, so that it costs neither
a coroutine nor a future, and many of one turn of the event loop are decoded, run and encoded in a row.
"""

from collections.abc import Callable
from time import perf_counter

import msgspec

from septet.events import Finished, Observer
from septet.protocols.http.content_encoding import ACCEPTED, CODING, compressed, expanded
from septet.protocols.http.error_bodies import STATUS
from septet.protocols.http.error_responses import failed, id_of
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.routes import Decode, Encode
from septet.types import Pending, Predictor, Request, Response


class DoneAlready:
    """The `Pending` of what has its answer already."""

    def cancel(self) -> None:
        """Nothing is left to give up."""


ANSWERED = DoneAlready()


class PredictRoute(msgspec.Struct, frozen=True):
    """A route that predicts, and what it needs; bodies have at most `most_bytes` when expanded."""

    template: str
    decode: Decode
    predictor: Predictor
    observer: Observer
    most_bytes: int

    def predict(self, http: HttpRequest, done: Callable[[HttpReply], None]) -> Pending:
        """Decode the body, hand the request to the predictor, and call `done` with the reply, perhaps at once."""
        self.observer.started()
        begun = perf_counter()
        try:
            request, encode = self.decode(expanded(http, self.most_bytes) if CODING in http.headers else http)
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            done(self.refusal(error, http, begun))
            return ANSWERED
        prediction = InflightRequest(self, http, done, begun, perf_counter() - begun, request, encode)
        prediction.pending = self.predictor.submit(request, prediction.answer)
        return prediction

    def refusal(self, error: Exception, http: HttpRequest, begun: float) -> HttpReply:
        """The reply that tells of an error; the observer is told as well."""
        reply = failed(error, self.template, http)
        seconds = perf_counter() - begun
        self.observer.finished(
            Finished(self.template, reply.id, reply.code, reply.status, 0, seconds, message=reply.message)
        )
        return reply


class InflightRequest(msgspec.Struct, gc=False, eq=False):
    """A `Pending` that calls `done` with the reply, once, unless it is cancelled before.

    `begun` is when the request was complete, in seconds of `perf_counter`; `decoded` is how long reading it took.
    """

    endpoint: PredictRoute
    http: HttpRequest
    done: Callable[[HttpReply], None] | None
    begun: float
    decoded: float
    request: Request
    encode: Encode
    pending: Pending = ANSWERED

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self.done is None:
            return
        self.done = None
        self.pending.cancel()
        endpoint, seconds = self.endpoint, perf_counter() - self.begun
        endpoint.observer.finished(
            Finished(endpoint.template, id_of(self.http.headers), "cancelled", STATUS["cancelled"], 0, seconds)
        )

    def answer(self, outcome: Response | Exception) -> None:
        """Take the predictor's answer."""
        done = self.done
        if done is None:
            return
        self.done = None
        endpoint, http, request, ran = self.endpoint, self.http, self.request, perf_counter()
        if isinstance(outcome, Exception):
            done(endpoint.refusal(outcome, http, self.begun))
            return
        try:
            reply = self.encode(request, outcome)
            if ACCEPTED in http.headers:
                reply = compressed(reply, http.headers[ACCEPTED])
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            done(endpoint.refusal(error, http, self.begun))
            return
        timings = outcome.timings
        now = perf_counter()
        endpoint.observer.finished(
            Finished(
                endpoint.template,
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
            )
        )
        done(reply)
