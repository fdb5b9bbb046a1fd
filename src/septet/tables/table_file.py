"""Files of rows that are read in parts and written in one go: what their formats have in common."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from septet.tables.column_batch import ColumnBatch

if TYPE_CHECKING:
    import pyarrow as pa


class FilePart(msgspec.Struct, frozen=True):
    """Rows of a file that stand together.

    Attributes:
        start, stop: of the row groups, batches or bytes that hold them.
        rows: how many; None where only reading them tells.
    """

    start: int
    stop: int
    rows: int | None = None


class FileReader(Protocol):
    """Reads one file, in parts of it in any order.

    Attributes:
        schema: the columns with their types; None where the file holds texts, whose columns `names` lists.
        names: of the columns; empty where each row has its own.
    """

    schema: "pa.Schema | None"
    names: Sequence[str]

    def parts(self, rows: int) -> Sequence[FilePart]:
        """The file in parts of about so many rows; the same ones whenever it is asked."""

    def batches(self, part: FilePart, columns: Sequence[str], rows: int) -> Iterator[ColumnBatch]:
        """The rows of a part, at most so many at a time, with these columns at least.

        Rows count from the start of the part. Values of columns with types are arrays of Arrow.

        Raises:
            Malformed: the file is damaged, or is not of its format.
        """

    def close(self) -> None:
        """Let go of the file."""


class FileWriter(Protocol):
    """Writes one file."""

    def write(self, table: "pa.Table") -> None:
        """Write rows behind those that were written before."""

    def close(self) -> None:
        """Write what comes after the last row, and let go of the file."""


def parts_of(counts: Sequence[int], rows: int) -> Sequence[FilePart]:
    """Neighbours joined until they have so many rows; `counts` are those of each."""
    found: list[FilePart] = []
    start = joined = 0
    for at, count in enumerate(counts, 1):
        joined += count
        if joined >= rows or at == len(counts):
            found.append(FilePart(start, at, joined))
            start, joined = at, 0
    return found
