"""The ONNX project's own node tests, as the package `onnx` brings them: a model of one operator and its inputs."""

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import numpy as np
import onnxruntime

from septet.model.signature import DTYPES
from septet.types import Array


class Case(msgspec.Struct, frozen=True):
    """One model, the values of its inputs by name, and what the engine itself answers."""

    name: str
    model: bytes
    inputs: dict[str, Array]
    outputs: dict[str, Array]


@cache
def _all() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they divide by zero on purpose
        from onnx.backend.test.loader import load_model_tests

        return sorted(load_model_tests(kind="node"), key=lambda case: str(case.name))


def cases(part: int, parts: int) -> Iterator[Case]:
    """Of every `parts`-th from `part` on: those that the engine can run, the same way twice, on plain arrays."""
    for made in _all()[part::parts]:
        names = [item.name for item in made.model.graph.input]
        values = made.data_sets[0][0]
        if not _plain(values):
            continue
        inputs = {name: _array(value) for name, value in zip(names, values, strict=False)}
        model = made.model.SerializeToString()
        try:
            session = _session(model)
            outputs = [item.name for item in session.get_outputs()]
            answers = session.run(outputs, inputs)
            again = session.run(outputs, inputs)
        except Exception:  # noqa: BLE001 - whatever the engine cannot do is none of ours
            continue
        if _plain(answers) and all(same(one, other) for one, other in zip(answers, again, strict=True)):
            yield Case(str(made.name), model, inputs, dict(zip(outputs, map(_array, answers), strict=True)))


def same(one: Array, other: Array) -> bool:
    """Whether two arrays are equal to the last bit; NaN is NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))


def _session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _plain(values: Any) -> bool:
    return all(
        isinstance(value, np.ndarray | np.generic) and _array(value).dtype in DTYPES.values() for value in values
    )


def _array(value: Any) -> Array:
    array = np.asarray(value)
    return array.astype(object) if array.dtype.kind in "UT" else array
