"""CSV and JSON Lines as files: read in ranges of bytes that end with a row, plain or compressed; and written."""

import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from septet.errors import Malformed
from septet.tables.arrow_values import pa, python_values
from septet.tables.column_batch import ColumnBatch
from septet.tables.csv_table import CsvReader, CsvWriter
from septet.tables.jsonl_table import JsonlReader, JsonlWriter
from septet.tables.table_file import FilePart

# Bytes that are looked through at once for the ends of rows.
_PIECE_BYTES: Final = 1 << 22
# About what a row of text takes, to make bytes of rows.
_ROW_BYTES: Final = 256
#: The endings of compressed files, and how they are.
COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd"}


class TextReader:
    """Reads a file of lines; one that is compressed is one part, for it can only be read from its start.

    `quoted` says that a quoted cell may hold the end of a line.

    Attributes:
        schema: None: the values are texts, or those of JSON.
    """

    schema: None = None

    def __init__(self, path: Path, *, quoted: bool) -> None:
        self._path = path
        self._quoted = quoted
        self._compression = COMPRESSIONS.get(path.suffix.lower())
        with self._reading():
            self._header = b"".join(self._header_lines()) if quoted else b""
            self.names: Sequence[str] = self._named()

    def parts(self, rows: int) -> Sequence[FilePart]:
        """See `FileReader`."""
        size = self._path.stat().st_size
        if self._compression is not None:
            return [FilePart(0, size)]
        ends = list(_row_ends(self._path, max(rows * _ROW_BYTES, 1), quoted=self._quoted))
        starts = [0, *ends[:-1]]
        return [FilePart(*each) for each in zip(starts, ends, strict=True)]

    def batches(self, part: FilePart, columns: Sequence[str], rows: int) -> Iterator[ColumnBatch]:  # noqa: ARG002
        """See `FileReader`; every column is there."""
        with self._reading(part.start), self._opened() as stream:
            if part.start:
                stream.seek(part.start)
            lines: Iterator[bytes] = _lines(stream, None if self._compression else part.stop - part.start)
            if part.start and self._quoted:
                lines = itertools.chain(self._header.splitlines(keepends=True), lines)
            yield from (CsvReader(lines) if self._quoted else JsonlReader(lines)).batches(rows)

    def close(self) -> None:
        """Nothing is open between two parts."""

    @contextmanager
    def _reading(self, start: int = 0) -> Iterator[None]:
        """Names the file in what is wrong with it; what is told of a part is counted from the part's start."""
        try:
            yield
        except Malformed as error:
            where = f" Its bytes and rows are counted from byte {start}." if start else ""
            raise Malformed(f"{self._path}: {error.message}{where}") from None
        except (EOFError, OSError, zlib.error, pa.ArrowException) as error:
            raise Malformed(f"{self._path}: cannot be read, or is damaged: {error}") from None

    def _opened(self) -> BinaryIO:
        if self._compression == "gzip":
            return gzip.open(self._path, "rb")  # type: ignore[return-value]
        if self._compression == "zstd":
            return io.BufferedReader(pa.CompressedInputStream(str(self._path), "zstd"))
        return self._path.open("rb")

    def _header_lines(self) -> Iterator[bytes]:
        """The lines of the header row; a quoted name may hold the end of a line."""
        quotes = 0
        with self._opened() as stream:
            for line in stream:
                yield line
                quotes += line.count(b'"')
                if line.strip() and not quotes % 2:
                    return

    def _named(self) -> Sequence[str]:
        if not self._quoted:
            with self._opened() as stream:
                first = next(JsonlReader(itertools.islice(stream, 100)).batches(1), None)
            return [] if first is None else list(first.columns)
        batch = next(CsvReader([self._header, b"\n", self._header]).batches(1), None)
        return [] if batch is None else list(batch.columns)


class TextWriter:
    """Writes rows as lines of text, compressed where the file's name says so.

    Moments are written as ISO 8601 has them, decimals as their digits, bytes as base64.
    """

    def __init__(self, path: Path, *, quoted: bool) -> None:
        compression = COMPRESSIONS.get(path.suffix.lower())
        self._file = path.open("wb")
        raw: Any = self._file
        if compression == "gzip":
            # Neither the name nor the time: the same rows are the same bytes.
            raw = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)
        elif compression == "zstd":
            raw = pa.CompressedOutputStream(raw, "zstd")
        self._raw = raw
        self._stream = io.TextIOWrapper(raw, "utf-8", newline="")
        self._writer = CsvWriter(self._stream) if quoted else JsonlWriter(self._stream)

    def write(self, table: pa.Table) -> None:
        """See `FileWriter`."""
        columns = {name: python_values(table.column(name)) for name in table.column_names}
        self._writer.write(ColumnBatch(columns, table.num_rows))

    def close(self) -> None:
        """See `FileWriter`."""
        self._writer.close()
        self._stream.flush()
        self._stream.close()
        self._file.close()


def _lines(stream: BinaryIO, size: int | None) -> Iterator[bytes]:
    """The lines of so many bytes, which end with a line."""
    left = size
    for line in stream:
        yield line
        if left is not None:
            left -= len(line)
            if left <= 0:
                return


def _row_ends(path: Path, step: int, *, quoted: bool) -> Iterator[int]:
    """Places behind rows, about so many bytes apart, the last one at the end of the file.

    Outside of quotes the number of quotes before is even (RFC 4180): a line that ends there ends a row.
    """
    size, at, wanted, quotes = path.stat().st_size, 0, step, 0
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            counted = 0
            while (end := piece.find(b"\n", max(wanted - at - 1, counted))) >= 0:
                if quoted:
                    quotes += piece.count(b'"', counted, end)
                    counted = end
                wanted = at + end + 1
                if quotes % 2:
                    wanted += 1
                elif wanted < size:
                    yield wanted
                    wanted += step
            if quoted:
                quotes += piece.count(b'"', counted)
            at += len(piece)
    yield size
