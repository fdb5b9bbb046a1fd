"""A request in the predictor's hands, until it is answered."""

from collections.abc import Hashable

import msgspec

from septet.errors import DeadlineExceeded, SeptetError
from septet.runtimes.run_control import RunControl
from septet.types import Done, Request, tell


class QueuedRequest(msgspec.Struct, gc=False, eq=False):
    """A request that waits, or runs.

    Attributes:
        request: what is wanted.
        done: takes the answer; None where nobody wants it any more.
        key: requests of equal keys may share a run.
        arrived: in monotonic seconds.
        control: of the run in the thread that it shares; None before, and for a run on the loop.
    """

    request: Request
    done: Done | None
    key: Hashable
    arrived: float
    control: RunControl | None = None

    def cancel(self) -> None:
        """Nobody waits any more."""
        if self.done is not None:
            self.done = None
            if self.control is not None:
                self.control.leave()

    def fail(self, error: SeptetError) -> None:
        """Give an error to the one who waits, with the id of the request at fault."""
        done, self.done = self.done, None
        if done is not None:
            error.request_id = self.request.id
            tell(done, error)

    def expire(self) -> None:
        """Its time is over."""
        self.fail(DeadlineExceeded("The answer was not ready before the request's deadline."))
        if self.control is not None:
            self.control.leave()
