"""`septet.AsyncClient`: a model on a server, for coroutines."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from septet.client.callers import CoroutineCaller
from septet.client.connection import coroutine
from septet.client.conversation import Conversation
from septet.client.endpoint import Transport, endpoint


class AsyncClient:
    """A client of one server, for the event loop that it is first used on; its coroutines may share it.

    Its arguments, what it takes and gives, and its errors are those of `septet.Client`.
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
        dialect, self._wire = coroutine(endpoint(url, transport, timeout), headers or {})
        self._call = CoroutineCaller(dialect, self._wire, timeout)
        self._retries = retries
        self._conversation = Conversation()

    async def predict(self, data: Any) -> Any:
        """The prediction for each row, in kind."""
        return await self._call(self._conversation.predict(data), self._retries)

    async def labels(self, data: Any) -> Any:
        """The label of each row, in kind."""
        return await self._call(self._conversation.labels(data), self._retries)

    async def metadata(self) -> dict[str, Any]:
        """What the server says of its model, as `/metadata` has it."""
        said: dict[str, Any] = await self._call(self._conversation.metadata(), self._retries)
        return said

    async def ready(self) -> bool:
        """Whether the server is there and takes requests, asked once."""
        ready: bool = await self._call(self._conversation.ready(), 0)
        return ready

    async def close(self) -> None:
        """Close the connections. A client that is used again opens new ones."""
        await self._wire.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
