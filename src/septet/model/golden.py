"""Golden rows: sample requests with the answers the model gave when it was packed."""

import math
from typing import Annotated, Any

import msgspec
import numpy as np

from septet.errors import PackageInvalid
from septet.model.base64_text import from_base64
from septet.model.signature import DTYPES
from septet.model.values import dtype_name
from septet.types import Array, Tensors

_MOST = 10
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Golden(msgspec.Struct, frozen=True, eq=False):
    """Requests and answers, one row a case. `absolute_tolerance` and `relative_tolerance` are as in `numpy.isclose`."""

    request: Tensors
    answer: Tensors
    absolute_tolerance: float
    relative_tolerance: float


class _GoldenTensor(msgspec.Struct, forbid_unknown_fields=True):
    dtype: str
    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    data: Any


class _File(msgspec.Struct, forbid_unknown_fields=True):
    absolute_tolerance: float
    relative_tolerance: float
    request: dict[str, _GoldenTensor]
    answer: dict[str, _GoldenTensor]


def golden_to_json(golden: Golden) -> bytes:
    """Return the bytes of `golden.json`, one row a line.

    NaN and the infinities are written as the texts "NaN", "Infinity" and "-Infinity", moments in ISO 8601, bytes in
    base64, and a missing string, moment or value of bytes as null.
    """
    parts = [
        '{\n  "absolute_tolerance": ' + repr(float(golden.absolute_tolerance)),
        '  "relative_tolerance": ' + repr(float(golden.relative_tolerance)),
        '  "request": ' + _tensors_to_json(golden.request),
        '  "answer": ' + _tensors_to_json(golden.answer) + "\n}\n",
    ]
    return ",\n".join(parts).encode()


def golden_from_json(data: bytes, source: str) -> Golden:
    """Read the bytes of `golden.json`; `source` is where they come from, for messages.

    Raises:
        PackageInvalid: they are not golden rows.
    """
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise PackageInvalid(f"{source}: does not hold golden rows: {exc}") from exc
    return Golden(
        request={name: _array(tensor, f"{source}: request '{name}'") for name, tensor in file.request.items()},
        answer={name: _array(tensor, f"{source}: answer '{name}'") for name, tensor in file.answer.items()},
        absolute_tolerance=file.absolute_tolerance,
        relative_tolerance=file.relative_tolerance,
    )


def mismatches(golden: Golden, actual: Tensors) -> tuple[str, ...]:
    """Say where an answer differs from the golden one: output, row, expected and got, the first 10.

    Floats may differ by the tolerances, and NaN equals NaN; all else has to be equal.
    """
    found: list[str] = []
    for name, expected in golden.answer.items():
        got = actual.get(name)
        if got is None:
            found.append(f"output '{name}': expected {_form(expected)}, got nothing")
        elif _form(got) != _form(expected):
            found.append(f"output '{name}': expected {_form(expected)}, got {_form(got)}")
        else:
            found.extend(_differences(name, expected, got, golden))
    return tuple(found[:_MOST])


def _differences(name: str, expected: Array, got: Array, golden: Golden) -> list[str]:
    if expected.dtype.kind == "f":
        # In float64, where the difference of two huge float32 stays finite.
        wide = got.astype(np.float64), expected.astype(np.float64)
        with np.errstate(over="ignore"):
            close = np.isclose(*wide, golden.relative_tolerance, golden.absolute_tolerance, equal_nan=True)
    else:
        close = np.asarray(got == expected, dtype=bool)
        if expected.dtype.kind == "M":
            close = close | (np.isnat(got) & np.isnat(expected))
    lines = []
    for at in np.argwhere(~np.atleast_1d(close))[:_MOST]:
        index = tuple(int(i) for i in at)
        inner = f" {list(index[1:])}" if len(index) > 1 else ""
        want, have = np.atleast_1d(expected)[index], np.atleast_1d(got)[index]
        lines.append(f"output '{name}', row {index[0]}{inner}: expected {_shown(want)}, got {_shown(have)}")
    return lines


def _shown(value: object) -> str:
    if isinstance(value, np.datetime64):
        return str(value)
    return repr(value.item() if isinstance(value, np.generic) else value)[:80]


def _form(array: Array) -> str:
    return f"{dtype_name(array)}{list(array.shape)}"


def _tensors_to_json(tensors: Tensors) -> str:
    if not tensors:
        return "{}"
    return "{\n" + ",\n".join(_tensor_to_json(name, array) for name, array in tensors.items()) + "\n  }"


def _tensor_to_json(name: str, array: Array) -> str:
    values: Any = array.tolist()
    if array.dtype.kind == "M":
        values = _without_nat(np.datetime_as_string(array).tolist())
    elif array.dtype.kind == "O":
        values = _without_nan(values)
    if array.ndim and array.size:
        data = "[\n" + ",\n".join(f"        {_json(row)}" for row in values) + "\n      ]"
    else:
        data = _json(values)
    head = f'    {_json(name)}: {{\n      "dtype": "{dtype_name(array)}",\n      "shape": {_json(list(array.shape))},\n'
    return f'{head}      "data": {data}\n    }}'


def _json(value: object) -> str:
    return msgspec.json.encode(_spelled(value)).decode()


def _spelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _without_nan(value: Any) -> Any:
    """Return strings with None where a library has put NaN for a missing one."""
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _without_nat(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nat(item) for item in value]
    return None if value == "NaT" else value


def _unspelled(value: Any) -> Any:
    if isinstance(value, list):
        return [_unspelled(item) for item in value]
    return _SPECIAL.get(value, value) if isinstance(value, str) else value


def _array(tensor: _GoldenTensor, place: str) -> Array:
    if tensor.dtype not in DTYPES:
        raise PackageInvalid(f"{place}: unknown dtype '{tensor.dtype}'; known are {', '.join(DTYPES)}")
    try:
        if tensor.dtype == "string":
            return _strings(tensor)
        if tensor.dtype == "bytes":
            values = [None if text is None else from_base64(text) for text in _strings(tensor).ravel().tolist()]
            return np.fromiter(values, dtype=object).reshape(tensor.shape)
        if tensor.dtype.startswith("datetime64"):
            # numpy reads None as NaT, and would take a number for a count of units.
            return _strings(tensor).astype(DTYPES[tensor.dtype])
        return np.array(_unspelled(tensor.data), dtype=DTYPES[tensor.dtype]).reshape(tensor.shape)
    except (TypeError, ValueError, OverflowError) as exc:
        raise PackageInvalid(f"{place}: data does not fit {tensor.dtype}{list(tensor.shape)}: {exc}") from exc


def _strings(tensor: _GoldenTensor) -> Array:
    values = tensor.data if tensor.shape else [tensor.data]
    for _ in tensor.shape[1:]:
        values = [item for row in values for item in row]
    if not {str, type(None)}.issuperset(map(type, values)):
        raise TypeError("a value is neither a string nor null")
    return np.fromiter(values, dtype=object).reshape(tensor.shape)
