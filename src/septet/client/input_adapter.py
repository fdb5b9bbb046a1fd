"""What a caller has -> the model's tensors, by the model's own signature.

Rows and records are read by the codec with which the server reads JSON, so that they mean the same and are refused in
the same words. Arrays and frames are converted column by column; a value is never changed to fit, only its type.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
import numpy as np

from septet.columns.casting import cast, cast_tensor, plain
from septet.columns.stacking import split, stacked_inputs
from septet.errors import Invalid, Problem, invalid
from septet.model.moments import expected, is_moment
from septet.model.received import received
from septet.model.signature import Column, Signature, Tensor
from septet.model.values import is_optional, is_whole
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.openinference.datatypes import DATATYPES
from septet.protocols.openinference.infer_schema import InferSchema
from septet.remote.remote_tensors import RemoteTensors
from septet.types import Array, Tensors

SHOWN_NAMES = 10


class InputKind(Enum):
    """What the caller gave, and so is answered in."""

    ARRAY = "array"
    TENSORS = "tensors"
    FRAME = "frame"
    ROWS = "rows"


class ModelInputs(msgspec.Struct, frozen=True):
    """The tensors of a request, as the Open Inference Protocol has them: moments as texts.

    `index` labels the rows of a frame.
    """

    tensors: Tensors
    kind: InputKind
    index: Any = None


class InputAdapter:
    """Takes data for one signature. `max_rows` bounds the rows of a request.

    Attributes:
        byte_outputs: the names of outputs of bytes, for `InferCall`.
    """

    def __init__(self, signature: Signature, *, max_rows: int) -> None:
        self._inputs = signature.inputs
        self._columns = signature.columns
        self._rows = signature.rows
        self._remote = RemoteTensors(signature)
        self.byte_outputs = self._remote.byte_outputs
        self._has_texts = any(each.dtype == "string" for each in signature.inputs)
        self._schema = InferSchema(signature, max_rows=max_rows)
        self._body = JsonBody(signature, max_rows=max_rows)

    def __call__(self, data: Any) -> ModelInputs:
        """Take an array, arrays by name, a DataFrame, records, or rows.

        Raises:
            Invalid: the data does not fit the model; `problems` says where.
            TypeError: it is none of these.
        """
        if isinstance(data, np.ndarray):
            return ModelInputs(self._checked(self._from_array(data)), InputKind.ARRAY)
        if isinstance(data, Mapping):
            return ModelInputs(self._checked(self._from_arrays(data)), InputKind.TENSORS)
        if _is_frame(data):
            return ModelInputs(self._checked(self._from_frame(data)), InputKind.FRAME, data.index)
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            return ModelInputs(self._from_rows(data), InputKind.ROWS)
        kinds = "a numpy array, a dict of arrays, a pandas DataFrame, a list of records, or a list of rows"
        raise TypeError(f"Expected {kinds}, received {type(data).__name__}.")

    def _from_array(self, data: Array) -> dict[str, Array]:
        if len(self._inputs) == 1:
            return {self._inputs[0].name: cast_tensor(data, self._inputs[0])}
        if data.ndim != 2 or data.shape[1] != len(self._columns):  # noqa: PLR2004 - rows and columns
            names = _listed([each.name for each in self._inputs])
            what = f"an array of {len(self._columns)} columns" if self._columns else "a dict of arrays"
            text = f"The model takes the inputs {names}: send {what}, not an array of shape {list(data.shape)}."
            raise Invalid(text, (Problem(None, None, what, f"an array of shape {list(data.shape)}"),))
        parts = split(data, self._inputs)
        return {each.name: cast_tensor(parts[each.name], each) for each in self._inputs}

    def _from_arrays(self, data: Mapping[str, Any]) -> dict[str, Array]:
        tensors = {each.name: each for each in self._inputs}
        free = [each.name for each in self._inputs if is_optional(each)] if self._rows else []
        self._check_names("inputs", list(tensors), list(data), free)
        return {
            name: cast_tensor(_as_array(data[name], tensor), tensor) for name, tensor in tensors.items() if name in data
        }

    def _from_frame(self, data: Any) -> dict[str, Array]:
        if not self._columns:
            text = "The model's inputs have no named columns: send an array, or a dict of arrays, not a DataFrame."
            raise Invalid(text, (Problem(None, None, "arrays", "a DataFrame"),))
        free = [each.name for each in self._columns if each.optional]
        self._check_names("columns", [each.name for each in self._columns], list(data.columns), free)
        none = np.full(len(data), None, object)
        parts = [
            cast(_values(data[column.name], column) if column.name in data else none, column, each.dtype)
            for each in self._inputs
            for column in each.columns
        ]
        return stacked_inputs(parts, self._inputs)

    def _from_rows(self, data: Sequence[Any]) -> Tensors:
        key = "records" if data and all(isinstance(each, Mapping) for each in data) else "data"
        body = msgspec.json.encode({key: data}, enc_hook=_plain)
        if b"null" in body and self._columns:
            self._refuse_infinities(data)
        if self._has_texts:
            self._refuse_bytes(data)
        return self._remote.inputs(self._body(body).tensors)

    def _refuse_infinities(self, rows: Sequence[Any]) -> None:
        """Refuse infinities, which JSON would write as missing values."""
        for row, name, value in self._cells(rows):
            if isinstance(value, float | np.floating) and np.isinf(value):
                raise invalid([Problem(row, name, "a finite number", str(value))])

    def _refuse_bytes(self, rows: Sequence[Any]) -> None:
        """Refuse bytes in columns of texts, where JSON would write base64."""
        texts = {each.name for each in self._columns if each.dtype == "string"}
        for row, name, value in self._cells(rows):
            if isinstance(value, bytes | bytearray | memoryview) and name in texts:
                raise invalid([Problem(row, name, "a text", f"{len(value)} bytes")])

    def _cells(self, rows: Sequence[Any]) -> Iterator[tuple[int, str, Any]]:
        """Each cell of rows or records with its row and column."""
        named: Iterable[tuple[Any, Any]]
        for row, cells in enumerate(rows):
            if isinstance(cells, Mapping):
                named = cells.items()
            elif isinstance(cells, Sequence):
                named = zip((each.name for each in self._columns), cells, strict=False)
            else:
                continue
            for name, value in named:
                yield row, str(name), value

    def _checked(self, arrays: dict[str, Array]) -> Tensors:
        for each in self._inputs:
            if each.name in arrays:
                self._schema.input(each.name, DATATYPES[each.dtype], arrays[each.name].shape)
        tensors, _ = self._schema.tensors(arrays.items())
        return self._remote.inputs(tensors)

    def _check_names(self, noun: str, known: list[str], given: list[Any], free: list[str]) -> None:
        """Refuse names that are not known or missing; those that are `free` may be left out."""
        missing = [name for name in known if name not in given and name not in free]
        others = [name for at, name in enumerate(given) if name not in known or name in given[:at]]
        if not missing and not others:
            return
        faults = [f"lacks the {noun} {_listed(missing)}"] if missing else []
        faults += [f"has the {noun} {_listed(others)} that the model does not take, or takes once"] if others else []
        problems = [Problem(None, name, "a value", "none") for name in missing]
        problems += [Problem(None, str(name), f"one of the {noun} {_listed(known)}, once", "it") for name in others]
        raise Invalid(f"The data {' and '.join(faults)}. The model takes {_listed(known)}.", tuple(problems))


def _as_array(data: Any, tensor: Tensor) -> Array:
    # numpy's own bytes lose zeros at their end.
    return np.asarray(data, object if tensor.dtype == "bytes" and not isinstance(data, np.ndarray) else None)


def _is_frame(data: Any) -> bool:
    """Whether it is a DataFrame. Who has one has imported pandas; it is not imported for a question."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _values(series: Any, column: Column) -> Array:
    """A column of a frame as an array; what is missing is NaN for a number, NaT for a moment, and None for all else."""
    if is_moment(column.dtype) and hasattr(series, "dt") and hasattr(series.dt, "tz"):
        return _moments(series, column)
    if not series.hasnans or (is_whole(column.dtype) and series.dtype in (np.float64, np.float32)):
        return np.asarray(series)
    if column.dtype.startswith("float"):
        try:
            return series.to_numpy(dtype=np.float64, na_value=np.nan)  # type: ignore[no-any-return]
        except (TypeError, ValueError):
            pass  # `cast` says which value is no number
    return series.astype(object).where(series.notna(), None).to_numpy()  # type: ignore[no-any-return]


def _moments(series: Any, column: Column) -> Array:
    """Moments in UTC where the column has a zone, else as they are.

    Raises:
        Invalid: the series has a zone and the column none, or the other way round.
    """
    if (series.dt.tz is None) != (column.timezone is None):
        if not len(series):
            return np.empty(0, "datetime64[ns]")
        shown = received(plain(series.iloc[0]))
        raise invalid([Problem(0, column.name, expected(column), shown)])
    if series.dt.tz is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    return series.to_numpy()  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """What numpy and pandas have in the cells of rows, as JSON has it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    found = plain(value)
    if found is not value:
        return found
    raise TypeError(f"A row holds a {type(value).__name__}; rows hold texts, numbers, booleans, moments and None.")


def _listed(names: list[Any]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(repr(name) for name in names[:SHOWN_NAMES]) + more
