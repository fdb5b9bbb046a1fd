"""Every estimator of scikit-learn with random settings and data answers as it does in Python: alone and among others.

By default some of them, always the same, are examined in one way each. `ORACLE_TURNS=20` examines every one in
so many ways; `python -m tests.oracle.run` prints what it finds.
"""

import os
import zlib

import pytest

from tests.oracle.answers import examined
from tests.oracle.estimators import fitted, names

TURNS = int(os.environ.get("ORACLE_TURNS", "0"))
SHARE = 20


def chosen() -> list[str]:
    """All, or one in twenty."""
    return [name for name in names() if TURNS or zlib.crc32(name.encode()) % SHARE == 0]


@pytest.mark.parametrize("turn", range(TURNS or 1))
@pytest.mark.parametrize("name", chosen())
def test_a_served_estimator_answers_as_the_estimator(name: str, turn: int) -> None:
    made = fitted(name, turn)
    if made is None:
        pytest.skip("it takes none of the data")
    found = examined(made)
    assert not found, "\n".join([made.made, *(f"{finding.kind}: {finding.what[:500]}" for finding in found[:20])])
