"""Parquet: a file of row groups, which are read one by one and written as they come."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from septet.errors import Malformed
from septet.tables.arrow_values import pa
from septet.tables.column_batch import ColumnBatch
from septet.tables.table_file import FilePart, parts_of

# Bytes of a column that are read at once: a group need not be in memory as a whole.
_BUFFER_BYTES: Final = 1 << 20
#: Rows of a group that is written.
GROUP_ROWS: Final = 1 << 17


class ParquetReader:
    """Reads a file in parts of whole row groups.

    Attributes:
        schema: of its columns, as Arrow has it.
        names: of its columns.
    """

    def __init__(self, path: Path) -> None:
        """Read the footer.

        Raises:
            Malformed: it is no file of Parquet, or is cut.
        """
        self._path = path
        try:
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        except (pa.ArrowException, OSError) as error:
            raise Malformed(f"{path}: is not a whole file of Parquet: {error}") from None
        self.schema: pa.Schema = self._file.schema_arrow
        self.names: Sequence[str] = self.schema.names

    def parts(self, rows: int) -> Sequence[FilePart]:
        """The file in parts of about so many rows."""
        metadata = self._file.metadata
        return parts_of([metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)], rows)

    def nulls(self, column: str) -> int:
        """How many values of a column are missing, as far as the file says without being read."""
        metadata, found = self._file.metadata, 0
        places = [at for at in range(metadata.num_columns) if metadata.schema.column(at).path == column]
        for group in range(metadata.num_row_groups):
            for at in places:
                statistics = metadata.row_group(group).column(at).statistics
                if statistics is not None and statistics.has_null_count:
                    found += statistics.null_count
        return found

    def batches(self, part: FilePart, columns: Sequence[str], rows: int) -> Iterator[ColumnBatch]:
        """See `FileReader`."""
        groups, before = range(part.start, part.stop), 0
        try:
            for batch in self._file.iter_batches(rows, row_groups=groups, columns=list(columns), use_threads=False):
                yield ColumnBatch({name: batch.column(name) for name in columns}, batch.num_rows, before)
                before += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise Malformed(f"{self._path}: is damaged: {error}") from None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ParquetWriter:
    """Writes tables of Arrow with one schema, whose metadata the file keeps."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer: Any = pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)
        self._schema = schema

    def write(self, table: pa.Table) -> None:
        """Write rows behind those that were written before."""
        self._writer.write_table(table, row_group_size=GROUP_ROWS)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
