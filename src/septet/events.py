"""Facts about requests, as frozen records, and the protocol of whoever wants to know them.

Emitters know nothing of metrics or logs; observers (`septet.monitoring`) know nothing of transports.
"""

from typing import Protocol

import msgspec

from septet.types import Identity


class Finished(msgspec.Struct, frozen=True, gc=False):
    """A request was answered or refused.

    Attributes:
        route: the matched route's template, such as `/predict`, or `unmatched`.
        id: the request id.
        code: `ok`, or the error's neutral code.
        status: what the protocol answered (an HTTP status).
        rows: rows predicted; 0 where nothing was.
        seconds: from the complete request to the complete answer.
        decode_seconds, queue_seconds, run_seconds, encode_seconds: of which reading the body, waiting for the
            runtime, running it, and writing the answer.
        batch_rows: rows of the run this request shared; 0 where nothing ran.
        trace: the `traceparent` header, or None.
        message: the error's text, or None.
        model: which one answered, or was asked; None where the request was for none.
        caller: the name of the API key that the request came with, or None.
    """

    route: str
    id: str
    code: str
    status: int
    rows: int
    seconds: float
    decode_seconds: float = 0.0
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    encode_seconds: float = 0.0
    batch_rows: int = 0
    trace: str | None = None
    message: str | None = None
    model: Identity | None = None
    caller: str | None = None


class Observer(Protocol):
    """Receives events. Must neither block nor raise: it is called on the way of a request."""

    def started(self) -> None:
        """A request has arrived and is in flight until `finished`."""

    def finished(self, event: Finished) -> None:
        """A request has been answered."""


class NullObserver:
    """The observer that keeps nothing."""

    def started(self) -> None:
        """Keep nothing."""

    def finished(self, event: Finished) -> None:
        """Keep nothing."""
