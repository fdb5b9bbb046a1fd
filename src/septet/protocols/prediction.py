"""One prediction on its way over HTTP: decode, submit, encode, reply, and a fact for the observer.

The one definition for every transport and every protocol over HTTP. It is driven by callbacks, so that it costs neither
a coroutine nor a future, and many of one turn of the event loop are decoded, run and encoded in a row.
"""

from collections.abc import Callable
from time import perf_counter

import msgspec

from septet.events import Finished, Observer
from septet.protocols.encodings import ACCEPTED, CODING, compressed, expanded
from septet.protocols.errors import STATUS
from septet.protocols.http import HttpReply, HttpRequest
from septet.protocols.refusals import failed, id_of
from septet.protocols.routes import Decode, Encode
from septet.types import Pending, Request, Response, Submit


class Prediction(msgspec.Struct, gc=False, eq=False):
    """A `Pending` that calls `done` with the reply, once, unless it is cancelled before.

    The observer has been told that the request arrived; `begun` is when, in seconds of `perf_counter`.
    """

    observer: Observer
    template: str
    http: HttpRequest
    done: Callable[[HttpReply], None] | None
    begun: float
    decoded: float = 0.0
    request: Request | None = None
    encode: Encode | None = None
    pending: Pending | None = None

    def begin(self, decode: Decode, submit: Submit, most_bytes: int) -> None:
        """Decode the body, of at most `most_bytes` when expanded, and hand the request to the predictor."""
        try:
            http = self.http
            request, self.encode = decode(expanded(http, most_bytes) if CODING in http.headers else http)
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            self._refuse(error)
            return
        self.request = request
        self.decoded = perf_counter() - self.begun
        self.pending = submit(request, self._answer)

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self.done is None:
            return
        self.done = None
        if self.pending is not None:
            self.pending.cancel()
        seconds = perf_counter() - self.begun
        self.observer.finished(
            Finished(self.template, id_of(self.http.headers), "cancelled", STATUS["cancelled"], 0, seconds)
        )

    def _answer(self, outcome: Response | Exception) -> None:
        done = self.done
        if done is None:
            return
        if isinstance(outcome, Exception):
            self._refuse(outcome)
            return
        request, encode, ran = self.request, self.encode, perf_counter()
        assert request is not None and encode is not None  # noqa: S101, PT018 - there would be no answer
        try:
            reply = encode(request, outcome)
            if ACCEPTED in self.http.headers:
                reply = compressed(reply, self.http.headers[ACCEPTED])
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            self._refuse(error)
            return
        self.done = None
        timings = outcome.timings
        now = perf_counter()
        self.observer.finished(
            Finished(
                self.template,
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

    def _refuse(self, error: Exception) -> None:
        done, self.done = self.done, None
        reply = failed(error, self.template, self.http)
        seconds = perf_counter() - self.begun
        self.observer.finished(
            Finished(self.template, reply.id, reply.code, reply.status, 0, seconds, message=reply.message)
        )
        assert done is not None  # noqa: S101 - it is taken away with the answer, and that comes once
        done(reply)
