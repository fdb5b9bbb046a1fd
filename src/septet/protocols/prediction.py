"""One prediction on its way over HTTP: decode, submit, encode, reply, and a fact for the observer.

The one definition for every transport and every protocol over HTTP. It is driven by callbacks, so that it costs neither
a coroutine nor a future, and many of one turn of the event loop are decoded, run and encoded in a row.
"""

from collections.abc import Callable
from time import perf_counter

from septet.events import Finished, Observer
from septet.protocols.encodings import ACCEPTED, CODING, compressed, expanded
from septet.protocols.errors import STATUS
from septet.protocols.http import HttpReply, HttpRequest
from septet.protocols.refusals import failed, id_of
from septet.protocols.routes import Decode
from septet.types import Pending, Response, Submit


class Prediction:
    """A `Pending` that calls `done` with the reply, once, unless it is cancelled before."""

    __slots__ = ("_begun", "_decoded", "_done", "_encode", "_http", "_observer", "_pending", "_request", "_template")

    def __init__(self, observer: Observer, template: str, http: HttpRequest, done: Callable[[HttpReply], None]) -> None:
        self._observer = observer
        self._template = template
        self._http = http
        self._done: Callable[[HttpReply], None] | None = done
        self._pending: Pending | None = None

    def begin(self, decode: Decode, submit: Submit, most_bytes: int) -> None:
        """Decode the body, of at most `most_bytes` when expanded, and hand the request to the predictor."""
        self._observer.started()
        self._begun = begun = perf_counter()
        try:
            http = self._http
            self._request, self._encode = decode(expanded(http, most_bytes) if CODING in http.headers else http)
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            self._refuse(error)
            return
        self._decoded = perf_counter() - begun
        self._pending = submit(self._request, self._answer)

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self._done is None:
            return
        self._done = None
        if self._pending is not None:
            self._pending.cancel()
        seconds = perf_counter() - self._begun
        self._observer.finished(
            Finished(self._template, id_of(self._http.headers), "cancelled", STATUS["cancelled"], 0, seconds)
        )

    def _answer(self, outcome: Response | Exception) -> None:
        done = self._done
        if done is None:
            return
        if isinstance(outcome, Exception):
            self._refuse(outcome)
            return
        ran = perf_counter()
        try:
            reply = self._encode(self._request, outcome)
            if ACCEPTED in self._http.headers:
                reply = compressed(reply, self._http.headers[ACCEPTED])
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            self._refuse(error)
            return
        self._done = None
        timings = outcome.timings
        now = perf_counter()
        self._observer.finished(
            Finished(
                self._template,
                reply.id,
                "ok",
                reply.status,
                self._request.rows,
                now - self._begun,
                self._decoded,
                timings.queue,
                timings.run,
                now - ran,
                timings.batch_rows,
                self._request.trace,
            )
        )
        done(reply)

    def _refuse(self, error: Exception) -> None:
        done, self._done = self._done, None
        reply = failed(error, self._template, self._http)
        seconds = perf_counter() - self._begun
        self._observer.finished(
            Finished(self._template, reply.id, reply.code, reply.status, 0, seconds, message=reply.message)
        )
        assert done is not None  # noqa: S101 - it is taken away with the answer, and that comes once
        done(reply)
