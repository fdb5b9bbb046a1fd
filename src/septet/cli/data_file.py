"""The rows of a file, or of standard input, for a model: read by their format, converted by its signature."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from septet.columns.conversion import Conversion, TableConverter
from septet.errors import Invalid, NotFound
from septet.model.signature import Signature
from septet.protocols.codecs.decoded_body import check_rows
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.npy_body import NpyBody
from septet.tables.column_batch import ColumnBatch
from septet.tables.csv_table import CsvReader
from septet.tables.table_formats import READERS, TableFormat, detect_format, format_of
from septet.types import Array, Tensors


class TrainingRows(msgspec.Struct, frozen=True, eq=False):
    """Columns by name, [rows] each; the tensors by input where the model has no columns.

    `target` has the true answers, [rows], or is None.
    """

    columns: dict[str, Array]
    target: Array | None


def tensor_batches(
    signature: Signature, stream: BinaryIO, form: TableFormat | None, source: str
) -> Iterator[Conversion]:
    """Convert a table batch by batch; `form` None means to tell it from the first line.

    A model without rows is given one unit: the stream is one body of a request.

    Raises:
        Malformed: it cannot be decoded.
        Invalid: it is no table for this model, or has no rows.
    """
    if form is None:
        form, stream = detect_format(stream)
    if form == "csv" and not (signature.columns and signature.rows):
        raise Invalid(
            f"{source}: CSV has named columns, and this model's inputs have none; give JSON 'inputs' or .npy."
        )
    if signature.rows:
        return _converted(signature, READERS[form](stream).batches())
    decode = NpyBody if form == "npy" else JsonBody
    body = decode(signature, max_rows=sys.maxsize)(stream.read())
    return iter([Conversion(body.tensors, body.rows)])


def read_tensors(path: Path, signature: Signature) -> Tensors:
    """Read a file of rows as the tensors of the model's inputs.

    Raises:
        NotFound: there is no such file.
        Malformed, Invalid: it cannot be read, or does not fit the model.
    """
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file; give the path of rows for the model")
    with path.open("rb") as stream:
        return joined_batches(tensor_batches(signature, stream, format_of(path), str(path)))


def read_training_rows(path: Path, signature: Signature, target: str | None) -> TrainingRows:
    """Read a file as the model's signature says; `target` names the column of CSV that holds the true answers.

    Raises:
        NotFound: there is no such file.
        Malformed, Invalid: it cannot be read, or does not fit the model.
    """
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file; give the path of the training rows")
    converter = TableConverter(signature)
    with path.open("rb") as stream:
        if target is None:
            tensors = joined_batches(tensor_batches(signature, stream, format_of(path), str(path)))
            return TrainingRows(converter.columns(tensors), None)
        if format_of(path) != "csv":
            raise Invalid(f"{path}: --target names a column of a .csv file, and this is none")
        truth: list[str] = []
        tensors = joined_batches(_converted(signature, _without(CsvReader(stream).batches(), target, truth, path)))
    return TrainingRows(converter.columns(tensors), _typed(truth))


def joined_batches(batches: Iterable[Conversion]) -> dict[str, Array]:
    """The tensors of all batches, which must be good.

    Raises:
        Invalid: one has a bad row.
    """
    parts = [batch.checked() for batch in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _converted(signature: Signature, batches: Iterable[ColumnBatch]) -> Iterator[Conversion]:
    converter = TableConverter(signature)
    rows = 0
    for batch in batches:
        yield converter(batch)
        rows += batch.rows
    check_rows(rows, sys.maxsize)


def _without(batches: Iterable[ColumnBatch], target: str, truth: list[str], path: Path) -> Iterator[ColumnBatch]:
    """Take one column out of a table; its cells are added to `truth`."""
    for batch in batches:
        columns = {name.strip(): values for name, values in batch.columns.items()}
        if target not in columns:
            raise Invalid(f"{path}: has 0 columns named {target!r}; there are {', '.join(columns)}")
        truth += columns.pop(target)
        yield msgspec.structs.replace(batch, columns=columns)


def _typed(cells: Sequence[str]) -> Array:
    """Cells as whole numbers, else numbers, else texts: as classes are written in a table."""
    for kind in (np.int64, np.float64):
        try:
            return np.array([kind(cell) for cell in cells])
        except ValueError:
            continue
    return np.array(cells, dtype=object)
