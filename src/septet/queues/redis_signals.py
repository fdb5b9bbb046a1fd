"""Hears from Redis that something in its jobs has changed."""

import os
import threading
from contextlib import suppress
from time import monotonic
from typing import Final

from redis.client import PubSub
from redis.exceptions import RedisError

from septet.queues.redis_connection import RedisConnection

# Seconds for which a read waits, so that the end is noticed; after which a silent connection is asked whether it still
# is one; and for which it may then stay silent.
_READ_SECONDS: Final = 0.5
_SILENT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 10.0


class RedisSignals:
    """A connection and a thread of its own that hear of changes, of this process too: the scripts tell of them.

    When the connection was lost and is there again, it wakes once, since something may have been told meanwhile.
    """

    def __init__(self, url: str, *, read_seconds: float = _READ_SECONDS) -> None:
        """`url` as for RedisConnection.

        Raises:
            SettingsInvalid: the URL is none.
        """
        self._connection = RedisConnection(url)
        self._read_seconds = read_seconds
        self._reader, self._writer = os.pipe()
        for each in (self._reader, self._writer):
            os.set_blocking(each, False)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="septet-job-signals", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        """A descriptor that can be read once somebody has told of a change; it stays the same."""
        return self._reader

    def drain(self) -> None:
        """Take note of all that was told; does not block."""
        with suppress(BlockingIOError):
            while os.read(self._reader, 4096):
                pass

    def notify(self) -> None:
        """Do nothing: what changes jobs in Redis has told of it in the same step."""

    def close(self) -> None:
        """Hear no more."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join()
        self._connection.close()
        os.close(self._reader)
        os.close(self._writer)

    def _run(self) -> None:
        wait = 0.0
        while not self._closing.wait(wait):
            with suppress(RedisError, OSError), self._connection.client.pubsub() as heard:
                heard.subscribe(f"{self._connection.prefix}signal")
                wait = 0.0
                self._listen(heard)
            # Redis is gone: it is tried again at once, then less and less often.
            wait = min(2.0, max(0.05, 2 * wait))

    def _listen(self, heard: PubSub) -> None:
        """Wake for each message, until the connection is lost."""
        last, asked = monotonic(), False
        while not self._closing.is_set():
            message = heard.get_message(timeout=self._read_seconds)
            silent = monotonic() - last
            if message is not None:
                last, asked = monotonic(), False
                if message["type"] in ("subscribe", "message"):
                    self._wake()
            elif asked and silent > _SILENT_SECONDS + _ANSWER_SECONDS:
                return
            elif not asked and silent > _SILENT_SECONDS:
                heard.ping()
                asked = True

    def _wake(self) -> None:
        with suppress(BlockingIOError):  # it is full: whoever reads it will wake
            os.write(self._writer, b"\0")
