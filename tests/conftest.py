"""What holds for every test."""

from collections.abc import Iterator

import hypothesis
import pytest

from tests.leftovers import Leftovers

# A busy machine is no failure, and what one run met should not change the next.
hypothesis.settings.register_profile("tests", deadline=None, database=None)
hypothesis.settings.load_profile("tests")


@pytest.fixture(scope="session", autouse=True)
def leftovers() -> Iterator[None]:
    """No process outlives the tests that started it, even where the test process itself is killed."""
    with Leftovers():
        yield
