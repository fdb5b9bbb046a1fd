"""The models of a process: which are served, and how one takes another's place.

A model is prepared outside of the registry (loaded, proven, warmed up) and put in by one assignment, so that a request
sees the old model or the new one, never a part of each. The old one answers what it was asked before, and is closed
when its last request is over.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from septet.errors import NotFound, StartupError
from septet.model.received import shown_names
from septet.service import Service
from septet.types import Done, Pending, Request, Response


class ServedModel:
    """A service that is, or was, in the registry.

    Attributes:
        service: the model.
        submit: its predictor's.
        gate: its.
        in_flight: requests that it has not answered yet.
        on_idle: called when the last of them is over, once the model is out of the registry; None before.
    """

    __slots__ = ("gate", "in_flight", "on_idle", "service", "submit")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.submit: Callable[[Request, Done], Pending] = service.predictor.submit
        self.gate = service.gate
        self.in_flight = 0
        self.on_idle: Callable[[], None] | None = None

    def begin(self) -> None:
        """A request begins; `end` must follow."""
        self.in_flight += 1

    def end(self) -> None:
        """A request is over: answered, failed or given up."""
        self.in_flight -= 1
        if self.on_idle is not None and not self.in_flight:
            self.on_idle()

    async def predict(self, request: Request) -> Response:
        """Answer a request of the server's own, such as a self-test.

        Raises:
            Exception: whatever error the predictor gives.
        """
        self.begin()
        try:
            return await self.service.predictor.predict(request)
        finally:
            self.end()

    def retire(self, ended: Callable[[], None]) -> None:
        """Call `ended` once no request is under way; nobody begins one any more."""
        self.on_idle = ended
        if not self.in_flight:
            ended()


class Models:
    """The served models by name, in the order in which they were installed. For the event loop's thread.

    `changed` callbacks are called after each change, before anything else runs on the loop.
    """

    def __init__(self) -> None:
        self._served: dict[str, ServedModel] = {}
        self._missing: dict[str, str] = {}
        self._changed: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    def __len__(self) -> int:
        return len(self._served)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call this after each change."""
        self._changed.append(callback)

    @property
    def sole(self) -> ServedModel | None:
        """The model where there is just one and none is missing; short paths are its."""
        return next(iter(self._served.values())) if len(self._served) == 1 and not self._missing else None

    @property
    def missing(self) -> dict[str, str]:
        """Why each model that was asked for could not be loaded, by name."""
        return self._missing

    def find(self, name: str, version: str = "") -> ServedModel:
        """A model by its name; an empty version means the one that is served.

        Raises:
            NotFound: it is not served.
        """
        served = self._served.get(name)
        if served is None:
            names = shown_names(self._served) or "none"
            raise NotFound(f"There is no model {name[:80]!r} here, only {names}.")
        known = served.service.identity.version
        if version not in ("", known):
            raise NotFound(f"There is no version {version[:80]!r} of the model {name!r} here, only {known!r}.")
        return served

    def install(self, service: Service) -> ServedModel:
        """Begin to serve a model.

        Raises:
            StartupError: another one has its name.
        """
        self.install_all([service])
        return self._served[service.identity.name]

    def install_all(self, services: Iterable[Service]) -> None:
        """Begin to serve models, all of them at once.

        Raises:
            StartupError: two have the same name.
        """
        served = {**self._served}
        for service in services:
            name = service.identity.name
            if name in served:
                raise StartupError(f"two models have the name {name!r}; each needs a name of its own")
            served[name] = ServedModel(service)
        self._missing = {name: why for name, why in self._missing.items() if name not in served}
        self._served = served
        self._notify()

    def swap(self, service: Service) -> "asyncio.Future[None]":
        """Serve a model in place of the one with its name; the future is done when the old one is closed.

        Raises:
            NotFound: no model has its name.
        """
        old = self.find(service.identity.name)
        self._served[service.identity.name] = ServedModel(service)
        self._notify()
        return _closed(old)

    def remove(self, name: str) -> "asyncio.Future[None]":
        """Serve a model no more; the future is done when its last request is answered and it is closed.

        Raises:
            NotFound: no model has that name.
        """
        old = self.find(name)
        del self._served[name]
        self._notify()
        return _closed(old)

    def fail(self, name: str, reason: str) -> None:
        """Note that a model could not be loaded, where the others are served without it."""
        self._missing[name] = reason
        self._notify()

    def _notify(self) -> None:
        for callback in self._changed:
            callback()


def _closed(old: ServedModel) -> "asyncio.Future[None]":
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def close() -> None:
        old.service.close()
        if not future.done():
            future.set_result(None)

    old.retire(close)
    return future
