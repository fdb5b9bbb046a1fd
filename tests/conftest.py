"""What holds for every test."""

from collections.abc import Iterator

import pytest

from tests.leftovers import Leftovers


@pytest.fixture(scope="session", autouse=True)
def leftovers() -> Iterator[None]:
    """No process outlives the tests that started it, even where the test process itself is killed."""
    with Leftovers():
        yield
