"""Deliveries, as a queue makes them."""

import json
from typing import Any

import msgspec

from septet.queues.job import JobError, JobState, StoredReply
from septet.sinks.delivery import Delivery
from septet.types import Identity

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_" + "QUJD" * 11
JOB_ID = "0123456789abcdef0123456789abcdef"
DELIVERY_ID = "fedcba9876543210fedcba9876543210"
IRIS = Identity("iris", "3", "sha256:" + "a" * 64)
JSON_REPLY = StoredReply(200, b"application/json", b'{"predictions": [1, 2.50]}')
BINARY_REPLY = StoredReply(200, b"application/octet-stream", b"\x00\xff\x01")


def delivery(**changes: Any) -> Delivery:
    """The answer of a job that has succeeded, with some facts changed."""
    first = Delivery(
        id=DELIVERY_ID,
        attempt=1,
        job_id=JOB_ID,
        state=JobState.SUCCEEDED,
        submitted_at=1_700_000_000.25,
        ended_at=1_700_000_001.5,
        request_id="request-1",
        job=json.dumps({"job_id": JOB_ID, "state": "succeeded"}).encode(),
        model=IRIS,
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        reply=JSON_REPLY,
    )
    return msgspec.structs.replace(first, **changes)


def failed_delivery() -> Delivery:
    """The end of a job that failed before a model was asked."""
    error = JobError("model_failed", "The model failed.")
    return delivery(state=JobState.FAILED, reply=None, model=None, trace=None, error=error)
