"""What one load showed, request by request, before it is summed up.

Every time is kept (24 bytes a request), so percentiles are exact and recordings of several processes join without loss.
"""

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from septet.types import Array

LONGEST_EXAMPLE = 300
WRONG_ANSWER = "wrong answer"


class Recording(msgspec.Struct, frozen=True, eq=False):
    """What was recorded after the warm-up; times in seconds.

    Attributes:
        answered: right answers.
        response: from when a request was due to its answer (closed loop: from when it was sent). Of a request that
            was given up, the time until then: its true time is longer, and leaving it out would flatter the server.
        service: from when a request was sent to its answer, given up likewise.
        refused: from when a request was sent to its refusal (status 429 or 503).
        lag: of an open loop, how late the generator itself was for each request.
        errors: how many requests failed, by kind, such as `status 503`.
        examples: the message of the first of each kind.
        elapsed: from the first moment to the last answer, at least the load's duration.
        cpu_share: the part of a core that the generator was busy with, of its busiest process.
    """

    answered: int
    response: Array
    service: Array
    refused: Array
    lag: Array
    errors: Mapping[str, int]
    examples: Mapping[str, str]
    elapsed: float
    cpu_share: float


class Recorder:
    """Collects while a load runs."""

    def __init__(self) -> None:
        self.answered = 0
        self.response = array("d")
        self.service = array("d")
        self.refused = array("d")
        self.lag = array("d")
        self.errors: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def fail(self, kind: str, example: str) -> None:
        """Count an error."""
        self.errors[kind] += 1
        if kind not in self._examples:
            self._examples[kind] = example[:LONGEST_EXAMPLE]

    def give_up(self, kind: str, example: str, response: float, service: float | None) -> None:
        """Count an error that the caller waited for in vain; `service` is None where nothing was sent."""
        self.fail(kind, example)
        self.response.append(response)
        if service is not None:
            self.service.append(service)

    def recording(self, elapsed: float, cpu_share: float) -> Recording:
        """Return what was collected."""
        return Recording(
            answered=self.answered,
            response=np.array(self.response),
            service=np.array(self.service),
            refused=np.array(self.refused),
            lag=np.array(self.lag),
            errors=dict(self.errors),
            examples=self._examples,
            elapsed=elapsed,
            cpu_share=cpu_share,
        )


def joined(recordings: Sequence[Recording]) -> Recording:
    """Join what several processes recorded at the same time."""
    errors: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for each in recordings:
        errors.update(each.errors)
        examples = {**each.examples, **examples}
    return Recording(
        answered=sum(each.answered for each in recordings),
        response=np.concatenate([each.response for each in recordings]),
        service=np.concatenate([each.service for each in recordings]),
        refused=np.concatenate([each.refused for each in recordings]),
        lag=np.concatenate([each.lag for each in recordings]),
        errors=dict(errors),
        examples=examples,
        elapsed=max(each.elapsed for each in recordings),
        cpu_share=max(each.cpu_share for each in recordings),
    )
