"""What a server serves: a record, so that servers, protocols and jobs need not know how a predictor is built."""

from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from septet.model.freshness import Freshness
from septet.model.golden import Golden
from septet.model.manifest import Manifest
from septet.model.signature import Signature
from septet.types import Identity, Predictor, Tensors


class Merging(msgspec.Struct, frozen=True):
    """Whether rows of different requests are run together.

    Attributes:
        merged: whether they are.
        reason: why, or why not.
        exact: whether a row's answer is then the same to the bit as alone.
        relative_tolerance, absolute_tolerance: where it is not: a number of floating point may differ by so much of the
            largest one of its row's output, plus so much.
    """

    merged: bool
    reason: str
    exact: bool = False
    relative_tolerance: float = 0.0
    absolute_tolerance: float = 0.0


def _nothing_known() -> Merging:
    return Merging(merged=False, reason="nothing is known of the model's rows")


def _nothing_stuck() -> float:
    return 0.0


def _nothing_to_close() -> None:
    """Free nothing."""


class ArrivalGate:
    """Where requests for a model wait to be read while it refuses some, and are let in a group at a time.

    To read each request as it comes takes the core from a model that has no time to spare. The predictor closes the
    gate and lets in; protocols look whether it is closed. For the event loop's thread.

    Attributes:
        closed: requests that come are to wait.
    """

    __slots__ = ("_waiting", "closed")

    def __init__(self) -> None:
        self.closed = False
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    def wait(self, enter: Callable[[], None]) -> None:
        """Call this when its turn has come; it must not raise."""
        self._waiting.append(enter)

    def let_in(self, most: int) -> None:
        """Let in the first that wait, at most so many."""
        for _ in range(min(most, len(self._waiting))):
            self._waiting.popleft()()


class Service(msgspec.Struct, frozen=True):
    """One model, ready to answer.

    Attributes:
        identity: in every answer.
        signature: what it takes and gives.
        predictor: answers every request for the model, whatever protocol it came by; limits and middleware included.
        manifest: the package's, or the one derived from a bare file.
        sample: one valid row (axis 0 of length 1 where the signature has rows) that the model answers; None where
            none could be found.
        answer: the model's answer to `sample`, as it was given at start, or None without a sample.
        expected: the answer to `sample` that the package states, and how exactly, or None for a bare file.
        facts: measured at start, in seconds: `load_seconds`, `warmup_seconds`, and where there is a sample
            `run_seconds`, for one row.
        freshness: classifies the age of the training data at the time of the call.
        merging: whether rows of different requests share a run, at the time of the call: a cold model may learn that.
        close: frees the model and its thread; called once, when no request is under way and none will come.
        batch_rows: the most rows of waiting requests that are run together; 1 where requests are never merged.
        stuck: for how many seconds a run has not ended that nobody waits for any more; 0 where none is so.
        gate: closed while the predictor refuses requests.
    """

    identity: Identity
    signature: Signature
    predictor: Predictor
    manifest: Manifest
    sample: Tensors | None
    answer: Tensors | None
    expected: Golden | None
    facts: Mapping[str, float]
    freshness: Callable[[], Freshness]
    close: Callable[[], None] = _nothing_to_close
    batch_rows: int = 1
    merging: Callable[[], Merging] = _nothing_known
    stuck: Callable[[], float] = _nothing_stuck
    gate: ArrivalGate = msgspec.field(default_factory=ArrivalGate)
