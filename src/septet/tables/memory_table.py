"""A table that is in memory."""

from collections.abc import Iterator, Mapping, Sequence

from septet.tables.column_batch import BATCH_ROWS, ColumnBatch, TableForm, Values, same_rows


class MemoryReader:
    """Reads columns of one length."""

    def __init__(self, columns: Mapping[str, Values], form: TableForm = TableForm.COLUMNS) -> None:
        self._table = ColumnBatch(columns, same_rows(columns) if columns else 0, 0, form)

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[ColumnBatch]:
        """See `Reader`."""
        return (self._table.part(start, start + rows) for start in range(0, self._table.rows, rows))


class MemoryWriter:
    """Keeps what is written.

    Attributes:
        batches: as they came.
        closed: whether the table is whole.
    """

    def __init__(self) -> None:
        self.batches: Sequence[ColumnBatch] = []
        self.closed = False

    def write(self, batch: ColumnBatch) -> None:
        """See `Writer`."""
        self.batches = [*self.batches, batch]

    def close(self) -> None:
        """See `Writer`."""
        self.closed = True
