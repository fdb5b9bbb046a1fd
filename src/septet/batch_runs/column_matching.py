"""Which column of a source is which of the model's, and which are carried over: told before a run starts."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from septet.errors import MOST_PROBLEMS, Problem, invalid
from septet.model.moments import is_moment
from septet.model.signature import Column, Signature, Tensor
from septet.model.values import expected, holds_missing, is_optional
from septet.tables.arrow_values import is_readable, pa

_CLOSE: Final = 0.6


class ColumnMatching(msgspec.Struct, frozen=True):
    """The columns of a source that are read.

    Attributes:
        inputs: of each of the model's columns, or inputs where it has no columns, the column of the source; one that
            may be left out and is, is not there.
        kept: of each column that is carried over, its column of the source.
    """

    inputs: Mapping[str, str]
    kept: tuple[str, ...] = ()

    @property
    def columns(self) -> Sequence[str]:
        """All that are read, each once."""
        return list(dict.fromkeys((*self.inputs.values(), *self.kept)))


def match_columns(
    signature: Signature,
    names: Sequence[str],
    *,
    schema: pa.Schema | None = None,
    renames: Mapping[str, str] | None = None,
    kept: Sequence[str] = (),
) -> ColumnMatching:
    """Find the model's columns among those of a source, by their names; `renames` names some of them otherwise there.

    With a `schema` their types are looked at, too.

    Raises:
        Invalid: one is missing or has a type that its model's cannot have; all that are wrong are named.
    """
    renames, known = renames or {}, set(names)
    wanted = _wanted(signature)
    problems = [
        Problem(None, name, "a column of the model", "no such column") for name in renames if name not in wanted
    ]
    inputs: dict[str, str] = {}
    for name, (column, carrier, optional) in wanted.items():
        there = renames.get(name, name)
        if there not in known:
            if not optional or name in renames:
                problems.append(Problem(None, there, "a column", _advice(name, there, names)))
            continue
        inputs[name] = there
        if schema is not None:
            problems += _misfits(there, schema.field(there).type, column, carrier)
    problems += [Problem(None, each, "a column to keep", "no such column") for each in kept if each not in known]
    if problems:
        raise invalid(problems[:MOST_PROBLEMS])
    return ColumnMatching(inputs, tuple(kept))


def _wanted(signature: Signature) -> dict[str, tuple[Column | None, str, bool]]:
    """By name: the column with the dtype of its tensor, or no column for an input without; whether it may be absent."""
    if not signature.columns:
        return {tensor.name: (None, tensor.dtype, is_optional(tensor)) for tensor in signature.inputs}
    pairs: list[tuple[Column, Tensor]] = [(column, tensor) for tensor in signature.inputs for column in tensor.columns]
    return {
        column.name: (column, tensor.dtype, column.optional and holds_missing(tensor.dtype)) for column, tensor in pairs
    }


def _advice(name: str, there: str, names: Sequence[str]) -> str:
    plain = {_plain(each): each for each in names}
    close = difflib.get_close_matches(_plain(there), plain, 1, _CLOSE)
    if not close:
        return "no such column"
    return f"no such column; if it is {plain[close[0]]!r}, say --rename '{name}={plain[close[0]]}'"


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _misfits(name: str, kind: pa.DataType, column: Column | None, carrier: str) -> Iterator[Problem]:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if column is None:
        if not is_readable(kind):
            yield Problem(None, name, f"lists of {carrier}", f"the type {kind}")
        return
    if not _fits(kind, column, carrier):
        yield Problem(None, name, expected(column, carrier), f"the type {kind}")


def _fits(kind: pa.DataType, column: Column, carrier: str) -> bool:
    types, dtype = pa.types, column.dtype
    is_string = bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
    is_number = bool(types.is_integer(kind) or types.is_floating(kind))
    if types.is_null(kind):
        return column.nullable or column.optional
    if dtype == "string":
        return is_string
    if dtype == "bytes":
        is_bytes = types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
        return is_string or bool(is_bytes)
    if dtype == "bool":
        return bool(types.is_boolean(kind)) or (carrier != "bool" and is_number)
    return _is_moment(kind, column) or is_string if is_moment(dtype) else is_number or bool(types.is_decimal(kind))


def _is_moment(kind: pa.DataType, column: Column) -> bool:
    """Whether values are moments with a zone where the column's have one, and without one where they do not."""
    if pa.types.is_timestamp(kind):
        return (kind.tz is None) == (column.timezone is None)
    return bool(pa.types.is_date(kind)) and column.timezone is None
