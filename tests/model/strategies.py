"""Signatures, manifests and tensors for property tests."""

import datetime as dt
from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from septet.model.manifest import Data, Manifest, Parity, Training
from septet.model.signature import DTYPES, Column, Kind, Scalar, Signature, Tensor
from septet.settings import NAME_PATTERN, VERSION_PATTERN
from septet.types import Array, Tensors

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def columns(draw: st.DrawFn, name: str, dtype: str) -> Column:
    bounds: list[float | None] = [None, None]
    categories: tuple[Scalar, ...] | None = None
    if dtype == "string":
        categories = draw(st.none() | st.lists(names, min_size=1, max_size=4).map(tuple))
    elif dtype not in ("bool", "bytes"):
        limits = st.floats(-100, 100) if dtype[0] != "u" else st.floats(0, 100)
        low, high = sorted((draw(limits), draw(limits)))
        bounds = [
            draw(st.sampled_from([None, float(np.floor(low))])),
            draw(st.sampled_from([None, float(np.ceil(high))])),
        ]
    return Column(
        name,
        dtype,
        nullable=draw(st.booleans()),
        minimum=bounds[0],
        maximum=bounds[1],
        categories=categories,
        other_categories=draw(st.booleans()),
        unit=draw(st.none() | names),
        max_bytes=draw(st.none() | st.integers(0, 10)) if dtype == "bytes" else None,
    )


@st.composite
def tensors(draw: st.DrawFn, name: str, prefix: str) -> Tensor:
    dtype = draw(st.sampled_from(list(DTYPES)))
    form = draw(st.sampled_from(["flat", "table", "deep"]))
    if form == "deep":
        return Tensor(name, dtype, (None, *draw(st.lists(st.none() | st.integers(1, 4), min_size=1, max_size=3))))
    width = 1 if form == "flat" else draw(st.integers(1, 4))
    named = tuple(draw(columns(f"{prefix}{at}", dtype)) for at in range(width))
    return Tensor(name, dtype, (None,) if form == "flat" else (None, width), named)


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    inputs = tuple(
        draw(tensors(name, f"{at}."))
        for at, name in enumerate(draw(st.lists(names, min_size=1, max_size=3, unique=True)))
    )
    labels = tuple(draw(st.lists(names, min_size=1, max_size=4, unique=True)))
    outputs = (Tensor("label", "int64", (None,)), Tensor("scores", "float32", (None, len(labels))))
    classes = draw(st.sampled_from([(), tuple(range(len(labels)))]))
    return Signature(
        Kind.CLASSIFICATION, inputs, outputs, label="label", scores="scores", labels=labels, classes=classes
    )


def _records() -> st.SearchStrategy[Training]:
    data = st.builds(
        Data,
        name=st.none() | names,
        rows=st.none() | st.integers(0, 10**9),
        digest=st.none() | digests,
        since=st.none() | st.dates(),
        until=st.none() | st.dates(),
    )
    plain = st.booleans() | st.integers(-(2**63), 2**63 - 1) | numbers | names
    return st.builds(
        Training,
        trained_at=st.none() | st.datetimes() | st.datetimes(timezones=st.just(dt.UTC)),
        data=data,
        parameters=st.dictionaries(names, plain | st.lists(plain, max_size=3), max_size=3),
        metrics=st.dictionaries(names, numbers, max_size=3),
        libraries=st.dictionaries(names, names, max_size=3),
        owner=st.none() | names,
    )


def manifests() -> st.SearchStrategy[Manifest]:
    return st.builds(
        Manifest,
        name=st.from_regex(NAME_PATTERN),
        version=st.from_regex(VERSION_PATTERN),
        runtime=st.sampled_from(["onnx", "sklearn"]),
        artefact=names,
        signature=signatures(),
        files=st.dictionaries(names, digests, max_size=3),
        training=_records(),
        valid_for_days=st.none() | st.integers(0, 1000),
        parity=st.none() | st.builds(Parity, st.integers(0, 9), numbers, numbers, numbers),
        description=st.none() | names,
        format=st.just(1),
    )


def _strings(shape: tuple[int, ...]) -> st.SearchStrategy[Array]:
    return hnp.arrays(object, shape, elements=st.none() | names, fill=st.nothing())


def _bytes(shape: tuple[int, ...]) -> st.SearchStrategy[Array]:
    return hnp.arrays(object, shape, elements=st.none() | st.binary(max_size=8), fill=st.nothing())


def arrays() -> st.SearchStrategy[Array]:
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    plain: list[Callable[[tuple[int, ...]], st.SearchStrategy[Array]]] = [
        lambda shape, dtype=dtype: hnp.arrays(dtype, shape)  # type: ignore[misc]
        for dtype in DTYPES.values()
        if dtype != np.dtype(object)
    ]
    return st.tuples(shapes, st.sampled_from([*plain, _strings, _bytes])).flatmap(lambda drawn: drawn[1](drawn[0]))


def tensor_maps() -> st.SearchStrategy[Tensors]:
    return st.dictionaries(names, arrays(), max_size=3)
