"""Lines of the log about jobs, where requests are logged: one for each event, with nothing that a caller sent."""

import logging
from collections.abc import Sequence
from time import time

import msgspec

from septet.monitoring.log import TRACEPARENT, Entry
from septet.queues.job import ENDED, LeasedJob, NewJob, Settlement
from septet.queues.job_store import StoreLimits
from septet.queues.job_transitions import accepted, begun, settled

logger = logging.getLogger("septet.jobs")


class JobLog:
    """Logs what happens to jobs, with `access`; `worker` is whose events they are, where they are a worker's."""

    def __init__(self, *, access: bool, worker: str | None = None) -> None:
        self._access = access
        self._worker = worker

    def accepted(self, job: NewJob, identifier: str) -> None:
        """A job is stored, or was before, under this id."""
        self._log("job accepted", job, {"job": identifier})

    def begun(self, leased: LeasedJob, now: float) -> None:
        """An attempt begins, at a time in seconds since 1970."""
        self._log(
            "job begun", leased.job, {"job": leased.job.id, "attempt": leased.attempt, "waited": _waited(leased, now)}
        )

    def settled(self, leased: LeasedJob, settlement: Settlement, begun_at: float) -> None:
        """An attempt that began then is over, and its end is stored."""
        if not self._access:
            return
        # What the store has made of it, by the same rules.
        new, now = leased.job, time()
        before = {"attempts": leased.attempt - 1, "first_started_at": leased.first_started_at}
        job = begun(msgspec.structs.replace(accepted(new, 0), **before), "", begun_at)
        job = settled(job, settlement, now, StoreLimits())
        event = {"returned": "job returned", "retry": "job retried"}.get(settlement.outcome, "job ended")
        if job.state in ENDED:
            event = "job delivered" if (job.kind, settlement.outcome) == ("deliver", "succeeded") else "job ended"
        facts = {
            "job": new.id,
            "attempt": leased.attempt,
            "state": job.state.value,
            "reason": job.reason,
            "code": None if settlement.error is None else settlement.error.code,
            "waited": _waited(leased, begun_at),
            "seconds": round(max(0.0, now - begun_at), 6),
        }
        self._log(event, new, {name: value for name, value in facts.items() if value is not None})

    def returned(self, leased: Sequence[LeasedJob]) -> None:
        """Jobs are given back as they were."""
        for each in leased:
            self._log("job returned", each.job, {"job": each.job.id, "attempt": each.attempt})

    def lost(self, leased: Sequence[LeasedJob]) -> None:
        """What became of attempts is not taken: others may have the jobs."""
        for each in leased:
            self._log("job lost", each.job, {"job": each.job.id, "attempt": each.attempt})

    def _log(self, event: str, job: NewJob, facts: dict[str, object]) -> None:
        if not self._access:
            return
        fields = {"id": job.request_id, **facts, "model": job.model}
        if job.about is not None:
            fields["about"] = job.about
        if self._worker is not None:
            fields["worker"] = self._worker
        if job.trace is not None and TRACEPARENT.fullmatch(job.trace):
            fields["trace"] = job.trace
        logger.info(Entry(event, fields))


def _waited(leased: LeasedJob, now: float) -> float:
    """Seconds since it was accepted, or was first due."""
    return round(max(0.0, now - max(leased.job.submitted_at, leased.job.not_before)), 6)
