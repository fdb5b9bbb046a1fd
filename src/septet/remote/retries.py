"""When a call is sent again: within its deadline, after a random pause, and out of a budget.

Retries help where one server of many, or one moment of many, is bad. Where all are overloaded they only add to the
load, so the calls over a channel share one budget: each call brings in a tenth of a retry, and so retries are a tenth
of the calls. The budget holds a few more at the start, so that a client that begins while its server restarts is not
lost.
"""

from collections.abc import Callable
from threading import Lock

from septet.errors import DeadlineExceeded, SeptetError
from septet.remote.remote_calls import CallFailure

BUDGET_RATIO = 0.1
BUDGET_LIMIT = 10.0
FIRST_PAUSE = 0.05  # seconds; doubled at each retry
LONGEST_PAUSE = 2.0  # seconds


class RetryBudget:
    """A bucket of retries; threads may share it."""

    def __init__(self, ratio: float = BUDGET_RATIO, limit: float = BUDGET_LIMIT) -> None:
        self._ratio = ratio
        self._limit = limit
        self._tokens = limit
        self._lock = Lock()

    def earn(self) -> None:
        """Count one more call."""
        with self._lock:
            self._tokens = min(self._limit, self._tokens + self._ratio)

    def spend(self) -> bool:
        """Whether one more retry may be made; it then is counted."""
        with self._lock:
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True


class Attempts:
    """The attempts of one call, or of several that are to end together.

    Args:
        retries: how many attempts may follow the first.
        timeout: seconds for all of them, pauses included.
        budget: shared with other calls.
        clock: seconds, on a clock that never goes back.
        random: a number from 0 to 1.
    """

    def __init__(
        self, retries: int, timeout: float, budget: RetryBudget, clock: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self._left = retries
        self._timeout = timeout
        self._budget = budget
        self._clock = clock
        self._random = random
        self._deadline = clock() + timeout
        self._longest = FIRST_PAUSE
        # The error that the last pause is for.
        self._before: SeptetError | None = None
        budget.earn()

    def seconds(self) -> float:
        """Seconds left for the next attempt.

        Raises:
            SeptetError: there are none; the error of the attempt before, where the pause after it took too long.
            DeadlineExceeded: there are none.
        """
        before, self._before = self._before, None
        seconds = self._deadline - self._clock()
        if seconds <= 0:
            raise before or DeadlineExceeded(f"There was no answer within {self._timeout:g} seconds.")
        return seconds

    def pause(self, failure: CallFailure) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            SeptetError: the failure's own, where there is to be no other attempt.
        """
        seconds = 0.0 if failure.at_once else failure.after + self._random() * self._longest
        late = self._clock() + seconds >= self._deadline
        if not failure.retryable or self._left <= 0 or late or not self._budget.spend():
            raise failure.error
        self._left -= 1
        self._before = failure.error
        self._longest = min(LONGEST_PAUSE, 2 * self._longest)
        return seconds
