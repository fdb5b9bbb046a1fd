"""A channel to one server: a codec, a transport and a budget of retries. It brings a call to its result.

Clock, sleep and random are arguments, so that a test needs none of its time.
"""

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable
from typing import Any

from septet.remote.remote_calls import AsyncTransport, CallFailure, ProtocolCodec, RemoteCall, ThreadTransport, carried
from septet.remote.retries import Attempts, RetryBudget


class ThreadChannel:
    """For threads, each of which waits for its own calls."""

    def __init__(
        self,
        codec: ProtocolCodec,
        transport: ThreadTransport,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._codec = codec
        self._transport = transport
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._budget = RetryBudget()

    def attempts(self, retries: int, timeout: float) -> Attempts:
        """The attempts of a call that takes so many seconds at most."""
        return Attempts(retries, timeout, self._budget, self._clock, self._random)

    def call(self, call: RemoteCall, attempts: Attempts) -> Any:
        """The result of a call.

        Raises:
            SeptetError: there is none.
        """
        while True:
            seconds = attempts.seconds()
            request = self._codec.write(call, seconds)
            outcome: Any = carried(request, self._transport.send(request, seconds))
            if not isinstance(outcome, CallFailure):
                outcome = self._codec.read(call, outcome)
            if not isinstance(outcome, CallFailure):
                return outcome
            self._sleep(attempts.pause(outcome))

    def close(self) -> None:
        """Close the connections. A channel that is used again opens new ones."""
        self._transport.close()


class AsyncChannel:
    """For the coroutines of one event loop. Arguments as for threads; `budget` may be shared with other channels."""

    def __init__(
        self,
        codec: ProtocolCodec,
        transport: AsyncTransport,
        *,
        budget: RetryBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._codec = codec
        self._transport = transport
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._budget = budget or RetryBudget()

    def attempts(self, retries: int, timeout: float) -> Attempts:
        """The attempts of a call that takes so many seconds at most."""
        return Attempts(retries, timeout, self._budget, self._clock, self._random)

    async def call(self, call: RemoteCall, attempts: Attempts) -> Any:
        """The result of a call.

        Raises:
            SeptetError: there is none.
        """
        while True:
            seconds = attempts.seconds()
            request = self._codec.write(call, seconds)
            outcome: Any = carried(request, await self._transport.send(request, seconds))
            if not isinstance(outcome, CallFailure):
                outcome = self._codec.read(call, outcome)
            if not isinstance(outcome, CallFailure):
                return outcome
            await self._sleep(attempts.pause(outcome))

    async def close(self) -> None:
        """Close the connections. A channel that is used again opens new ones."""
        await self._transport.close()
