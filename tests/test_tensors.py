"""Values that are made into arrays together and cut apart as lists: the same as each by itself."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from septet.tensors import Deferred, Outputs, Part, flat, joined, nested, plain
from septet.types import Array, Tensors

sizes = st.lists(st.integers(1, 5), min_size=1, max_size=6)


def make(data: bytes) -> Tensors:
    return {"x": np.frombuffer(data, np.float32).reshape(-1, 2)}


def make_rows(rows: list[tuple[float, float]]) -> Tensors:
    return {"x": np.array(rows, np.float32)}


def same(found: Tensors, expected: Tensors) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


@given(sizes, st.lists(st.sampled_from(["bytes", "rows", "arrays"]), min_size=6, max_size=6))
def test_joined_tensors_are_those_of_each_behind_the_other(counts: list[int], kinds: list[str]) -> None:
    parts: list[Tensors] = []
    arrays: list[Array] = []
    for at, (count, kind) in enumerate(zip(counts, kinds, strict=False)):
        array = np.arange(2 * count, dtype=np.float32).reshape(count, 2) + 100 * at
        arrays.append(array)
        if kind == "bytes":
            parts.append(Deferred(make, array.tobytes()))
        elif kind == "rows":
            parts.append(Deferred(make_rows, [tuple(row) for row in array.tolist()]))
        else:
            parts.append({"x": array})
    same(joined(parts), {"x": np.concatenate(arrays)})
    for part, array in zip(parts, arrays, strict=True):
        same(plain(part), {"x": array})


def test_deferred_tensors_are_a_mapping_that_is_made_once() -> None:
    made: list[bytes] = []

    def counted(data: bytes) -> Tensors:
        made.append(data)
        return make(data)

    tensors = Deferred(counted, np.zeros(4, np.float32).tobytes())
    assert not made
    assert (list(tensors), len(tensors), tensors["x"].shape) == (["x"], 1, (2, 2))
    assert plain(tensors)["x"] is tensors["x"]
    assert len(made) == 1


@given(
    sizes,
    hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
    st.sampled_from([np.float32, np.int64, np.bool_, object]),
)
def test_parts_of_a_run_show_what_their_rows_would_alone(counts: list[int], inner: tuple[int, ...], dtype: Any) -> None:
    rows = sum(counts)
    array = np.arange(rows * int(np.prod(inner))).reshape(rows, *inner).astype(dtype)
    shared = Outputs({"y": array}, rows)
    start = 0
    for count in counts:
        part, alone = Part(shared, start, start + count), {"y": array[start : start + count]}
        same(part, alone)
        assert len(part) == 1
        assert nested("y", part) == nested("y", alone)
        assert flat("y", part) == flat("y", alone)
        start += count
