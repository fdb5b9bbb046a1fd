"""Accepts requests that are answered later: each is stored before its caller is told so."""

from collections.abc import Callable
from functools import partial
from time import perf_counter, time
from typing import Final

import msgspec

from septet.errors import SeptetError
from septet.jobs.job_document import JOB_PATH, RETRY_AFTER, ticket
from septet.jobs.store_thread import StoreThread
from septet.jobs.submission import JobDefaults, submitted
from septet.protocols.http.finished_events import finished_event
from septet.protocols.http.http_messages import PREFER, HttpReply, HttpRequest
from septet.protocols.http.predict_route import PredictRoute
from septet.protocols.http.prefer import preference
from septet.queues.job import NewJob
from septet.queues.job_store import Accepted
from septet.types import DONE_ALREADY, Identity, Pending

#: The end of paths that always answer later.
ASYNC_SUFFIX: Final = "/async"
#: RFC 7240, section 3.
_APPLIED: Final = (b"preference-applied", b"respond-async")

#: Writes the reply that says that a job is accepted, from its request, the job, and the id under which it is known.
WriteTicket = Callable[[HttpRequest, NewJob, str], HttpReply]


class JobSubmitter:
    """A `JobAcceptor` for one application; `durability` is the store's word for what survives."""

    def __init__(
        self,
        store: StoreThread,
        defaults: JobDefaults,
        sink: Callable[[str], str],
        write: WriteTicket,
        clock: Callable[[], float] = time,
    ) -> None:
        self._store = store
        self._defaults = defaults
        self._sink = sink
        self._write = write
        self._clock = clock

    def wanted(self, http: HttpRequest) -> bool:
        """Whether the caller prefers its answer later."""
        return preference(http.headers[PREFER]).asynchronous

    def accept(
        self, route: PredictRoute, model: Identity, http: HttpRequest, done: Callable[[HttpReply], None], begun: float
    ) -> Pending:
        """Store a request, then answer with its ticket."""
        submission = Submission(self, route, model, http, done, begun)
        try:
            path = http.path.removesuffix(ASYNC_SUFFIX)
            job = submitted(http, path, model, self._defaults, now=self._clock(), sink=self._sink)
        except SeptetError as error:
            submission.refuse(error)
            return DONE_ALREADY
        self._store.accept(job, partial(submission.accepted, job))
        return submission

    def reply(self, http: HttpRequest, job: NewJob, identifier: str) -> HttpReply:
        """The reply with the ticket of a job."""
        return self._write(http, job, identifier)


class Submission(msgspec.Struct, gc=False, eq=False):
    """A `Pending` whose request is on its way to the store; one that its caller gives up may be stored all the same."""

    submitter: JobSubmitter
    route: PredictRoute
    model: Identity
    http: HttpRequest
    done: Callable[[HttpReply], None] | None
    begun: float

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self.done is not None:
            self.done = None
            self.route.given_up(self.http, self.begun, None)

    def refuse(self, error: Exception) -> None:
        """Tell the caller why its request is not stored."""
        done, self.done = self.done, None
        if done is not None:
            done(self.route.refusal(error, self.http, self.begun, self.model))

    def accepted(self, job: NewJob, outcome: Accepted | Exception) -> None:
        """Tell the caller that its request is stored."""
        if isinstance(outcome, Exception):
            self.refuse(outcome)
            return
        done, self.done = self.done, None
        if done is None:
            return
        reply = self.submitter.reply(self.http, job, outcome.id)
        seconds = perf_counter() - self.begun
        self.route.observer.finished(finished_event(self.route.template, self.http, reply, seconds, self.model))
        done(reply)


def http_ticket(durability: str, http: HttpRequest, job: NewJob, identifier: str) -> HttpReply:
    """202 with the ticket as JSON, and where the job is found."""
    where = (http.root_path + JOB_PATH.format(identifier)).encode()
    applied = (_APPLIED,) if PREFER in http.headers else ()
    headers = ((b"location", where), (b"retry-after", RETRY_AFTER), *applied)
    return HttpReply(202, ticket(job, identifier, http.root_path, durability), job.request_id, headers=headers)
