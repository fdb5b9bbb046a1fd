"""The rows that a model was trained on, read from a file for its package."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from septet.cli.source import format_of, pieces
from septet.columns.casting import uncarried
from septet.errors import Invalid, NotFound
from septet.model.signature import Signature
from septet.types import Array, Tensors


class Dataset(msgspec.Struct, frozen=True, eq=False):
    """Rows by column (by input where the model's have no columns), and the target, [rows], or None."""

    rows: Mapping[str, Array]
    target: Array | None


def read_dataset(path: Path, signature: Signature, target: str | None) -> Dataset:
    """Read a file as the model's signature says; `target` names the column of CSV that holds the true answers.

    Raises:
        NotFound: there is no such file.
        Malformed, Invalid: it cannot be read, or does not fit the model.
    """
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file; give the path of the training rows")
    content = path.read_bytes()
    truth = None
    if target is not None:
        if format_of(path) != "csv":
            raise Invalid(f"{path}: --target names a column of a .csv file, and this is none")
        content, truth = _without(content, target, path)
    return Dataset(_by_column(signature, _joined(signature, content, path)), truth)


def read_tensors(path: Path, signature: Signature) -> Tensors:
    """Read a file of rows as the tensors of the model's inputs.

    Raises:
        NotFound: there is no such file.
        Malformed, Invalid: it cannot be read, or does not fit the model.
    """
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file; give the path of rows for the model")
    return _joined(signature, path.read_bytes(), path)


def _joined(signature: Signature, content: bytes, path: Path) -> Tensors:
    parts = list(pieces(signature, io.BytesIO(content), format_of(path), str(path)))
    names = [tensor.name for tensor in signature.inputs]
    return {name: np.concatenate([part.tensors[name] for part in parts]) for name in names}


def _by_column(signature: Signature, tensors: Tensors) -> Mapping[str, Array]:
    if not signature.columns:
        return tensors
    return {
        column.name: uncarried(tensors[tensor.name].reshape(-1, len(tensor.columns))[:, at], column)
        for tensor in signature.inputs
        for at, column in enumerate(tensor.columns)
    }


def _without(content: bytes, target: str, path: Path) -> tuple[bytes, Array]:
    """Take one column out of CSV."""
    try:
        lines = [line for line in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True) if line]
    except (ValueError, csv.Error) as exc:
        raise Invalid(f"{path}: is not CSV in UTF-8: {exc}") from exc
    header = [name.strip() for name in lines[0]] if lines else []
    if header.count(target) != 1:
        raise Invalid(f"{path}: has {header.count(target)} columns named {target!r}; there are {', '.join(header)}")
    at = header.index(target)
    truth = [line.pop(at) for line in lines if at < len(line)][1:]
    rest = io.StringIO()
    csv.writer(rest, lineterminator="\n").writerows(lines)
    return rest.getvalue().encode(), _typed(truth)


def _typed(cells: Sequence[str]) -> Array:
    """Cells as whole numbers, else numbers, else texts: as classes are written in a table."""
    for kind in (np.int64, np.float64):
        try:
            return np.array([kind(cell) for cell in cells])
        except ValueError:
            continue
    return np.array(cells, dtype=object)
