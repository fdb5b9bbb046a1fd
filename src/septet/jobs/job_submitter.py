"""Accepts requests that are answered later: each is stored before its caller is told so."""

from collections.abc import Callable
from time import perf_counter, time
from typing import Final

import msgspec

from septet.errors import SeptetError
from septet.jobs.job_document import JOB_PATH, RETRY_AFTER, ticket
from septet.jobs.job_log import JobLog
from septet.jobs.store_thread import StoreThread
from septet.jobs.submission import JobDefaults, submitted
from septet.jobs.time_lag import TimeLag
from septet.protocols.http.finished_events import finished_event
from septet.protocols.http.http_messages import PREFER, HttpReply, HttpRequest
from septet.protocols.http.predict_route import PredictRoute, ReadyRequest
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


def _nowhere(_: str) -> PredictRoute | None:
    return None


class JobSubmitter:
    """A `JobAcceptor` for one application; `durability` is the store's word for what survives."""

    def __init__(
        self,
        store: StoreThread,
        defaults: JobDefaults,
        sink: Callable[[str], str],
        write: WriteTicket,
        find: Callable[[str], PredictRoute | None] = _nowhere,
        log: JobLog | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._store = store
        self._defaults = defaults
        self._sink = sink
        self._write = write
        self._find = find
        self._log = JobLog(access=False) if log is None else log
        self._clock = clock

    def wanted(self, http: HttpRequest) -> bool:
        """Whether the caller prefers its answer, or another model's, later."""
        preferred = preference(http.headers[PREFER])
        return preferred.asynchronous or preferred.later is not None

    def accept(self, ready: ReadyRequest, done: Callable[[HttpReply], None]) -> Pending:
        """Store a request, then answer with its ticket; or with the answer, where a slower model's comes later."""
        http, model = ready.http, ready.model.service.identity
        submission = Submission(self, ready, done)
        try:
            preferred = preference(http.headers.get(PREFER, b""))
            if not preferred.asynchronous and not ready.route.deferred and preferred.later is not None:
                return TimeLag(ready, preferred.later, done, self._find, self.submit)
            self.submit(http, http.path.removesuffix(ASYNC_SUFFIX), model, submission.accepted)
        except SeptetError as error:
            submission.refuse(error)
            return DONE_ALREADY
        return submission

    def submit(
        self,
        http: HttpRequest,
        path: str,
        model: Identity,
        accepted: Callable[[NewJob, Accepted | Exception], None],
    ) -> None:
        """Store a job for a request that was found good.

        Raises:
            SeptetError: a header of it is wrong.
        """
        job = submitted(http, path, model, self._defaults, now=self._clock(), sink=self._sink)

        def stored(outcome: Accepted | Exception) -> None:
            if isinstance(outcome, Accepted):
                self._log.accepted(job, outcome.id)
            accepted(job, outcome)

        self._store.accept(job, stored)

    def reply(self, http: HttpRequest, job: NewJob, identifier: str) -> HttpReply:
        """The reply with the ticket of a job."""
        return self._write(http, job, identifier)


class Submission(msgspec.Struct, gc=False, eq=False):
    """A `Pending` whose request is on its way to the store; one that its caller gives up may be stored all the same."""

    submitter: JobSubmitter
    ready: ReadyRequest
    done: Callable[[HttpReply], None] | None

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self.done is not None:
            self.done = None
            self.ready.route.given_up(self.ready.http, self.ready.begun, None)

    def refuse(self, error: Exception) -> None:
        """Tell the caller why its request is not stored."""
        done, self.done = self.done, None
        if done is not None:
            ready = self.ready
            done(ready.route.refusal(error, ready.http, ready.begun, ready.model.service.identity))

    def accepted(self, job: NewJob, outcome: Accepted | Exception) -> None:
        """Tell the caller that its request is stored."""
        if isinstance(outcome, Exception):
            self.refuse(outcome)
            return
        done, self.done = self.done, None
        if done is None:
            return
        ready = self.ready
        reply, seconds = self.submitter.reply(ready.http, job, outcome.id), perf_counter() - ready.begun
        event = finished_event(ready.route.template, ready.http, reply, seconds, ready.model.service.identity)
        ready.route.observer.finished(event)
        done(reply)


def http_ticket(durability: str, http: HttpRequest, job: NewJob, identifier: str) -> HttpReply:
    """202 with the ticket as JSON, and where the job is found."""
    where = (http.root_path + JOB_PATH.format(identifier)).encode()
    applied = (_APPLIED,) if PREFER in http.headers else ()
    headers = ((b"location", where), (b"retry-after", RETRY_AFTER), *applied)
    return HttpReply(202, ticket(job, identifier, http.root_path, durability), job.request_id, headers=headers)
