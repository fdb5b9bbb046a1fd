"""A job on a server, as `septet.Client` has it."""

import time
from collections.abc import Callable
from typing import Any

from septet.client.job_flow import ENDED, JobFlow, JobWait, SubmittedRequest
from septet.remote.remote_errors import job_failure


class ClientJob:
    """A job on a server; threads may share it.

    Attributes:
        id: 32 hexadecimal digits, by which `Client.job` finds it again.
    """

    def __init__(
        self, job_id: str, flow: JobFlow, run: Callable[..., Any], submitted: SubmittedRequest | None = None
    ) -> None:
        self.id = job_id
        self._flow = flow
        self._run = run
        self._submitted = submitted

    def document(self) -> dict[str, Any]:
        """What is known of it now, as `GET /job/{id}` has it: `state`, `attempts`, `progress` and more."""
        job: dict[str, Any] = self._run(self._flow.read(self.id, 0.0))
        return job

    def wait(self, timeout: float | None = None) -> dict[str, Any]:
        """What is known of it once it has ended, however that was.

        Args:
            timeout: seconds; None for as long as it takes.

        Raises:
            DeadlineExceeded: it has not ended in time. It goes on.
            NotFound, Gone: there is no such job, or it is no longer kept.
            SeptetError: as its class says.
        """
        wait = JobWait(timeout)
        while True:
            seconds = wait.seconds()
            job: dict[str, Any] = self._run(self._flow.read(self.id, seconds), wait=seconds)
            if job["state"] in ENDED:
                return job
            time.sleep(wait.pause(job))

    def answer(self, timeout: float | None = None) -> Any:
        """What `Client.predict` would have given for the same data, once it is there.

        A job that was found by its id gives arrays; one that was submitted otherwise than by a client, its prediction
        as JSON has it.

        Raises:
            Gone: it was cancelled, or has expired.
            SeptetError: it failed; the class is the one that `predict` would have raised.
        """
        job = self.wait(timeout)
        if job["state"] != "succeeded":
            raise job_failure(job)
        return self._run(self._flow.answer(job, self._submitted))

    def cancel(self) -> dict[str, Any]:
        """End it, or ask for its end where it runs; what is known of it then."""
        job: dict[str, Any] = self._run(self._flow.cancel(self.id))
        return job
