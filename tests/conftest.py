"""What holds for every test."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.budgets import examples
from tests.leftovers import Leftovers

# A busy machine is no failure, and what one run met should not change the next.
hypothesis.settings.register_profile("tests", deadline=None, database=None, max_examples=examples(50))
hypothesis.settings.load_profile("tests")


# Libraries read these when they are imported. Several test processes share the cores, and threads that wait for each
# other take far longer than one does where a core is taken.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(scope="session", autouse=True)
def leftovers() -> Iterator[None]:
    """No process outlives the tests that started it, even where the test process itself is killed."""
    with Leftovers():
        yield
