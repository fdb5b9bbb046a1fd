"""`septet.Client`: a model on a server, as an object in Python."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from septet.client.call_flow import CallFlow, Steps, run_flow
from septet.client.client_job import ClientJob
from septet.client.job_flow import JobFlow, JobOptions, SubmittedRequest
from septet.remote.caller_tls import CallerTls, FilePath
from septet.remote.channel_factory import thread_channel
from septet.remote.request_headers import request_headers
from septet.remote.server_address import TransportName, check_timeout, parse_address


class Client:
    """A client of one server; threads may share it.

    Args:
        url: of the server, such as `http://localhost:8000`; `grpc://host:port` speaks gRPC.
        model: its name, where the server has several.
        timeout: seconds for each call, retries included. The server is told, and gives up when the caller does.
        transport: how tensors travel over HTTP: `binary`, or `json` to read along.
        retries: how often a call may be repeated where that is safe: the server was not reached, refused it for load
            (429), or is not ready (503). All calls together repeat a tenth of the calls at most, but for the first few.
        headers: sent with every request.
        api_key: sent with every request, where the server asks for one.
        ca: a PEM file with the authorities to trust, in place of those that the system trusts.
        client_certificate: a PEM file with the certificate that the client presents, where the server asks for one.
        client_key: a PEM file with its private key, without a password; None where the certificate's file has it.

    Every failure is an error of `septet.errors`.
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
        self._channel = thread_channel(address, request_headers(headers, api_key))
        self._retries = retries
        self._flow = CallFlow(model)
        self._jobs = JobFlow(self._flow)

    def predict(self, data: Any) -> Any:
        """The prediction for each row, in kind: an array for an array, a DataFrame for a DataFrame, a list for rows.

        Args:
            data: a numpy array (for a model with one input, or with as many columns), a dict of arrays by input name, a
                pandas DataFrame or a list of dicts with the model's columns in any order, or a list of rows.

        Raises:
            Invalid: the data does not fit the model; `problems` says where.
            Unavailable, Overloaded, DeadlineExceeded: there was no answer in time.
            SeptetError: as its class says.
        """
        return self._run(self._flow.predict(data))

    def labels(self, data: Any) -> Any:
        """The label of each row, in kind; the arguments and errors are those of `predict`.

        Raises:
            NotFound: the model gives no labels.
        """
        return self._run(self._flow.labels(data))

    def submit(self, data: Any, **options: Unpack[JobOptions]) -> ClientJob:
        """Let the model answer later; the server has to accept jobs (docs/jobs.md).

        A call whose answer is lost is sent again, and is the same job by its idempotency key.

        Args:
            data: as for `predict`.
            options: how it is to be done.

        Raises:
            Invalid: the data does not fit the model; `problems` says where.
            Conflict: the idempotency key was used for other data.
            Unimplemented: the server accepts no jobs, or the client speaks gRPC.
            SeptetError: as its class says.
        """
        submitted: SubmittedRequest = self._run(self._jobs.submit(data, options))
        return ClientJob(submitted.id, self._jobs, self._run, submitted)

    def job(self, job_id: str) -> ClientJob:
        """A job by its id, whoever submitted it; it is not asked for before it is used."""
        return ClientJob(job_id, self._jobs, self._run)

    def metadata(self) -> dict[str, Any]:
        """What the server says of its model, as `/metadata` has it."""
        metadata: dict[str, Any] = self._run(self._flow.metadata())
        return metadata

    def ready(self) -> bool:
        """Whether the server is there and takes requests, asked once."""
        ready: bool = self._run(self._flow.ready(), retries=0)
        return ready

    def close(self) -> None:
        """Close the connections. A client that is used again opens new ones."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, steps: Steps, *, retries: int | None = None, wait: float = 0.0) -> Any:
        attempts = self._channel.attempts(self._retries if retries is None else retries, self._timeout + wait)
        return run_flow(steps, self._channel, attempts)
