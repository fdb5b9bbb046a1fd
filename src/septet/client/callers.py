"""Drives a call to its end: asks its questions one by one, and again where that is safe and worth it.

Clock, sleep and random are arguments so that a test needs none of its time.
"""

import asyncio
import random as chance
import time
from collections.abc import Awaitable, Callable
from typing import Any

from septet.client.attempts import Attempts, Budget
from septet.client.conversation import Steps
from septet.client.questions import AsyncWire, Dialect, Failure, Question, Wire
from septet.errors import SeptetError


class ThreadedCaller:
    """Drives the calls of one client, each in the thread that makes it. `timeout` is each call's, in seconds."""

    def __init__(
        self,
        dialect: Dialect,
        wire: Wire,
        timeout: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._dialect = dialect
        self._wire = wire
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._budget = Budget()

    def __call__(self, steps: Steps, retries: int) -> Any:
        """The result of a call, of which each failure may be followed by so many retries in all.

        Raises:
            SeptetError: there is none.
        """
        attempts = Attempts(retries, self._timeout, self._budget, self._clock, self._random)
        try:
            question = next(steps)
            while True:
                try:
                    answer = self._answer(question, attempts)
                except SeptetError as error:
                    question = steps.throw(error)
                else:
                    question = steps.send(answer)
        except StopIteration as end:
            return end.value

    def _answer(self, question: Question, attempts: Attempts) -> Any:
        while True:
            seconds = attempts.seconds()
            outcome: Any = self._wire.send(self._dialect.ask(question, seconds), seconds)
            if not isinstance(outcome, Failure):
                outcome = self._dialect.read(question, outcome)
            if not isinstance(outcome, Failure):
                return outcome
            self._sleep(attempts.pause(outcome))


class CoroutineCaller:
    """Drives the calls of one client, each in the coroutine that makes it. Arguments as for threads."""

    def __init__(
        self,
        dialect: Dialect,
        wire: AsyncWire,
        timeout: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._dialect = dialect
        self._wire = wire
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._random = random
        self._budget = Budget()

    async def __call__(self, steps: Steps, retries: int) -> Any:
        """As for threads."""
        attempts = Attempts(retries, self._timeout, self._budget, self._clock, self._random)
        try:
            question = next(steps)
            while True:
                try:
                    answer = await self._answer(question, attempts)
                except SeptetError as error:
                    question = steps.throw(error)
                else:
                    question = steps.send(answer)
        except StopIteration as end:
            return end.value

    async def _answer(self, question: Question, attempts: Attempts) -> Any:
        while True:
            seconds = attempts.seconds()
            outcome: Any = await self._wire.send(self._dialect.ask(question, seconds), seconds)
            if not isinstance(outcome, Failure):
                outcome = self._dialect.read(question, outcome)
            if not isinstance(outcome, Failure):
                return outcome
            await self._sleep(attempts.pause(outcome))
