"""The routes by which callers ask for their jobs."""

from collections.abc import AsyncGenerator, Callable
from time import time
from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from septet.errors import Gone, Malformed, NotFound, SeptetError
from septet.jobs.job_document import RETRY_AFTER, document, job_list, served_models
from septet.jobs.job_waiters import Found, JobWaiters
from septet.jobs.store_thread import StoreThread
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.request_factory import checked_id
from septet.protocols.http.routes import Operation, answers
from septet.queues.job import ENDED, Job, JobState, StoredReply
from septet.queues.job_store import Forgotten, JobFilter, JobPage, JobStore

#: For how many seconds a caller may wait for the end of a job in one request.
LONGEST_WAIT: Final = 60.0
MOST_LISTED: Final = 100
#: For how many seconds an event is waited for.
EVENT_WAIT: Final = 25.0
_EVENTS: Final = b"text/event-stream"
#: Milliseconds after which to ask again where the connection was lost.
_RETRY: Final = b"retry: 500\n\n"
_NOT_KEPT: Final = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))
_OPENAPI = "septet.jobs.jobs_openapi"
_IDENTIFIER_LENGTH: Final = 32


class JobRoutes:
    """`/job/{id}` and `/jobs`, for the whole server. A caller with an API key sees the jobs of that key alone."""

    def __init__(self, store: StoreThread, waiters: JobWaiters, clock: Callable[[], float] = time) -> None:
        self._store = store
        self._waiters = waiters
        self._clock = clock

    @answers("GET", "/job/{job_id}", operation=Operation("job", "Read a job, and its answer", "jobs", _OPENAPI))
    async def job(self, http: HttpRequest) -> HttpReply:
        """`GET /job/{job_id}`: what is known of a job, with `?wait=` once it has ended."""
        asked = _query(http, {"wait", "shape"})
        job, reply = await self._found(http, _seconds(asked.get("wait")))
        request_id = checked_id(http.headers)
        if asked.get("shape", "full") == "classic":
            body = msgspec.json.encode({job.id: {"prediction": _classic(job, reply)}})
        elif asked.get("shape", "full") == "full":
            body = await self._document(http.root_path, job, reply)
        else:
            raise Malformed("The parameter shape must be full or classic.")
        later = () if job.state in ENDED else ((b"retry-after", RETRY_AFTER),)
        return HttpReply(200, body, request_id, headers=later)

    @answers(
        "GET", "/job/{job_id}/answer", operation=Operation("job_answer", "Read the answer of a job", "jobs", _OPENAPI)
    )
    async def answer(self, http: HttpRequest) -> HttpReply:
        """`GET /job/{job_id}/answer`: the reply that the request would have had at once; 202 before it is there."""
        job, reply = await self._found(http, _seconds(_query(http, {"wait"}).get("wait")))
        if reply is not None:
            return HttpReply(
                reply.status,
                reply.body,
                job.request_id,
                reply.media_type,
                reply.headers,
                model=job.answered_by,
                flags=reply.flags,
            )
        if job.state in ENDED:
            raise Gone(f"The job {job.id} is {job.state} and has no answer; GET /job/{job.id} says more.")
        body = await self._document(http.root_path, job, None)
        return HttpReply(202, body, checked_id(http.headers), headers=((b"retry-after", RETRY_AFTER),))

    @answers("GET", "/job/{job_id}/events", operation=Operation("job_events", "Follow a job", "jobs", _OPENAPI))
    async def events(self, http: HttpRequest) -> HttpReply:
        """`GET /job/{job_id}/events`: its state and each change of it, as server-sent events, until it has ended.

        A browser's `EventSource` asks again with the id of the last event. It stops at any other status than 200 (HTML,
        9.2): at 410 the job has ended, and the caller knows it.
        """
        known = http.headers.get(b"last-event-id", b"").decode("latin-1")
        job, _ = await self._found(http, 0.0)
        if job.state in ENDED and known == _event_id(job):
            raise Gone(f"The job {job.id} has ended, and this was its last event.")
        events = self._events(job, known, http.root_path)
        return HttpReply(200, _RETRY, checked_id(http.headers), _EVENTS, _NOT_KEPT, pieces=events)

    async def _events(self, job: Job, known: str, root_path: str) -> AsyncGenerator[bytes, None]:
        """Whatever happens to a job from what its caller knows on; where the server stops, another one is asked."""
        while True:
            if known != _event_id(job):
                known = _event_id(job)
                reply = await self._store.run(lambda store, job=job: _reply(store, job)) if job.state in ENDED else None  # type: ignore[misc]
                lines = (
                    f"id: {known}\nevent: {job.state}\ndata: ".encode(),
                    await self._document(root_path, job, reply),
                )
                yield b"%b\n\n" % b"".join(lines)
            if job.state in ENDED:
                return
            found = await self._waiters.until(job.id, EVENT_WAIT, lambda each, known=known: _event_id(each) != known)  # type: ignore[misc]
            if self._waiters.closed or not isinstance(found, Job):
                return
            if _event_id(found) == known:
                # A comment keeps whoever stands between from giving up, and finds a caller that has gone.
                yield b": waiting\n\n"
            job = found

    @answers("DELETE", "/job/{job_id}", operation=Operation("cancel_job", "Cancel a job", "jobs", _OPENAPI))
    async def cancel(self, http: HttpRequest) -> HttpReply:
        """`DELETE /job/{job_id}`: end a job that waits, or ask for the end of one that runs."""
        await self._found(http, 0.0)
        identifier, now = http.parameters["job_id"], self._clock()
        job = await self._store.run(lambda store: store.cancel(identifier, now), changes=True)
        if job is None:
            raise _unknown(identifier)
        # Whoever asks again gets the same: to cancel what has ended is no error.
        status = 202 if job.state is JobState.RUNNING else 200
        return HttpReply(status, await self._document(http.root_path, job, None), checked_id(http.headers))

    @answers("GET", "/jobs", operation=Operation("jobs", "List jobs", "jobs", _OPENAPI))
    async def jobs(self, http: HttpRequest) -> HttpReply:
        """`GET /jobs`: jobs in pages, the latest first; those of `?state=failed` are the dead letters."""
        asked = _query(http, {"state", "model", "limit", "before"})
        wanted = JobFilter(_state(asked.get("state")), asked.get("model"), http.caller)
        most, before = _count(asked, "limit", 1, MOST_LISTED), _count(asked, "before", 0, 1 << 62)
        page, served = await self._store.run(lambda store: _page(store, wanted, before, most or MOST_LISTED))
        following = None
        if page.before is not None:
            following = f"{http.root_path}/jobs?" + urlencode({**asked, "before": page.before})
        return HttpReply(200, job_list(page.jobs, http.root_path, following, served), checked_id(http.headers))

    async def _document(self, root_path: str, job: Job, reply: StoredReply | None) -> bytes:
        """What is shown of a job; of one that waits, whether any worker could answer it."""
        waits = job.state is JobState.QUEUED
        served = served_models(await self._store.run(lambda store: store.workers())) if waits else None
        return document(job, reply, root_path, served)

    async def _found(self, http: HttpRequest, wait: float) -> tuple[Job, StoredReply | None]:
        """The job of a path with its reply.

        Raises:
            Malformed: the id is none.
            NotFound: it is unknown, or another caller's.
            Gone: it is over and no longer kept.
        """
        identifier = http.parameters["job_id"]
        if len(identifier) != _IDENTIFIER_LENGTH or set(identifier) - set("0123456789abcdef"):
            raise Malformed(f"The id of a job has {_IDENTIFIER_LENGTH} hexadecimal digits, not {identifier[:80]!r}.")
        found = await self._waiters.ended(identifier, 0.0)
        job = _owned(found, identifier, http.caller)
        if wait and job.state not in ENDED:
            job = _owned(await self._waiters.ended(identifier, wait), identifier, http.caller)
        if job.state not in ENDED:
            return job, None
        return job, await self._store.run(lambda store: _reply(store, job))


