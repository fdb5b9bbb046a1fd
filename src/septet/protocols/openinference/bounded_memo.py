"""A dictionary of results that is emptied when it is full: what is still in use comes again."""

from typing import TypeVar

_Key = TypeVar("_Key")
_Result = TypeVar("_Result")


class BoundedMemo(dict[_Key, _Result]):
    """Has at most `most` entries, kept by `keep`. To look one up costs no more than in any dictionary."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: _Key, result: _Result) -> None:
        """Keep a result under its key; where there are too many, forget the others."""
        if len(self) >= self._most and key not in self:
            self.clear()
        self[key] = result
