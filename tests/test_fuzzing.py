"""Every target of the fuzzer holds what it promises on the committed corpus and on changes of it."""

import asyncio
from collections.abc import Iterator
from itertools import islice

import pytest

from fuzzing.mutations import mutated
from fuzzing.seeds import seeds
from fuzzing.targets import TARGETS, check_of
from tests.budgets import examples


@pytest.fixture(scope="module", autouse=True)
def loop() -> Iterator[None]:
    """The event loop of all targets."""
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        yield
        asyncio.set_event_loop(None)


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_is_answered_by_a_fault_or_against_its_plainest_reading(target: str) -> None:
    check, known = check_of(target), seeds(target)
    for data in islice(mutated(known, seed=1), len(known) + examples(60)):
        check(data)
