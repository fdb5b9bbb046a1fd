"""From a request to a job: what is kept of it, and what its headers say of how it is to be done."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec

from septet.errors import Malformed
from septet.protocols.http.http_messages import HttpRequest, shown
from septet.protocols.http.job_headers import (
    ATTEMPTS,
    BEGIN_WITHIN,
    DELAY,
    DIGEST,
    IDEMPOTENCY_KEY,
    KEY,
    MAX_AGE,
    PRIORITY,
    SINK,
)
from septet.protocols.http.request_factory import checked_id, new_id
from septet.queues.job import HIGHEST_PRIORITY, LOWEST_PRIORITY, NewJob
from septet.types import Identity

#: Those of a request that reading it and writing its answer need. Nothing else is stored: others may hold secrets.
KEPT: Final = (
    b"accept",
    b"content-encoding",
    b"content-type",
    b"grpc-encoding",
    b"inference-header-content-length",
    b"septet-errors",
    b"traceparent",
)
LONGEST_KEY: Final = 128
MOST_ATTEMPTS: Final = 100
#: A year: no job is put off for longer.
LONGEST_SECONDS: Final = 31_536_000.0
_NUMBER = re.compile(rb"[0-9]{1,8}(\.[0-9]{1,6})?")
_PRIORITY = re.compile(rb"-?[0-9]")
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_T = TypeVar("_T")


class JobDefaults(msgspec.Struct, frozen=True):
    """What holds for a job whose request does not say otherwise; `max_age` is in seconds."""

    max_attempts: int = 3
    max_age: float = 300.0


def submitted(
    http: HttpRequest, path: str, model: Identity, defaults: JobDefaults, *, now: float, sink: Callable[[str], str]
) -> NewJob:
    """The job for a request that was found good; `path` is the one that answers it, `now` in seconds since 1970.

    `sink` checks where the answer is wanted, and raises SeptetError where it may not be brought there.

    Raises:
        Malformed: a header is not what it has to be.
    """
    headers = http.headers
    request_id = checked_id(headers)
    idempotency = _text(headers, IDEMPOTENCY_KEY)
    delay = _read(headers, DELAY, _seconds, f"seconds from 0 to {LONGEST_SECONDS:.0f}") or 0.0
    within = _read(headers, BEGIN_WITHIN, _seconds, f"seconds from 0 to {LONGEST_SECONDS:.0f}")
    attempts = _read(headers, ATTEMPTS, _attempts, f"a whole number from 1 to {MOST_ATTEMPTS}")
    max_age = _read(headers, MAX_AGE, _seconds, f"seconds from 0 to {LONGEST_SECONDS:.0f}")
    wanted = _text(headers, SINK, most=2048)
    kept = [(name, headers[name]) for name in KEPT if name in headers]
    return NewJob(
        id=new_id(),
        model=model.name,
        digest=_read(headers, DIGEST, _digest, "sha256: and 64 hexadecimal digits"),
        path=path,
        query=http.query,
        headers=(*kept, (b"x-request-id", request_id.encode())),
        body=http.body,
        caller=http.caller,
        # Its digest: the key is the caller's own, and may say more than a store should know.
        idempotency=None if idempotency is None else hashlib.sha256(idempotency.encode()).hexdigest(),
        key=_text(headers, KEY),
        priority=_read(headers, PRIORITY, _priority, f"{LOWEST_PRIORITY} to {HIGHEST_PRIORITY}") or 0,
        not_before=now + delay if delay else 0.0,
        begin_by=None if within is None else now + delay + within,
        max_attempts=defaults.max_attempts if attempts is None else attempts,
        max_age=defaults.max_age if max_age is None else max_age,
        sink=None if wanted is None else sink(wanted),
        request_id=request_id,
        trace=(http.known_context or http.context).trace,
        submitted_at=now,
    )


def _read(headers: Mapping[bytes, bytes], name: bytes, read: Callable[[bytes], _T | None], expected: str) -> _T | None:
    value = headers.get(name)
    if value is None:
        return None
    found = read(value)
    if found is None:
        raise Malformed(f"The header {name.decode()} is {shown(value)}; expected {expected}.")
    return found


def _seconds(value: bytes) -> float | None:
    seconds = float(value) if _NUMBER.fullmatch(value) else math.inf
    return seconds if seconds <= LONGEST_SECONDS else None


def _attempts(value: bytes) -> int | None:
    attempts = int(value) if value.isdigit() and len(value) <= len(str(MOST_ATTEMPTS)) else 0
    return attempts if 1 <= attempts <= MOST_ATTEMPTS else None


def _priority(value: bytes) -> int | None:
    return int(value) if _PRIORITY.fullmatch(value) else None


def _digest(value: bytes) -> str | None:
    return value.decode() if _DIGEST.fullmatch(value) else None


def _text(headers: Mapping[bytes, bytes], name: bytes, most: int = LONGEST_KEY) -> str | None:
    def read(value: bytes) -> str | None:
        visible = 1 <= len(value) <= most and min(value) > 0x20 and max(value) < 0x7F  # noqa: PLR2004
        return value.decode("ascii") if visible else None

    return _read(headers, name, read, f"1 to {most} visible ASCII characters without spaces")
