"""Signatures with valid rows, and bodies that are almost valid, for property tests of the codecs."""

import csv
import datetime as dt
import io
from base64 import b64encode
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from septet.errors import Invalid, Malformed
from septet.model.signature import DTYPES, Column, Kind, Signature, Tensor
from septet.protocols.codecs.decoded_body import DecodedBody
from septet.tensors import listed
from septet.types import Array, Tensors

OUTPUTS = (Tensor("y", "float32", (None,)),)
WEIRD = ("id", "data", "records", "inputs", 'a"b', "a\\b", "a,b", "å β", "", "a\nb", "x[0]", "😀", "null")
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
keys = st.sampled_from(WEIRD) | texts


def elements(dtype: str) -> st.SearchStrategy[Any]:
    if dtype == "string":
        return texts
    if dtype == "bytes":
        return st.binary(max_size=8)
    if dtype == "bool":
        return st.booleans()
    kind = DTYPES[dtype]
    if kind.kind == "M":
        moments = st.datetimes(dt.datetime.fromisoformat("1678-01-01"), dt.datetime.fromisoformat("2262-01-01"))
        return moments.map(lambda moment: np.datetime64(moment, "us").astype(kind))
    if kind.kind == "f":
        return hnp.from_dtype(kind, allow_nan=False, allow_infinity=False)
    limits: np.iinfo[Any] = np.iinfo(dtype)
    return st.integers(int(limits.min), int(limits.max))


@st.composite
def tabular(draw: st.DrawFn) -> Signature:
    """Signatures whose inputs all have columns, of any dtypes, widths and names."""
    widths = draw(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=3))
    names = draw(st.lists(keys, min_size=12, max_size=12, unique=True))
    inputs = []
    for at, width in enumerate(widths):
        dtype = draw(st.sampled_from(list(DTYPES)))
        own = tuple(Column(names.pop(), dtype, nullable=draw(st.booleans())) for _ in range(max(width, 1)))
        inputs.append(Tensor(f"{at}{names.pop()}", dtype, (None, width) if width else (None,), own))
    return Signature(Kind.TENSORS, tuple(inputs), OUTPUTS)


@st.composite
def deep(draw: st.DrawFn) -> Signature:
    """Signatures of tensors of rank 1 to 4 without columns, some with free dimensions."""
    names = draw(st.lists(keys, min_size=1, max_size=3, unique=True))
    sizes = st.lists(st.none() | st.integers(1, 3), max_size=3)
    inputs = [Tensor(name, draw(st.sampled_from(list(DTYPES))), (None, *draw(sizes))) for name in names]
    return Signature(Kind.TENSORS, tuple(inputs), OUTPUTS)


@st.composite
def with_rows(draw: st.DrawFn, signatures: st.SearchStrategy[Signature]) -> tuple[Signature, Tensors]:
    """A signature and rows that fit it; None (NaN among floats) only where a column takes null."""
    signature = draw(signatures)
    rows = draw(st.integers(1, 4))
    return signature, {tensor.name: draw(_arrays(tensor, rows)) for tensor in signature.inputs}


@st.composite
def _arrays(draw: st.DrawFn, tensor: Tensor, rows: int) -> Array:
    shape = (rows, *(draw(st.integers(1, 3)) if size is None else size for size in tensor.shape[1:]))
    array: Array = draw(hnp.arrays(DTYPES[tensor.dtype], shape, elements=elements(tensor.dtype), fill=st.nothing()))
    missing = {"O": None, "f": np.nan, "M": np.datetime64("NaT")}
    for at, column in enumerate(tensor.columns):
        if column.nullable and array.dtype.kind in missing and draw(st.booleans()):
            array[(0, at) if array.ndim > 1 else 0] = missing[array.dtype.kind]
    return array


def plain(value: Any) -> Any:
    """Nested lists, NaN as null, bytes as base64."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return None if isinstance(value, float) and np.isnan(value) else value


def rows_of(signature: Signature, tensors: Tensors) -> list[list[Any]]:
    """The rows in column order, as JSON has them."""
    count = len(next(iter(tensors.values())))
    tables = [plain(listed(tensors[tensor.name].reshape(count, -1))) for tensor in signature.inputs]
    return [[value for table in tables for value in table[row]] for row in range(count)]


def forms(signature: Signature, tensors: Tensors) -> dict[str, Any]:
    """The value of every form of body that the signature has."""
    found: dict[str, Any] = {"inputs": {name: plain(listed(array)) for name, array in tensors.items()}}
    # null is written by column; in a tensor every column has to take it
    if any(0 < sum(c.nullable for c in tensor.columns) < len(tensor.columns) for tensor in signature.inputs):
        found = {}
    if signature.columns:
        rows = rows_of(signature, tensors)
        names = [column.name for column in signature.columns]
        found |= {"data": rows, "records": [dict(zip(names, row, strict=True)) for row in rows]}
    elif len(signature.inputs) == 1:
        found["data"] = plain(listed(tensors[signature.inputs[0].name]))
    return found


def csv_of(signature: Signature, tensors: Tensors, **dialect: Any) -> bytes:
    """The rows with a header, by the standard library's writer; null as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, **dialect)
    writer.writerow([column.name for column in signature.columns])
    writer.writerows(rows_of(signature, tensors))
    return text.getvalue().encode()


def same(tensors: Tensors, body: DecodedBody) -> None:
    """Assert that a body has these tensors, exactly."""
    assert list(body.tensors) == list(tensors)
    for name, array in tensors.items():
        assert body.tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(body.tensors[name], array)


def outcome(decode: Any, body: bytes) -> DecodedBody | None:
    """The decoded body, or None where it is refused as the codecs may."""
    try:
        decoded = decode(body)
    except (Malformed, Invalid) as error:
        msgspec.json.encode([error.message, error.problems])  # what is refused can be answered
        return None
    assert isinstance(decoded, DecodedBody)
    return decoded
