"""What clients have sent, what became of it as they saw it, and whether `/metrics` says the same."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

HTTP, GRPC, EITHER = "http", "grpc", "unmatched"
#: Where a request is counted: by the routes of a transport, or `unmatched`, and its code.
Place = tuple[str, str]


@dataclass
class Tally:
    """Counts of one round, for all clients together.

    Attributes:
        exact: requests of which the client knows where they are counted.
        floating: those that are counted once, as the server saw them end (given up in time, or answered): by transport.
        abandoned: those of which the client reset the connection, so large that the server may not have read them to
            their end by then: each may be counted or not.
        cut: those that were sent on a connection which a killed worker took along, and were not answered: each may be
            counted or not.
        cuts: such connections.
        incomplete: what was no complete request, and is not counted: aborted uploads, halves of heads.
        wrong: what no client may see.
        kinds: requests by kind.
    """

    exact: Counter[Place] = field(default_factory=Counter)
    floating: Counter[str] = field(default_factory=Counter)
    abandoned: int = 0
    cut: int = 0
    cuts: int = 0
    incomplete: int = 0
    checked_rows: int = 0
    wrong: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, *, exact: Mapping[Place, int] | None = None, **more: int) -> None:
        """Add what one client has done; `more` are `http` and `grpc` (floating), and the fields that are numbers."""
        with self._lock:
            for place, count in (exact or {}).items():
                self.exact[place] += count
            for name, count in more.items():
                if name in (HTTP, GRPC):
                    self.floating[name] += count
                else:
                    setattr(self, name, getattr(self, name) + count)
            self.kinds[kind] += sum((exact or {}).values()) + more.get(HTTP, 0) + more.get(GRPC, 0)

    def complain(self, text: str) -> None:
        """Note what no client may see."""
        with self._lock:
            self.wrong.append(text[:600])

    @property
    def sent(self) -> int:
        """Complete requests, those that were cut not among them."""
        return self.exact.total() + self.floating.total()

    def compared(self, counted: Mapping[Place, int], *, lost: int) -> list[str]:
        """What the server's counts contradict; `lost` is how many counts killed workers may have taken along."""
        counts = Counter({place: int(count) for place, count in counted.items()})
        total, said = counts.total(), []
        unknown = self.cut + self.abandoned
        if not self.sent - lost <= total <= self.sent + unknown:
            said.append(
                f"{self.sent} were sent, {unknown} cut or abandoned, {total} counted ({lost} at most lost to kills)"
            )
        if lost or self.cut:
            return said
        excess = {place: counts[place] - self.exact[place] for place in {*counts, *self.exact}}
        for place, more in excess.items():
            if more < 0:
                said.append(f"{place}: {-more} fewer are counted than were answered: {excess}")
        for transport in (HTTP, GRPC):
            more = sum(count for (where, _), count in excess.items() if where == transport and count > 0)
            if more > self.floating[transport] + self.abandoned:
                said.append(f"{more} more are counted over {transport} than clients know of: {excess}")
        return said
