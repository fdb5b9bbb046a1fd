"""A dictionary that never grows beyond a number of entries."""

from typing import TypeVar

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class BoundedCache(dict[KeyT, ValueT]):
    """Read like any dictionary, written with `keep`.

    A full cache is emptied by the next new key: what is still in use comes again at once, and nothing is done for a
    read but a look-up.
    """

    __slots__ = ("_max_entries",)

    def __init__(self, max_entries: int) -> None:
        super().__init__()
        self._max_entries = max_entries

    def keep(self, key: KeyT, value: ValueT) -> None:
        """Write an entry."""
        if len(self) >= self._max_entries and key not in self:
            self.clear()
        self[key] = value
