"""A run over a table as an entity: what it was to do, how far it is, and how it ended."""

from enum import StrEnum

import msgspec


class RunStatus(StrEnum):
    """Where a run is; the last five are ends."""

    RUNNING = "running"
    #: All units are done, and what they wrote is put in its place.
    PUBLISHING = "publishing"
    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_ERRORS = "succeeded_with_errors"
    FAILED = "failed"
    ABORTED = "aborted"


#: A run in one of these is over; the last two go on when they are started again.
ENDS = frozenset((RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_ERRORS, RunStatus.FAILED, RunStatus.ABORTED))
DONE = frozenset((RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_ERRORS))


class UnitResult(msgspec.Struct, frozen=True):
    """What became of a unit.

    Attributes:
        index: the unit's.
        rows: how many were read; `bad_rows` of them are in the table of errors, the others have an answer.
        problems: lines of the table of errors.
        seconds: that it took.
        rows_by_file: of each file of the plan that it reads, how many were read of it.
    """

    index: int
    rows: int
    bad_rows: int
    problems: int
    seconds: float
    rows_by_file: dict[int, int] = {}


class BatchRun(msgspec.Struct, frozen=True):
    """A run as the ledger has it.

    Attributes:
        id: 32 hexadecimal digits.
        key: the same for the same work.
        trigger: `manual`, or the name of the job that began it.
        model, source, target: as they were given.
        status: where it is.
        started_at, ended_at, deadline: in seconds since 1970; None where it has not ended, or has none.
        units, units_done: how many there are, and are done.
        rows, bad_rows: read so far; `rows` is the sum of those with an answer and bad ones.
        error: why it failed, in words.
    """

    id: str
    key: str
    trigger: str
    model: str
    model_version: str
    model_digest: str
    source: str
    target: str
    status: RunStatus
    started_at: float
    ended_at: float | None = None
    deadline: float | None = None
    units: int = 0
    units_done: int = 0
    rows: int = 0
    bad_rows: int = 0
    error: str | None = None
