"""How soon a crashed worker is replaced, and when replacing stops making sense."""

from collections import deque

WINDOW_SECONDS = 60.0
#: A worker that cannot start at all: the model, the memory or the machine is at fault, and trying again rarely helps.
UNREADY_LIMIT = 5
#: Crashes for each worker within the window that no request is known to have caused.
LIMIT_PER_WORKER = 20
#: So many crashes within the window, for each worker, are replaced at once.
AT_ONCE_PER_WORKER = 2
FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 2.0
#: Where a worker cannot start while others answer.
LONGEST_START_DELAY_SECONDS = 30.0


class CrashPolicy:
    """Remembers crashes; pure decisions, `now` in monotonic seconds."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        # When, and whether a request is blamed.
        self._crashes: deque[tuple[float, bool]] = deque()
        self._unready = 0

    def became_ready(self) -> None:
        """A worker can start: earlier failures to start are forgotten."""
        self._unready = 0

    def crashed(
        self, now: float, *, was_ready: bool, by_request: bool = False, others_answer: bool = False
    ) -> float | None:
        """Seconds to wait before the replacement is started, or None for giving up.

        What callers send must not end the server: a crash `by_request` only makes replacing slower. A worker that
        cannot start is no reason to give up while others answer, nor when one of these crashes: it is tried again, more
        and more seldom.
        """
        if not was_ready:
            self._unready += 1
            if others_answer:
                return start_delay(self._unready)
        self._crashes.append((now, by_request))
        while self._crashes[0][0] < now - WINDOW_SECONDS:
            self._crashes.popleft()
        unable = not was_ready and self._unready >= UNREADY_LIMIT
        if unable or self._unexplained >= LIMIT_PER_WORKER * self._workers:
            return None
        excess = max(self._unready, len(self._crashes) - AT_ONCE_PER_WORKER * self._workers)
        return _delay(excess, LONGEST_DELAY_SECONDS) if excess > 0 else 0.0

    @property
    def _unexplained(self) -> int:
        return sum(not by_request for _, by_request in self._crashes)

    @property
    def reason(self) -> str:
        """Why it gave up."""
        if self._unready >= UNREADY_LIMIT:
            return f"{self._unready} workers in a row died before they were ready"
        return f"{self._unexplained} workers crashed within {WINDOW_SECONDS:.0f} seconds"


def start_delay(times: int) -> float:
    """Seconds to wait before a worker is tried again that could not start so many times while others answer."""
    return _delay(times, LONGEST_START_DELAY_SECONDS)


def _delay(times: int, longest: float) -> float:
    # No float holds a thousand doublings.
    return min(longest, FIRST_DELAY_SECONDS * 2.0 ** min(times, 16))
