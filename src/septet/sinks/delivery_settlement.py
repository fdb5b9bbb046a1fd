"""What a queue is told of an attempt to bring an answer, and when the next one is due."""

import random
from typing import Final, Literal

from septet.queues.job import JobError, Settlement
from septet.sinks.delivery import Delivery, DeliveryFailed, DeliveryRefused
from septet.sinks.open_sinks import OpenSinks, shown_sink

#: Twelve attempts lie within a day: the first pause is of a few seconds, the last one of some hours.
_FIRST_SECONDS, _GROWTH, _LONGEST_SECONDS = 5.0, 2.5, 36_000.0
#: The codes of a delivery that failed.
REFUSED: Final = "delivery_refused"
FAILED: Final = "delivery_failed"


def attempted(sinks: OpenSinks, kept: str, delivery: Delivery) -> Settlement:
    """Bring an answer to what its job keeps as its sink; how that ended. Blocks, and raises nothing."""
    try:
        sinks.deliver(kept, delivery)
    except DeliveryRefused as refusal:
        return _settlement(delivery, "failed", JobError(REFUSED, str(refusal)))
    except DeliveryFailed as failure:
        delay = delivery_delay(delivery.attempt, failure.retry_after)
        return _settlement(delivery, "retry", JobError(FAILED, str(failure)), delay)
    except Exception as unforeseen:  # noqa: BLE001 - a worker goes on
        # The text of an error that nobody foresaw may hold a secret of the sink's.
        error = JobError(FAILED, f"{shown_sink(kept)} cannot be delivered to: {type(unforeseen).__name__}.")
        return _settlement(delivery, "retry", error, delivery_delay(delivery.attempt))
    return Settlement(id=delivery.id, attempt=delivery.attempt, outcome="succeeded")


def _settlement(
    delivery: Delivery, outcome: Literal["failed", "retry"], error: JobError, delay: float = 0.0
) -> Settlement:
    return Settlement(id=delivery.id, attempt=delivery.attempt, outcome=outcome, error=error, delay=delay)


def delivery_delay(attempt: int, retry_after: float | None = None, chance: random.Random | None = None) -> float:
    """Seconds to wait after this attempt, a part of them random; at least as many as the sink asks for."""
    longest = min(_LONGEST_SECONDS, _FIRST_SECONDS * _GROWTH ** min(attempt - 1, 32))
    return max(retry_after or 0.0, (chance or random).uniform(longest / 2, longest))
