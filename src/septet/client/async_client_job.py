"""A job on a server, as `septet.AsyncClient` has it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from septet.client.job_flow import ENDED, JobFlow, JobWait, SubmittedRequest
from septet.remote.remote_errors import job_failure


class AsyncClientJob:
    """A job on a server. What it takes and gives, and its errors, are those of `ClientJob`.

    Attributes:
        id: 32 hexadecimal digits, by which `AsyncClient.job` finds it again.
    """

    def __init__(
        self,
        job_id: str,
        flow: JobFlow,
        run: Callable[..., Awaitable[Any]],
        submitted: SubmittedRequest | None = None,
    ) -> None:
        self.id = job_id
        self._flow = flow
        self._run = run
        self._submitted = submitted

    async def document(self) -> dict[str, Any]:
        """What is known of it now."""
        job: dict[str, Any] = await self._run(self._flow.read(self.id, 0.0))
        return job

    async def wait(self, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109 - as for threads
        """What is known of it once it has ended."""
        wait = JobWait(timeout)
        while True:
            seconds = wait.seconds()
            job: dict[str, Any] = await self._run(self._flow.read(self.id, seconds), wait=seconds)
            if job["state"] in ENDED:
                return job
            await asyncio.sleep(wait.pause(job))

    async def answer(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - as for threads
        """What `AsyncClient.predict` would have given for the same data, once it is there."""
        job = await self.wait(timeout)
        if job["state"] != "succeeded":
            raise job_failure(job)
        return await self._run(self._flow.answer(job, self._submitted))

    async def cancel(self) -> dict[str, Any]:
        """End it, or ask for its end where it runs."""
        job: dict[str, Any] = await self._run(self._flow.cancel(self.id))
        return job
