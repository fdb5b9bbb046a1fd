"""Releases in several workers at once: each loads and proves the new version beside the old one, then all switch.

One release at a time. A worker that fails to prepare it stops it for all; one that ends takes no part in it any more;
one that becomes ready meanwhile takes part. What was committed is repeated for a worker that was started before.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

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
    described,
)

logger = logging.getLogger("septet.release")


class ServedFiles(Protocol):
    """The files of the models that are served."""

    def changed(self, *, settled: bool) -> Sequence[ReleaseOrder]:
        """Orders for the models whose files have changed since they were looked at; `settled`: and do so no more."""

    def released(self, index: int, order: ReleaseOrder) -> None:
        """Take the model at this place from another path from now on."""


class _Asked(msgspec.Struct, frozen=True, eq=False):
    """An order that waits: who gets the outcome, and the workers that it is for (None: all)."""

    order: ReleaseOrder
    worker: int | None = None
    asked: int = 0
    only: int | None = None


class _Release:
    """The release under way."""

    def __init__(self, key: int, asked: _Asked, workers: set[int]) -> None:
        self.key = key
        self.asked = asked
        self.workers = workers
        # Those that have not replied yet, to what was told last.
        self.waiting = set(workers)
        self.prepared: dict[int, Prepared] = {}
        self.committing = False

    def is_outdated_by(self, order: ReleaseOrder) -> bool:
        """Whether the files changed again that it is of, and nobody has asked for it."""
        asked = self.asked
        return asked.worker is None and asked.only is None and asked.order.path == order.path


class ReleaseCoordinator:
    """The decisions. `send` tells a worker, by its number; `files` learns what was committed.

    `dismiss` replaces a worker that cannot load what all others serve: two versions would answer for one model.

    Attributes:
        generation: how many releases were committed.
    """

    def __init__(
        self, send: Callable[[int, ToWorker], None], files: ServedFiles, dismiss: Callable[[int], None]
    ) -> None:
        self._send = send
        self._dismiss = dismiss
        self._files = files
        self._workers: set[int] = set()
        self._queue: deque[_Asked] = deque()
        self._current: _Release | None = None
        self._keys = 0
        self._committed: list[ReleaseOrder] = []

    @property
    def generation(self) -> int:
        """How many releases were committed."""
        return len(self._committed)

    def look(self, *, settled: bool) -> None:
        """Release what has changed on disk; what had changed there before is given up, should it never end loading."""
        for order in self._files.changed(settled=settled):
            current = self._current
            if current is not None and current.is_outdated_by(order):
                self._abandon(current, "its files have changed again")
            self._queue.append(_Asked(order))
        self._begin_next()

    def joined(self, worker: int, generation: int) -> None:
        """A worker has become ready; it was started when so many releases were committed."""
        self._workers.add(worker)
        missed = [_Asked(order, only=worker) for order in self._committed[generation:]]
        current = self._current
        if current is not None and not current.committing and current.asked.only is None:
            if missed:
                # What was committed before must not take this one's place in the worker: it begins again behind that.
                missed.append(current.asked)
                self._tell(current, Abandon(current.key))
                self._current = None
            else:
                current.workers.add(worker)
                current.waiting.add(worker)
                self._send(worker, Prepare(current.key, current.asked.order))
        self._queue.extendleft(reversed(missed))
        self._begin_next()

    def left(self, worker: int) -> None:
        """A worker has ended, or is about to."""
        self._workers.discard(worker)
        self._queue = deque(each for each in self._queue if worker not in (each.worker, each.only))
        current = self._current
        if current is None or worker not in current.workers:
            return
        current.workers.discard(worker)
        current.waiting.discard(worker)
        current.prepared.pop(worker, None)
        if current.workers:
            self._proceed(current)
        else:
            self._end("the workers have ended")

    def received(self, worker: int, message: FromWorker) -> None:
        """Take a message of a worker."""
        if isinstance(message, Ask):
            self._queue.append(_Asked(message.order, worker, message.asked))
            self._begin_next()
        elif isinstance(message, Withdraw):
            self._withdraw(worker, message.asked)
        elif self._current is not None and message.key == self._current.key:
            self._reply(worker, message, self._current)

    def _reply(self, worker: int, message: Prepared | NotPrepared | Committed, current: _Release) -> None:
        if isinstance(message, NotPrepared):
            self._abandon(current, message.error)
            return
        if isinstance(message, Prepared):
            current.prepared[worker] = message
        current.waiting.discard(worker)
        self._proceed(current)

    def _proceed(self, current: _Release) -> None:
        """Go on, once every worker has replied."""
        if current.waiting:
            return
        replies = list(current.prepared.values())
        first = replies[0]
        if current.committing:
            self._end(ReleaseResult(first.before, first.after, len(replies), changed=True))
        elif any(reply.after != first.after for reply in replies):
            self._abandon(current, f"the files of {current.asked.order.path} changed while they were loaded")
        elif all(reply.after == reply.before for reply in replies):
            self._tell(current, Abandon(current.key))
            self._end(ReleaseResult(first.before, first.after, len(replies), changed=False))
        else:
            current.committing = True
            current.waiting = set(current.workers)
            if current.asked.only is None:
                self._files.released(first.index, current.asked.order)
                self._committed.append(current.asked.order)
            self._tell(current, Commit(current.key))

    def _abandon(self, current: _Release, error: str) -> None:
        if not current.committing:
            self._tell(current, Abandon(current.key))
            self._end(error)

    def _tell(self, current: _Release, message: Commit | Abandon) -> None:
        for worker in sorted(current.workers):
            self._send(worker, message)

    def _withdraw(self, worker: int, asked: int) -> None:
        self._queue = deque(each for each in self._queue if (each.worker, each.asked) != (worker, asked))
        current = self._current
        if current is not None and (current.asked.worker, current.asked.asked) == (worker, asked):
            self._abandon(current, "who asked for it has gone away")

    def _begin_next(self) -> None:
        while self._current is None and self._queue:
            asked = self._queue.popleft()
            workers = set(self._workers) if asked.only is None else {asked.only}
            self._keys += 1
            self._current = current = _Release(self._keys, asked, workers)
            if not workers:
                self._end("no worker is ready yet")
                continue
            for worker in sorted(workers):
                self._send(worker, Prepare(current.key, asked.order))

    def _end(self, outcome: ReleaseResult | str) -> None:
        """Tell how the release under way went, and begin the next."""
        current, self._current = self._current, None
        if current is None:
            return
        asked = current.asked
        if isinstance(outcome, str):
            self._tell_failure(asked, outcome)
        else:
            logger.info("%s", described(outcome))
        if asked.worker in self._workers and asked.worker is not None:
            result, error = (None, outcome) if isinstance(outcome, str) else (outcome, None)
            self._send(asked.worker, ReleaseOutcome(asked.asked, result, error))
        self._begin_next()

    def _tell_failure(self, asked: _Asked, error: str) -> None:
        path = asked.order.path
        if asked.only is None:
            logger.error("%s is not released, what was served is served on: %s", path, error)
        elif asked.only in self._workers:
            logger.error(
                "process %d is replaced: it cannot load %s, which the others serve: %s", asked.only, path, error
            )
            self._dismiss(asked.only)
