"""What was sent as jobs and acknowledged, and how that is compared with what a store and a server say of it."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from septet.queues.job import Job, StoredReply
from septet.queues.job_store import JobFilter, JobStore
from septet.queues.store_address import StoreAddress, open_store
from tests.e2e.process import ServerProcess
from tests.faults.job_servers import ENDED, serving
from tests.waiting import until

_PATH = "/predict/async"


@dataclass
class Trial:
    """What became of one kind of fault.

    Attributes:
        name, store: which fault, and which kind of store it befell.
        figures: what happened, by what.
        broken: each promise that was not kept, in a sentence.
    """

    name: str
    store: str
    figures: dict[str, float] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def check(self, what: str, found: object, expected: object) -> None:
        """Note a figure that is not as promised."""
        if found != expected:
            self.broken.append(f"{what}: {found}, expected {expected}")


class JobLedger:
    """Jobs that were acknowledged by the server of one store, each with another row."""

    def __init__(self, url: str) -> None:
        self.url = url
        #: The bodies, by the ids of their jobs.
        self.sent: dict[str, bytes] = {}

    def submit(self, server: ServerProcess, first: float, seconds: float) -> str:
        """Send a row that begins with these, and note it once it is acknowledged; the id of its job."""
        body = json.dumps({"data": [[first, seconds, 1.4, len(self.sent) / 1000]]}).encode()
        answer = server.client.post(_PATH, content=body, headers=_headers(body))
        answer.raise_for_status()
        identifier = str(answer.json()["job_id"])
        self.sent[identifier] = body
        return identifier

    def ended(self, seconds: float) -> None:
        """Wait until all of them have ended."""
        until(lambda: not self.left(), seconds)

    def left(self) -> int:
        """How many of them have not ended."""
        with _opened(self.url) as store:
            jobs = store.find(list(self.sent))
        return sum(isinstance(job, Job) and job.state not in ENDED for job in jobs)

    def compare(self, trial: Trial) -> None:
        """Count states and results, and compare each body and each answer with what it has to be."""
        with _opened(self.url) as store:
            found = store.find(list(self.sent))
            jobs = [job for job in found if isinstance(job, Job)]
            bodies, replies = [store.body(job.id) for job in jobs], [store.reply(job.id) for job in jobs]
            counted = store.stats(0.0).counts["predict"].ended
            stored = len(store.page(JobFilter(), None, 10 * len(self.sent)).jobs)
        states = Counter(job.state.value for job in jobs)
        trial.figures |= {"acknowledged": len(self.sent), **states, "attempts": sum(job.attempts for job in jobs)}
        trial.check("jobs in the store", stored, len(self.sent))
        trial.check("jobs that have ended", sum(states[each] for each in ENDED), len(self.sent))
        trial.check("ends that were counted", sum(counted.values()), len(self.sent))
        good = [each for each in replies if each is not None and each.status == httpx.codes.OK]
        trial.check("answers in the store", len(good), states["succeeded"])
        same = [
            body is not None and _digest(body.body) == _digest(self.sent[job.id])
            for job, body in zip(jobs, bodies, strict=True)
        ]
        trial.check("bodies with the digest of what was sent", sum(same), len(self.sent))
        self._compare_answers(trial, dict(zip((job.id for job in jobs), replies, strict=True)))

    def _compare_answers(self, trial: Trial, replies: dict[str, StoredReply | None]) -> None:
        """Ask for each answer at once, by a server that does no job, and compare the bytes of both."""
        same = asked = 0
        with (
            tempfile.TemporaryDirectory() as folder,
            serving(self.url, Path(folder) / "log", "--job-workers", "0") as server,
        ):
            for identifier, reply in replies.items():
                if reply is None or reply.status != httpx.codes.OK:
                    continue
                body = self.sent[identifier]
                at_once = server.client.post("/predict", content=body, headers=_headers(body))
                later = server.client.get(f"/job/{identifier}/answer")
                asked += 1
                same += _digest(at_once.content) == _digest(later.content) == _digest(reply.body)
        trial.check("answers with the digest of those given at once", same, asked)
        trial.figures["answers compared"] = asked


def _headers(body: bytes) -> dict[str, str]:
    # The id of a request is in its answer.
    return {"content-type": "application/json", "x-request-id": _digest(body)[:32]}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def _opened(url: str) -> Iterator[JobStore]:
    """The store, for one look."""
    store = open_store(StoreAddress(url))
    try:
        yield store
    finally:
        store.close()
