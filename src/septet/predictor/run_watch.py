"""Runs that are written down before they are made, while processes crash; see `run_record`."""

import time
from collections.abc import Callable, Sequence
from hashlib import blake2b

from septet.errors import Invalid, Problem
from septet.predictor.model_runner import Outcome
from septet.predictor.run_record import DIGEST_BYTES, MOST_RUNNING, RunRecord
from septet.service import Run
from septet.tensors import plain
from septet.types import Array, Request

#: Bytes of an array that are hashed in full; of a larger one so many, spread over all of it.
MOST_HASHED_BYTES = 1 << 20


class RunWatch:
    """Those of one process, which has `slot` in the record."""

    def __init__(self, record: RunRecord, slot: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._slot = slot
        self._clock = clock
        self._free = list(range(MOST_RUNNING))

    @property
    def on(self) -> bool:
        """Whether runs are to be watched now."""
        return self._record.watching(self._clock())

    def around(self, run: Run, model: str) -> Run:
        """The runs of a model (its digest), watched: a suspect by itself, and nothing that is refused."""

        def watched(requests: Sequence[Request]) -> list[Outcome]:
            return self._run(run, requests, [digest_of(request, model) for request in requests])

        return watched

    def _run(self, run: Run, requests: Sequence[Request], digests: Sequence[bytes]) -> list[Outcome]:
        now = self._clock()
        outcomes: dict[int, Outcome] = {}
        others: list[int] = []
        suspects: list[int] = []
        for at, digest in enumerate(digests):
            until = self._record.refused_until(digest)
            if until is not None and until > now:
                outcomes[at] = _refusal(until - now)
            else:
                (others if until is None else suspects).append(at)
        for group in (others, *([at] for at in suspects)):
            if group:
                found = self._noted(run, [requests[at] for at in group], [digests[at] for at in group])
                outcomes.update(zip(group, found, strict=True))
        for at in suspects:
            self._record.acquit(digests[at])
        return [outcomes[at] for at in range(len(requests))]

    def _noted(self, run: Run, requests: Sequence[Request], digests: Sequence[bytes]) -> list[Outcome]:
        places = self._record.begin(self._slot, self._free, digests)
        try:
            return run(requests)
        finally:
            self._record.end(self._slot, self._free, places)


def _refusal(seconds: float) -> Invalid:
    text = (
        "These values ended the model's process more than once, or it did not come back from them. They are refused "
        f"for another {max(1.0, seconds):.0f} s."
    )
    return Invalid(text, (Problem(None, None, "values that the model survives", "values that ended its process"),))


def digest_of(request: Request, model: str) -> bytes:
    """Sixteen bytes that are the same for the same tensors and wanted outputs of the same model."""
    found = blake2b(repr((model, request.outputs)).encode(), digest_size=DIGEST_BYTES)
    tensors = plain(request.tensors)
    for name in sorted(tensors):
        array = tensors[name]
        found.update(repr((name, array.dtype.str, array.shape)).encode())
        found.update(_bytes(array))
    return found.digest()


def _bytes(array: Array) -> bytes:
    flat = array.ravel()
    step = max(1, flat.nbytes // MOST_HASHED_BYTES)
    part = flat[::step]
    if array.dtype.kind == "O":
        return repr(part.tolist()).encode("utf-8", "backslashreplace")
    return part.tobytes()
