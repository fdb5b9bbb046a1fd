"""`.npy` (NumPy format 1 to 3): one array, rows on axis 0, no pickles.

Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import math
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.lib import format as npy

from septet.errors import Invalid, Malformed, Problem, SeptetError, invalid
from septet.tables.column_batch import BATCH_ROWS, ColumnBatch, TableForm, numbered
from septet.types import Array

HEADER_BYTES: Final = 10_000
SHOWN_CHARACTERS: Final = 200
# Of numpy's arrays.
_MOST_AXES: Final = 64
_LARGEST_SIZE: Final = sys.maxsize
FIRST_SURROGATE, LAST_SURROGATE = 0xD800, 0xDFFF
# Formats 2.0 and 3.0 differ from each other only in the encoding of the names of fields.
_HEADERS: Final = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
    (3, 0): npy.read_array_header_2_0,
}


class NpyHeader(NamedTuple):
    """What stands before the values: the array's shape, whether its first axis changes fastest, and its dtype."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def values(self) -> int:
        """How many there are."""
        return math.prod(self.shape)

    def broken(self, size: int) -> Malformed:
        """The error for a file whose values take another number of bytes."""
        return Malformed(
            f"The .npy header promises {self.values} values of {self.dtype.itemsize} bytes; the body has {size} bytes."
        )


class NpyReader:
    """Reads an array of rows; a column is what stands at one place of axis 1."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[ColumnBatch]:
        """See `Reader`. An array whose first axis changes fastest is read whole."""
        header = npy_header(self._stream)
        if not header.shape or min(header.shape) < 0:
            shape = list(header.shape)
            raise Invalid(
                f"The array's shape is {shape}, which has no rows.",
                (Problem(None, None, "rows on axis 0", f"shape {shape}"),),
            )
        before = 0
        for part in _parts(self._stream, header, rows):
            found = npy_texts(part, before) if part.dtype.kind == "U" else part
            table = found.reshape(len(found), 1) if found.ndim == 1 else found
            columns = dict(zip(numbered(table.shape[1]), np.moveaxis(table, 1, 0), strict=True))
            yield ColumnBatch(columns, len(table), before, TableForm.LISTS)
            before += len(table)


class NpyWriter:
    """Writes columns of one dtype as an array, [rows, columns]; [rows] of a single one. The stream must be seekable."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._start = stream.tell()
        self._rows = 0
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype(np.float64)

    def write(self, batch: ColumnBatch) -> None:
        """See `Writer`.

        Raises:
            Invalid: the columns are texts, or objects, or not of the dtype of those before.
        """
        columns = [np.asarray(values) for values in batch.columns.values()]
        table = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
        if not self._rows:
            self._shape, self._dtype = table.shape[1:], table.dtype
            self._write_header()
        if table.dtype.hasobject or table.dtype != self._dtype or table.shape[1:] != self._shape:
            raise Invalid(f".npy holds one dtype ({self._dtype}) and no Python objects; the rows have {table.dtype}.")
        self._stream.write(np.ascontiguousarray(table).tobytes())
        self._rows += len(table)

    def close(self) -> None:
        """See `Writer`."""
        end = self._stream.tell() if self._rows else None
        self._stream.seek(self._start)
        self._write_header()
        if end is not None:
            self._stream.seek(end)

    def _write_header(self) -> None:
        # numpy leaves room for 20 digits of the first axis: the header's length does not depend on the rows.
        shape = (self._rows, *self._shape)
        descr = npy.dtype_to_descr(self._dtype)
        npy.write_array_header_1_0(self._stream, {"descr": descr, "fortran_order": False, "shape": shape})


