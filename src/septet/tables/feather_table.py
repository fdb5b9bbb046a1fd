"""Feather: a file of Arrow's own record batches (the Arrow IPC file format)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from septet.errors import Malformed
from septet.tables.arrow_values import pa
from septet.tables.column_batch import ColumnBatch
from septet.tables.table_file import FilePart, parts_of


class FeatherReader:
    """Reads a file in parts of whole record batches.

    Attributes:
        schema: of its columns.
        names: of its columns.
    """

    def __init__(self, path: Path) -> None:
        """Read the footer.

        Raises:
            Malformed: it is no file of Arrow, or is cut.
        """
        self._path = path
        try:
            self._source = pa.memory_map(str(path))
            self._file: Any = pa.ipc.open_file(self._source)
        except (pa.ArrowException, OSError) as error:
            raise Malformed(f"{path}: is not a whole file of Arrow: {error}") from None
        self.schema: pa.Schema = self._file.schema
        self.names: Sequence[str] = self.schema.names

    def parts(self, rows: int) -> Sequence[FilePart]:
        """See `FileReader`."""
        with self._named():
            counts = [self._file.get_batch(at).num_rows for at in range(self._file.num_record_batches)]
        return parts_of(counts, rows)

    def batches(self, part: FilePart, columns: Sequence[str], rows: int) -> Iterator[ColumnBatch]:
        """See `FileReader`."""
        before = 0
        for at in range(part.start, part.stop):
            with self._named():
                batch = self._file.get_batch(at)
            for start in range(0, batch.num_rows, rows):
                some = batch.slice(start, rows)
                yield ColumnBatch({name: some.column(name) for name in columns}, some.num_rows, before)
                before += some.num_rows

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _named(self) -> "_Named":
        return _Named(self._path)


class _Named:
    """Names the file in errors of Arrow."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, pa.ArrowException | OSError):
            raise Malformed(f"{self._path}: is damaged: {error}") from None


class FeatherWriter:
    """Writes tables of Arrow with one schema, whose metadata the file keeps."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._sink = pa.OSFile(str(path), "wb")
        self._writer: Any = pa.ipc.new_file(self._sink, schema, options=options)

    def write(self, table: pa.Table) -> None:
        """See `FileWriter`."""
        self._writer.write_table(table)

    def close(self) -> None:
        """See `FileWriter`."""
        self._writer.close()
        self._sink.close()
