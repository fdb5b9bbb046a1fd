"""When an answer that did not arrive is brought once more."""

import random
from typing import Final

#: Twelve attempts lie within a day: the first pause is of a few seconds, the last one of some hours.
_FIRST_SECONDS, _GROWTH, _LONGEST_SECONDS = 5.0, 2.5, 36_000.0
_MOST_STEPS: Final = 32


def delivery_delay(attempt: int, retry_after: float | None = None, chance: random.Random | None = None) -> float:
    """Seconds to wait after this attempt, a part of them random; at least as many as the sink asks for."""
    longest = min(_LONGEST_SECONDS, _FIRST_SECONDS * _GROWTH ** min(attempt - 1, _MOST_STEPS))
    return max(retry_after or 0.0, (chance or random).uniform(longest / 2, longest))
