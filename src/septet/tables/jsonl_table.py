"""JSON Lines: a row a line, as an object, a list, or a value of the only column."""

import itertools
from collections.abc import Iterable, Iterator

from septet.errors import Malformed
from septet.tables.column_batch import BATCH_ROWS, ColumnBatch, TextOutput
from septet.tables.json_table import RowBatches, decoded, json_lines

_BOM = b"\xef\xbb\xbf"


class JsonlReader:
    """Reads lines of bytes; blank ones are no rows."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[ColumnBatch]:
        """See `Reader`."""
        filled = itertools.filterfalse(bytes.isspace, _unmarked(self._lines))
        row_batches = RowBatches()
        before = 0
        while lines := list(itertools.islice(filled, rows)):
            try:
                found = decoded(b"[" + b",".join(lines) + b"]")
            except Malformed as error:
                place = f"It stands in rows {before} to {before + rows - 1}."
                raise Malformed(f"{error.message} {place}") from None
            yield row_batches(found)
            before += len(found)


class JsonlWriter:
    """Writes a row a line."""

    def __init__(self, stream: TextOutput) -> None:
        self._stream = stream

    def write(self, batch: ColumnBatch) -> None:
        """See `Writer`."""
        self._stream.write(json_lines(batch))

    def close(self) -> None:
        """See `Writer`."""


def _unmarked(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines without the mark of UTF-8 that the first may have."""
    rest = iter(lines)
    first = [line.removeprefix(_BOM) for line in itertools.islice(rest, 1)]
    return itertools.chain(filter(None, first), rest)
