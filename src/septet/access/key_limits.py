"""The limits of an API key: requests a second, and requests in flight."""

import math
import time
from collections.abc import Callable

from septet.access.api_keys import ApiKey
from septet.errors import RateLimited
from septet.monitoring.key_usage import WorkerKeyUsage


class KeyLimits:
    """Lets requests in by what is used of their key, in all processes; `clock` gives monotonic seconds."""

    def __init__(self, usage: WorkerKeyUsage, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._usage = usage
        self._clock = clock

    def admit(self, key: ApiKey) -> int:
        """Let a request in, until `release` of what this returns.

        The rate is a bucket of a second's requests, of one at least, by the generic cell rate algorithm (ITU-T I.371).

        Raises:
            RateLimited: the key's limits are reached.
        """
        usage = self._usage
        entry = usage.entry(key.name)
        if key.in_flight is not None and usage.in_flight(entry) >= key.in_flight:
            usage.refuse(entry)
            raise RateLimited(
                f"The API key {key.name!r} has {key.in_flight} requests under way, as many as it may have."
            )
        rate = key.requests_per_second
        if rate is not None:
            now, interval = self._clock(), 1.0 / rate
            due = max(usage.due(entry), now)
            early = due - now - max(1.0 - interval, 0.0)
            # Sums of many intervals are not exact.
            if early > interval * 1e-6:
                usage.refuse(entry)
                seconds = math.ceil(early)
                raise RateLimited(f"The API key {key.name!r} may ask {rate:g} times a second.", seconds)
            usage.set_due(entry, due + interval)
        usage.begin(entry)
        return entry

    def release(self, entry: int) -> None:
        """A request that was let in is over."""
        self._usage.end(entry)
