"""The one call shape, and the two frozen messages that travel through it.

Everything that answers a prediction is a `Predict`: a loaded model, a limiter, a recorder, a remote server.
Middleware is `Predict -> Predict`. The records are msgspec structs because one is made per request: creating a
frozen dataclass costs more than decoding a small JSON body. Those that live for a request are not tracked by the
collector: they hold no way back to themselves, and many of them would let it run in each turn of the loop.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

import msgspec
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Tensors: TypeAlias = Mapping[str, Array]


class Identity(msgspec.Struct, frozen=True):
    """Who answered: stands in every answer, metric, log line and job.

    `digest` is `sha256:` and 64 hexadecimal digits: the artefact's for a bare file, the manifest's for a package.
    """

    name: str
    version: str
    digest: str


class Request(msgspec.Struct, frozen=True, gc=False):
    """Rows to predict, already decoded and valid under the model's signature.

    Attributes:
        tensors: one array per model input; axis 0 is the row, the same length in each.
        rows: that length.
        id: the caller's request id, or one made for it.
        outputs: the wanted output names, or None for all.
        deadline: seconds on the monotonic clock after which no answer is wanted, or None.
        trace: the W3C `traceparent` header as received, or None.
    """

    tensors: Tensors
    rows: int
    id: str
    outputs: tuple[str, ...] | None = None
    deadline: float | None = None
    trace: str | None = None


class Timings(msgspec.Struct, frozen=True, gc=False):
    """Seconds spent waiting for the runtime and running it; `batch_rows` is the size of the run shared with others."""

    queue: float
    run: float
    batch_rows: int


class Response(msgspec.Struct, frozen=True, gc=False):
    """What the model answered: one array per output, rows in the request's order.

    `flags` names what a caller should know of this answer, such as `degraded`.
    """

    tensors: Tensors
    rows: int
    model: Identity
    timings: Timings
    flags: tuple[str, ...] = ()


Predict: TypeAlias = Callable[[Request], Awaitable[Response]]


class Pending(Protocol):
    """A request that may still be given up."""

    def cancel(self) -> None:
        """Want no answer any more: none will be given."""


#: A `Predict` that calls back, for who has many requests in hand at once: it costs no coroutine and no future. The
#: answer, or the error, may come before the call returns; it comes once, on the event loop's thread, and the callback
#: must not raise.
Submit: TypeAlias = Callable[[Request, Callable[[Response | Exception], None]], Pending]
