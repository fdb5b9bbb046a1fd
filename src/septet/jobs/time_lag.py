"""An answer at once from the model that is asked, and a ticket for that of a slower one.

The caller prefers `septet-later=MODEL`. The request is read as the slower model reads it, and stored for that one,
before the model that is asked runs: an answer with a ticket always has a job.
"""

import asyncio
from collections.abc import Callable

import msgspec

from septet.errors import NotFound
from septet.jobs.job_document import JOB_PATH
from septet.lengthy_work import LengthyWork
from septet.protocols.http.content_encoding import CODING, expanded
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.predict_route import PredictRoute, ReadyRequest
from septet.protocols.http.prefer import LATER
from septet.queues.job import NewJob
from septet.queues.job_store import Accepted
from septet.types import DONE_ALREADY, Identity, Pending

#: Makes the job for a request, its path and its model, and stores it.
Submit = Callable[[HttpRequest, str, Identity, Callable[[NewJob, Accepted | Exception], None]], None]


def slower_path(path: str, model: str, later: str) -> str:
    """The path at which another model answers what this path answers.

    Raises:
        NotFound: the path does not name the model that is asked.
    """
    named = f"/models/{model}"
    at = path.find(named)
    end = at + len(named)
    if at < 0 or path[end : end + 1] not in ("/", ":"):
        raise NotFound(f"Ask at a path that names the model, such as {named}/predict, for a later answer of another.")
    return f"{path[:at]}/models/{later}{path[end:]}"


class TimeLag:
    """One such request, as a `Pending`; `find` gives the route of a path, `submit` stores a job."""

    def __init__(
        self,
        ready: ReadyRequest,
        later: str,
        done: Callable[[HttpReply], None],
        find: Callable[[str], PredictRoute | None],
        submit: Submit,
    ) -> None:
        self._ready = ready
        self._later = later
        self._done: Callable[[HttpReply], None] | None = done
        self._find = find
        self._submit = submit
        self._pending: Pending = DONE_ALREADY
        # The model is not closed before it is asked.
        ready.model.begin()
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(lambda _: ready.model.end())

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        if self._done is None:
            return
        self._done = None
        self._task.cancel()
        if self._pending is DONE_ALREADY:
            self._ready.route.given_up(self._ready.http, self._ready.begun, None)
        else:
            self._pending.cancel()

    async def _run(self) -> None:
        ready = self._ready
        try:
            path, model = await self._read_by_slower()
            accepted: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()

            def stored(_: NewJob, outcome: Accepted | Exception) -> None:
                if accepted.done():
                    return  # the caller went away
                if isinstance(outcome, Exception):
                    accepted.set_exception(outcome)
                else:
                    accepted.set_result(outcome)

            self._submit(ready.http, path, model, stored)
            identifier = (await accepted).id
        except Exception as error:  # noqa: BLE001 - every failure becomes an error body
            done, self._done = self._done, None
            if done is not None:
                done(ready.route.refusal(error, ready.http, ready.begun, ready.model.service.identity))
            return
        if self._done is not None:
            self._pending = ready.submit(lambda reply: self._answer(reply, identifier))

    async def _read_by_slower(self) -> tuple[str, Identity]:
        """The path and the identity of the slower model, which has read the request.

        Raises:
            SeptetError: there is none, or the request is wrong for it.
        """
        ready, http = self._ready, self._ready.http
        path = slower_path(http.path, ready.model.service.identity.name, self._later)
        route = self._find(path)
        if route is None:
            raise NotFound(f"There is no model {self._later[:80]!r} here that could answer later.")
        again = msgspec.structs.replace(http, path=path)

        def read() -> Identity:
            whole = expanded(again, route.limits.max_body_bytes) if CODING in again.headers else again
            return route.decode(whole)[0].service.identity

        try:
            return path, read()
        except LengthyWork:
            identity: Identity = await route.work_thread.run(read, len(http.body))
            return path, identity

    def _answer(self, reply: HttpReply, identifier: str) -> None:
        done, self._done = self._done, None
        if done is not None:
            where = (self._ready.http.root_path + JOB_PATH.format(identifier)).encode()
            applied = LATER + b"=" + self._later.encode("latin-1")
            more = ((b"location", where), (b"septet-job", identifier.encode()), (b"preference-applied", applied))
            done(msgspec.structs.replace(reply, headers=(*reply.headers, *more)))
