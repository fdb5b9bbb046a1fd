"""The keys of a server, which follow their file."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from septet.access.api_keys import ApiKey, KeyRing
from septet.access.key_file import check_names, file_stamp, read_keys
from septet.errors import SettingsInvalid

LOOK_SECONDS: Final = 0.5
logger = logging.getLogger("septet")


class WatchedKeys:
    """`stated` keys stay; those of the file are what it holds. `clock` gives monotonic seconds.

    Attributes:
        ring: the keys that are good now.
        look_at: when the file is looked at next, on the clock.
        tells: whether it logs that the file was read, or why not; of several processes one should.
    """

    def __init__(
        self, stated: Sequence[ApiKey], path: Path | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raise SettingsInvalid where the file cannot be used."""
        self._stated = tuple(stated)
        self._path = path
        self._clock = clock
        self._stamp = None if path is None else file_stamp(path)
        self.tells = True
        self.ring = KeyRing(self._read())
        self.look_at = clock() + LOOK_SECONDS if path is not None else float("inf")

    def look_when_due(self) -> None:
        """Look, where the last time is a while ago."""
        if self._clock() >= self.look_at:
            self.look()

    def look(self) -> None:
        """Read the file where it has changed; one that cannot be used changes nothing, and is logged once."""
        if self._path is None:
            return
        self.look_at = self._clock() + LOOK_SECONDS
        stamp = file_stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            keys = self._read()
        except SettingsInvalid as error:
            self._log(logging.ERROR, "the API keys stay as they were: %s", error.message)
            return
        self.ring = KeyRing(keys)
        self._log(logging.INFO, "the API keys were read again: %d", len(keys))

    def _read(self) -> tuple[ApiKey, ...]:
        if self._path is None:
            return self._stated
        filed = read_keys(self._path)
        check_names(self._stated, filed, self._path)
        return (*self._stated, *filed)

    def _log(self, level: int, text: str, what: object) -> None:
        if self.tells:
            logger.log(level, text, what)
