"""A coroutine driven without a task ends as it would under one."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from septet.server.drive import Drive


def driven(coroutine: Coroutine[Any, Any, str], *steps: Callable[[Drive[str]], None]) -> list[str]:
    """What the coroutine gives when it is driven, with `steps` taken between turns of the loop."""

    async def scenario() -> list[str]:
        given: list[str] = []
        drive = Drive(coroutine, given.append)
        drive.step()
        for step in steps:
            step(drive)
            for _ in range(3):
                await asyncio.sleep(0)
        return given

    return asyncio.run(scenario())


async def nothing_to_wait_for() -> str:
    return "at once"


def test_a_coroutine_that_never_waits_ends_in_its_first_step() -> None:
    assert driven(nothing_to_wait_for()) == ["at once"]


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_a_coroutine_goes_on_when_its_future_is_done(turns: int) -> None:
    futures: list[asyncio.Future[str]] = []

    async def waiting() -> str:
        said = []
        for _ in range(turns):
            futures.append(asyncio.get_running_loop().create_future())
            said.append(await futures[-1])
        return " ".join(said)

    def answer(_: Drive[str]) -> None:
        futures[-1].set_result("yes")

    assert driven(waiting(), *[answer] * turns) == [" ".join(["yes"] * turns)]


def test_an_error_of_the_future_is_raised_where_it_is_awaited() -> None:
    futures: list[asyncio.Future[str]] = []

    async def waiting() -> str:
        futures.append(asyncio.get_running_loop().create_future())
        try:
            return await futures[0]
        except LookupError as error:
            return f"caught {error.args[0]}"

    assert driven(waiting(), lambda _: futures[0].set_exception(LookupError("it"))) == ["caught it"]


def test_a_cancelled_coroutine_cleans_up_and_gives_nothing() -> None:
    ended: list[str] = []

    async def waiting() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append("cleaned up")
        return "never"

    assert driven(waiting(), Drive.cancel) == []
    assert ended == ["cleaned up"]