def npy_header(stream: BinaryIO) -> NpyHeader:
    """Read the header of a `.npy` file, behind which its values stand.

    Raises:
        Malformed: it is none.
        Invalid: the values are neither numbers nor texts.
    """
    try:
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise Malformed(f"The .npy format {version[0]}.{version[1]} is not known; 1.0 to 3.0 are.")
        found = NpyHeader(*_HEADERS[version](stream, max_header_size=HEADER_BYTES))
    except SeptetError:
        raise
    except Exception as error:  # noqa: BLE001 - what numpy raises for a header of garbage is no closed list
        reason = (str(error).splitlines() or [type(error).__name__])[0][:SHOWN_CHARACTERS]
        raise Malformed(f"The body is not a .npy file: {reason}.") from None
    if len(found.shape) > _MOST_AXES or any(abs(size) > _LARGEST_SIZE for size in found.shape):
        raise _no_shape(found.shape)
    dtype = found.dtype
    if dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None or dtype.itemsize == 0:
        text = "The array's dtype holds Python objects, fields, arrays or nothing. Save an array of numbers or texts."
        raise Invalid(text, (Problem(None, None, "numbers or texts", f"dtype {str(dtype)[:SHOWN_CHARACTERS]}"),))
    return found


def npy_array(body: bytes) -> Array:
    """The array of a whole `.npy` file; its length is checked before anything is allocated for it.

    Raises:
        Malformed: it is none, or its length is not what its header says.
        Invalid: the values are neither numbers nor texts.
    """
    stream = io.BytesIO(body)
    header = npy_header(stream)
    shape, dtype, count = header.shape, header.dtype, header.values
    start = stream.tell()
    if any(size < 0 for size in shape) or len(body) - start != count * dtype.itemsize:
        raise header.broken(len(body) - start)
    cells = np.frombuffer(body, dtype, count, start) if count else np.empty(0, dtype)
    return _shaped(cells, header)


def npy_texts(array: Array, first_row: int = 0) -> Array:
    """Texts as Python's own, refusing numbers that are no characters; the first row is `first_row` of the whole.

    Raises:
        Invalid: a text holds such a number.
    """
    codes = np.ascontiguousarray(array).view(np.uint32).reshape(-1, array.dtype.itemsize // 4)
    wrong = np.argwhere((codes > sys.maxunicode) | ((codes >= FIRST_SURROGATE) & (codes <= LAST_SURROGATE)))
    if len(wrong):
        flat, place = wrong[0].tolist()
        row = first_row + int(np.unravel_index(flat, array.shape)[0]) if array.ndim else None
        raise invalid([Problem(row, None, "a text", f"U+{codes[flat, place]:X}, which is no character")])
    return array.astype(object)


def _parts(stream: BinaryIO, header: NpyHeader, rows: int) -> Iterator[Array]:
    """The array in parts of so many rows."""
    total, *rest = header.shape
    row_bytes = math.prod(rest) * header.dtype.itemsize
    if header.fortran and len(header.shape) > 1:
        whole = stream.read()
        if len(whole) != total * row_bytes:
            raise header.broken(len(whole))
        array = _shaped(np.frombuffer(whole, header.dtype), header)
        for start in range(0, total, rows):
            yield array[start : start + rows]
        return
    for start in range(0, total, rows):
        count = min(rows, total - start)
        data = stream.read(count * row_bytes)
        if len(data) != count * row_bytes:
            raise header.broken(start * row_bytes + len(data))
        yield _shaped(np.frombuffer(data, header.dtype), header._replace(shape=(count, *rest)))
    behind = stream.read(1)
    if behind:
        raise header.broken(total * row_bytes + len(behind) + len(stream.read()))


def _shaped(cells: Array, header: NpyHeader) -> Array:
    try:
        array = cells.reshape(header.shape, order="F" if header.fortran else "C")
        return array.astype(header.dtype.newbyteorder("="), copy=False)
    except (ValueError, OverflowError):
        raise _no_shape(header.shape) from None


def _no_shape(shape: tuple[int, ...]) -> Malformed:
    return Malformed(f"The .npy header's shape has {len(shape)} dimensions or sizes that no array has.")
