"""`septet.Client`: a model on a server, as an object in Python."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from septet.client.callers import ThreadedCaller
from septet.client.connection import threaded
from septet.client.conversation import Conversation
from septet.client.endpoint import Transport, endpoint


class Client:
    """A client of one server; threads may share it.

    Args:
        url: of the server, such as `http://localhost:8000`; `grpc://host:port` speaks gRPC.
        timeout: seconds for each call, retries included. The server is told, and gives up when the caller does.
        transport: how tensors travel over HTTP: `binary`, or `json` to read along.
        retries: how often a call may be repeated where that is safe: the server was not reached, refused it for load
            (429), or is not ready (503). All calls together repeat a tenth of the calls at most, but for the first few.
        headers: sent with every request, such as `authorization`.

    Every failure is an error of `septet.errors`.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        transport: Transport = "binary",
        retries: int = 3,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        dialect, self._wire = threaded(endpoint(url, transport, timeout), headers or {})
        self._call = ThreadedCaller(dialect, self._wire, timeout)
        self._retries = retries
        self._conversation = Conversation()

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
        return self._call(self._conversation.predict(data), self._retries)

    def labels(self, data: Any) -> Any:
        """The label of each row, in kind; the arguments and errors are those of `predict`.

        Raises:
            NotFound: the model gives no labels.
        """
        return self._call(self._conversation.labels(data), self._retries)

    def metadata(self) -> dict[str, Any]:
        """What the server says of its model, as `/metadata` has it."""
        said: dict[str, Any] = self._call(self._conversation.metadata(), self._retries)
        return said

    def ready(self) -> bool:
        """Whether the server is there and takes requests, asked once."""
        ready: bool = self._call(self._conversation.ready(), 0)
        return ready

    def close(self) -> None:
        """Close the connections. A client that is used again opens new ones."""
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
