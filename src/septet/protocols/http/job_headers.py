"""The request headers that say whether a request becomes a job, and how that is to be done."""

from typing import Final

from septet.protocols.http.http_messages import PREFER

IDEMPOTENCY_KEY: Final = b"idempotency-key"
KEY, PRIORITY, DIGEST, SINK = b"septet-job-key", b"septet-job-priority", b"septet-job-digest", b"septet-job-sink"
DELAY, BEGIN_WITHIN = b"septet-job-delay", b"septet-job-begin-within"
ATTEMPTS, MAX_AGE = b"septet-job-attempts", b"septet-job-max-age"
#: All of them.
JOB_HEADERS: Final = frozenset(
    (PREFER, IDEMPOTENCY_KEY, KEY, PRIORITY, DIGEST, SINK, DELAY, BEGIN_WITHIN, ATTEMPTS, MAX_AGE)
)
