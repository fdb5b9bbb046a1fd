"""The slow reading of JSON: what it accepts beyond the compiled decoder, because callers really send it."""

import json
from typing import Any

import pytest

from septet.errors import Malformed
from septet.model.received import shape_text
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.protocols.codecs.json_body import JsonBody
from septet.protocols.codecs.json_diagnosis import JsonDiagnosis
from tests.protocols import bodies


def one_column(dtype: str, *, flat: bool = False) -> Signature:
    tensor = Tensor("x", dtype, (None,) if flat else (None, 1), (Column("n", dtype),))
    return Signature(Kind.TENSORS, (tensor,), bodies.OUTPUTS)


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    ("dtype", "body", "values"),
    [
        ("int64", {"data": [[3.0], [1e2]]}, [3, 100]),
        ("float32", {"data": [1.5, 2]}, [1.5, 2]),
        ("float32", {"inputs": {"x": [1.5, 2]}}, [1.5, 2]),
        ("string", {"data": ["a", "b"]}, ["a", "b"]),
    ],
)
def test_callers_shorthands_are_read(dtype: str, body: Any, values: list[Any], *, flat: bool) -> None:
    decoded = JsonBody(one_column(dtype, flat=flat), max_rows=9)(json.dumps(body).encode())
    assert decoded.tensors["x"].shape == ((2,) if flat else (2, 1))
    assert decoded.tensors["x"].ravel().tolist() == values


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_named(name: str) -> None:
    with pytest.raises(Malformed, match=f"no {name}"):
        JsonDiagnosis(one_column("float32"), max_rows=9)(f'{{"data":[[{name}]]}}'.encode(), "")


def test_a_shape_is_written_as_the_open_inference_protocol_has_it() -> None:
    assert shape_text((None, 3)) == "[-1, 3]"
