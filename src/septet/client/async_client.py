"""`septet.AsyncClient`: a model on a server, for coroutines."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from septet.client.async_client_job import AsyncClientJob
from septet.client.call_flow import CallFlow, Steps, run_flow_async
from septet.client.job_flow import JobFlow, JobOptions, SubmittedRequest
from septet.remote.caller_tls import CallerTls, FilePath
from septet.remote.channel_factory import async_channel
from septet.remote.request_headers import request_headers
from septet.remote.server_address import TransportName, check_timeout, parse_address


class AsyncClient:
    """A client of one server, for the event loop that it is first used on; its coroutines may share it.

    Its arguments, what it takes and gives, and its errors are those of `septet.Client`.
    """

    def __init__(  # noqa: PLR0913 - callers write each by its name
        self,
        url: str,
        *,
        model: str | None = None,
        timeout: float,
        transport: TransportName = "binary",
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
        api_key: str | None = None,
        ca: FilePath | None = None,
        client_certificate: FilePath | None = None,
        client_key: FilePath | None = None,
    ) -> None:
        self._timeout = check_timeout(timeout)
        address = parse_address(url, transport, CallerTls(ca, client_certificate, client_key))
        self._channel = async_channel(address, request_headers(headers, api_key))
        self._retries = retries
        self._flow = CallFlow(model)
        self._jobs = JobFlow(self._flow)

    async def predict(self, data: Any) -> Any:
        """The prediction for each row, in kind."""
        return await self._run(self._flow.predict(data))

    async def labels(self, data: Any) -> Any:
        """The label of each row, in kind."""
        return await self._run(self._flow.labels(data))

    async def submit(self, data: Any, **options: Unpack[JobOptions]) -> AsyncClientJob:
        """Let the model answer later."""
        submitted: SubmittedRequest = await self._run(self._jobs.submit(data, options))
        return AsyncClientJob(submitted.id, self._jobs, self._run, submitted)

    def job(self, job_id: str) -> AsyncClientJob:
        """A job by its id, whoever submitted it; it is not asked for before it is used."""
        return AsyncClientJob(job_id, self._jobs, self._run)

    async def metadata(self) -> dict[str, Any]:
        """What the server says of its model, as `/metadata` has it."""
        metadata: dict[str, Any] = await self._run(self._flow.metadata())
        return metadata

    async def ready(self) -> bool:
        """Whether the server is there and takes requests, asked once."""
        ready: bool = await self._run(self._flow.ready(), retries=0)
        return ready

    async def close(self) -> None:
        """Close the connections. A client that is used again opens new ones."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, steps: Steps, *, retries: int | None = None, wait: float = 0.0) -> Any:
        attempts = self._channel.attempts(self._retries if retries is None else retries, self._timeout + wait)
        return await run_flow_async(steps, self._channel, attempts)
