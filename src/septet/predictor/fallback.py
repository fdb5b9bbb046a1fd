"""A predictor that answers where another one could not: with what the model's owner has written for that."""

from functools import partial

import numpy as np

from septet.errors import DeadlineExceeded, ModelFailed, Overloaded
from septet.types import FALLBACK, Done, Identity, Pending, Predictor, Request, Response, Tensors, Timings

#: What is answered in place of: the caller's own faults, and a server that starts or stops, are told as they are.
COVERED = (DeadlineExceeded, ModelFailed, Overloaded)


class FallbackPredictor(Predictor):
    """Answers `row`, repeated and flagged, where the predictor gives one of the errors in `COVERED`.

    `row` has one row in each output, or whole outputs where there are no rows (`by_row` is false).
    """

    def __init__(self, predictor: Predictor, identity: Identity, row: Tensors, *, by_row: bool) -> None:
        self._predictor = predictor
        self._identity = identity
        self._row = row
        self._by_row = by_row

    def submit(self, request: Request, done: Done) -> Pending:
        """Answer a request; see `Predictor.submit`."""
        return self._predictor.submit(request, partial(self._answer, request, done))

    def _answer(self, request: Request, done: Done, outcome: Response | Exception) -> None:
        if not isinstance(outcome, COVERED):
            done(outcome)
            return
        names = self._row if request.outputs is None else request.outputs
        tensors = {name: self._row[name] for name in names}
        if self._by_row:
            tensors = {name: np.repeat(row, request.rows, axis=0) for name, row in tensors.items()}
        # No run of the model counts for it: the queue and the run took no time, and no rows were run.
        done(Response(tensors, request.rows, self._identity, Timings(0.0, 0.0, 0), (FALLBACK,)))
