"""Releases in one serving process: a new version is loaded and proven beside the old one, then takes its place."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from septet.assembly.loading import ModelLoader
from septet.errors import NotFound, SeptetError, StartupError
from septet.model.compatibility import breaking_changes
from septet.registry import Models
from septet.server.daemon_thread import in_daemon_thread
from septet.server.release_messages import (
    Abandon,
    Ask,
    Commit,
    Committed,
    FromWorker,
    NotPrepared,
    Prepare,
    Prepared,
    ReleaseOrder,
    ReleaseOutcome,
    ReleaseResult,
    ToWorker,
    Withdraw,
)
from septet.service import Service

logger = logging.getLogger("septet.release")

_MOST_SHOWN = 10


class Releases:
    """What a `ReleaseCoordinator` tells this process is carried out, and what it asks is told by `send`.

    `names` are those of all models, in the order in which the server was given them. For the event loop's thread.
    """

    def __init__(
        self, models: Models, loader: ModelLoader, names: Sequence[str], send: Callable[[FromWorker], None]
    ) -> None:
        self._models = models
        self._loader = loader
        self._names = names
        self._send = send
        self._loading: dict[int, asyncio.Task[None]] = {}
        self._prepared: dict[int, Service] = {}
        self._asked: dict[int, asyncio.Future[ReleaseResult]] = {}
        self._numbers = 0

    async def release(self, order: ReleaseOrder) -> ReleaseResult:
        """Serve a new version of a model in all processes.

        Raises:
            StartupError: it cannot be served; the old one is served on.
        """
        self._numbers += 1
        asked = self._numbers
        future: asyncio.Future[ReleaseResult] = asyncio.get_running_loop().create_future()
        self._asked[asked] = future
        self._send(Ask(asked, order))
        try:
            return await future
        except asyncio.CancelledError:
            self._send(Withdraw(asked))
            raise
        finally:
            del self._asked[asked]

    def receive(self, message: ToWorker) -> None:
        """Do what the coordinator says."""
        if isinstance(message, Prepare):
            loading = asyncio.get_running_loop().create_task(self._prepare(message.key, message.order))
            self._loading[message.key] = loading
        elif isinstance(message, Commit):
            self._commit(message.key)
        elif isinstance(message, Abandon):
            self._abandon(message.key)
        else:
            self._answer(message)

    async def _prepare(self, key: int, order: ReleaseOrder) -> None:
        try:
            service = await in_daemon_thread(lambda: self._loader.release(order), "septet-release")
        except SeptetError as error:
            self._refuse(key, error.message)
            return
        except Exception as error:
            logger.exception("%s cannot be loaded", order.path)
            self._refuse(key, f"{order.path}: {type(error).__name__}: {error}")
            return
        if key not in self._loading:  # abandoned meanwhile
            service.close()
            return
        try:
            reply = self._checked(key, service, order)
        except SeptetError as error:
            service.close()
            self._refuse(key, error.message)
            return
        del self._loading[key]
        self._prepared[key] = service
        self._send(reply)

    def _refuse(self, key: int, error: str) -> None:
        self._loading.pop(key, None)
        self._send(NotPrepared(key, error))

    def _checked(self, key: int, service: Service, order: ReleaseOrder) -> Prepared:
        """Whether the new version may take an old one's place.

        Raises:
            StartupError: the server has no model of that name, or the new one breaks what callers send.
        """
        name = service.identity.name
        if name not in self._names:
            served = ", ".join(map(repr, self._names))
            raise StartupError(
                f"{order.path} is the model {name!r}, and this server has {served}; --name says which one it replaces"
            )
        index = self._names.index(name)
        try:
            before = self._models.find(name).service
        except NotFound:
            return Prepared(key, index, None, service.identity)
        broken = breaking_changes(before.signature, service.signature)
        if broken and not order.force:
            shown = "".join(f"\n  {each}" for each in broken[:_MOST_SHOWN])
            more = f"\n  and {len(broken) - _MOST_SHOWN} more" if len(broken) > _MOST_SHOWN else ""
            raise StartupError(
                f"{order.path} breaks what callers of {name!r} send or read:{shown}{more}\n"
                "Serve it under another name, or release it with --force."
            )
        return Prepared(key, index, before.identity, service.identity)

    def _commit(self, key: int) -> None:
        service = self._prepared.pop(key)
        if service.identity.name in self._models.missing:
            self._models.install(service)
        else:
            # The old one is closed when its last request is answered: nobody waits for that here.
            self._models.swap(service)
        self._send(Committed(key))

    def _abandon(self, key: int) -> None:
        self._loading.pop(key, None)
        if (service := self._prepared.pop(key, None)) is not None:
            service.close()

    def _answer(self, outcome: ReleaseOutcome) -> None:
        future = self._asked.get(outcome.asked)
        if future is None or future.done():
            return
        if outcome.result is not None:
            future.set_result(outcome.result)
        else:
            future.set_exception(StartupError(outcome.error or "the release failed"))