def _reply(store: JobStore, job: Job) -> StoredReply | None:
    return store.reply(job.id) if job.state in (JobState.SUCCEEDED, JobState.FAILED) else None


def _page(store: JobStore, wanted: JobFilter, before: int | None, most: int) -> tuple[JobPage, frozenset[str]]:
    return store.page(wanted, before, most), served_models(store.workers())


def _event_id(job: Job) -> str:
    """What differs after each change of a job that its caller is told of."""
    return f"{job.state}-{job.attempts}-{job.progress}-{job.cancelling:d}"


def _owned(found: Found, identifier: str, caller: str | None) -> Job:
    if isinstance(found, Forgotten):
        raise Gone(f"The job {identifier} is over, and its answer is no longer kept.")
    if found is None or (caller is not None and found.caller != caller):
        raise _unknown(identifier)
    return found


def _unknown(identifier: str) -> SeptetError:
    return NotFound(f"There is no job {identifier!r} here.")


def _classic(job: Job, reply: StoredReply | None) -> msgspec.Raw | str | None:
    """The answer alone; an empty text before it is there, as the classic shape has it, and null where it failed."""
    if job.state not in ENDED:
        return ""
    return msgspec.Raw(reply.body) if reply is not None and job.state is JobState.SUCCEEDED else None


def _query(http: HttpRequest, known: set[str]) -> dict[str, str]:
    try:
        found = dict(parse_qsl(http.query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(http.query)))
    except (ValueError, UnicodeDecodeError):
        raise Malformed("The query of the path cannot be read.") from None
    if strange := sorted(found.keys() - known):
        raise Malformed(f"There is no parameter {strange[0][:80]!r} here; known: {', '.join(sorted(known))}.")
    return found


def _seconds(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= LONGEST_WAIT:
        raise Malformed(f"The parameter wait is {text[:40]!r}; expected seconds from 0 to {LONGEST_WAIT:g}.")
    return seconds


def _count(asked: dict[str, str], name: str, least: int, most: int) -> int | None:
    text = asked.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):  # noqa: PLR2004
        raise Malformed(f"The parameter {name} is {text[:40]!r}; expected a whole number from {least} to {most}.")
    return int(text)


def _state(text: str | None) -> JobState | None:
    if text is None:
        return None
    try:
        return JobState(text)
    except ValueError:
        raise Malformed(f"The parameter state must be one of {', '.join(JobState)}.") from None
