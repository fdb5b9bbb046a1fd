"""How many cases the generators make: few by default, `TEST_EXAMPLES=10` makes ten times as many."""

import os


def examples(count: int) -> int:
    """So many cases, times the factor of the environment."""
    return count * int(os.environ.get("TEST_EXAMPLES", "1"))
