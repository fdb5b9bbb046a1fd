"""A middleware that counts what it sees in the file that `COUNTED` names, and flags every answer."""

import os

import msgspec

from septet.types import Done, Pending, Predictor, Request, Response

FLAG = "counted"


class Counting(Predictor):
    """Appends one byte for each request."""

    def __init__(self, inner: Predictor) -> None:
        self._inner = inner
        self._file = os.open(os.environ["COUNTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def submit(self, request: Request, done: Done) -> Pending:
        """Count, and pass on."""
        os.write(self._file, b".")

        def flagged(outcome: Response | Exception) -> None:
            if isinstance(outcome, Response):
                outcome = msgspec.structs.replace(outcome, flags=(*outcome.flags, FLAG))
            done(outcome)

        return self._inner.submit(request, flagged)
