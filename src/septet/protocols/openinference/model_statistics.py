"""The body of `/stats` (the extension `statistics`), from the counters of `septet.monitoring`."""

from typing import Any

import msgspec

from septet.types import Identity

NANOSECONDS = 1_000_000_000
_NEVER = {"count": 0, "ns": 0}


class Statistics(msgspec.Struct, frozen=True):
    """Sums since the server began, over all its processes; every duration is in seconds.

    Attributes:
        succeeded, failed: predictions that were answered, and those that were refused or failed.
        rows: rows of those that succeeded.
        runs: runs of the model; one run may serve several requests.
        succeeded_seconds, failed_seconds: their whole time, from the complete request to the complete answer.
        decode_seconds, queue_seconds, run_seconds, encode_seconds: of those that succeeded: reading the request,
            waiting for the model, running it, and writing the answer. A shared run counts for each request in it.
        last: when the last prediction was answered, in seconds since 1970; 0.0 where there was none.
    """

    succeeded: int = 0
    failed: int = 0
    rows: int = 0
    runs: int = 0
    succeeded_seconds: float = 0.0
    failed_seconds: float = 0.0
    decode_seconds: float = 0.0
    queue_seconds: float = 0.0
    run_seconds: float = 0.0
    encode_seconds: float = 0.0
    last: float = 0.0


def model_statistics(identity: Identity, numbers: Statistics) -> dict[str, Any]:
    """The entry of a model in `model_stats`, with the keys that Triton has.

    The sizes of runs are not counted apart in it: `batch_stats` is empty.
    """
    count = numbers.succeeded
    return {
        "name": identity.name,
        "version": identity.version,
        "last_inference": round(numbers.last * 1000),
        "inference_count": numbers.rows,
        "execution_count": numbers.runs,
        "inference_stats": {
            "success": _duration(count, numbers.succeeded_seconds),
            "fail": _duration(numbers.failed, numbers.failed_seconds),
            "queue": _duration(count, numbers.queue_seconds),
            "compute_input": _duration(count, numbers.decode_seconds),
            "compute_infer": _duration(count, numbers.run_seconds),
            "compute_output": _duration(count, numbers.encode_seconds),
            "cache_hit": _NEVER,
            "cache_miss": _NEVER,
        },
        "batch_stats": [],
    }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": round(seconds * NANOSECONDS)}
