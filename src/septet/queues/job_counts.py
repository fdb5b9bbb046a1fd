"""What has happened to jobs since their store was made: sums that only grow, whatever is forgotten."""

from typing import Final

import msgspec

from septet.queues.job import ENDED, Job, JobState

#: How a job ends: the reason of one that failed, else its last state.
ENDINGS: Final = {
    "succeeded": JobState.SUCCEEDED,
    "permanent": JobState.FAILED,
    "attempts_exhausted": JobState.FAILED,
    "too_old": JobState.FAILED,
    "expired": JobState.EXPIRED,
    "cancelled": JobState.CANCELLED,
}


class JobCounts(msgspec.Struct):
    """Of one kind of jobs.

    Attributes:
        attempts: that were begun; those that were handed back, too.
        waited_seconds: from when a job was accepted, or was due if that was later, to the begin of each attempt.
        run_seconds: from the begin of each attempt to its end.
        ended: jobs by how they ended, one of `ENDINGS`.
    """

    attempts: int = 0
    waited_seconds: float = 0.0
    run_seconds: float = 0.0
    ended: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(ENDINGS, 0))

    def begun(self, submitted_at: float, due_at: float, now: float) -> None:
        """Count an attempt that begins; times are in seconds since 1970."""
        self.attempts += 1
        self.waited_seconds += max(0.0, now - max(submitted_at, due_at))

    def became(self, old: Job, job: Job, now: float) -> None:
        """Count what a step has made of a job, but for the begin of an attempt."""
        if old.state is JobState.RUNNING and job.state is not JobState.RUNNING and old.started_at is not None:
            self.run_seconds += max(0.0, now - old.started_at)
        if job.state in ENDED:
            self.ended[job.reason or job.state.value] += 1
