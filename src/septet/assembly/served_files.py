"""The files that are served: which have changed on disk, and where each model is taken from after a release."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from septet.assembly.loading import ModelLoader
from septet.assembly.sharing import Stamp
from septet.server.release_messages import ReleaseOrder

if TYPE_CHECKING:
    from septet.server.tls_files import TlsFiles


class WatchedFiles:
    """The `ServedFiles` of a server. `watch`: what has changed is looked for without being asked.

    A start does not wait until a model is read for the names of the weights beside it: at the first look, their own
    times tell whether they have changed since. `tls_files` are read again when they change, watched or not: workers
    that start later have them from here.
    """

    def __init__(self, loader: ModelLoader, *, watch: bool, tls_files: "TlsFiles | None" = None) -> None:
        self._loader = loader
        self._watch = watch
        self._tls_files = tls_files
        self._begun = time.time_ns()
        self._at_start = {index: loader.short_stamp(path) for index, path in loader.paths.items()}
        # As they were when they were last loaded, or tried; and as they were a look ago.
        self._known: dict[int, Stamp] = {}
        self._seen: dict[int, Stamp] = {}

    def changed(self, *, settled: bool) -> Sequence[ReleaseOrder]:
        """Orders for what has changed since; `settled`: only what is watched, and is the same in two looks."""
        if self._tls_files is not None:
            self._tls_files.look(settled=settled)
        if settled and not self._watch:
            return ()
        orders = []
        for index, path in self._loader.paths.items():
            now = self._loader.stamp(path)
            before, self._seen[index] = self._seen.get(index), now
            if index not in self._known:
                self._known[index] = now if self._is_as_at_start(index, now) else ()
            # Files that are gone are on their way: whoever replaces a model may remove the old one first.
            if now == self._known[index] or not now or (settled and now != before):
                continue
            self._known[index] = now
            orders.append(self._loader.order(index))
        return orders

    def released(self, index: int, order: ReleaseOrder) -> None:
        """Take a model from another path from now on."""
        self._loader.replace(index, order)
        self._known[index] = self._seen[index] = self._loader.stamp(Path(order.path))

    def _is_as_at_start(self, index: int, now: Stamp) -> bool:
        then = self._at_start[index]
        return now[: len(then)] == then and all(facts.changed < self._begun for _, facts in now[len(then) :])
