"""How long a worker's store has not answered: said once when that is long, and once when it answers again."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final

#: A store that is away for less is no news: it is restarted, or another one takes over.
LONG_SECONDS: Final = 60.0

logger = logging.getLogger("septet.jobs")


class StoreOutage:
    """Told of each call of a store; `clock` is in seconds of any monotonic clock."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._said = False

    def failed(self, message: str) -> None:
        """A call failed."""
        now = self._clock()
        since = self._since = now if self._since is None else self._since
        logger.debug("the store of jobs cannot be asked: %s", message)
        if now - since > LONG_SECONDS and not self._said:
            self._said = True
            logger.warning(
                "the store of jobs cannot be asked for %.0f s, so no job is answered: %s", now - since, message
            )

    def ended(self) -> None:
        """A call succeeded."""
        since, said, self._since, self._said = self._since, self._said, None, False
        if said and since is not None:
            logger.warning("the store of jobs can be asked again, after %.0f s", self._clock() - since)
