"""What a model asks of a request: names, datatypes, shapes and rows, in words when it is broken."""

import numpy as np
import pytest

from septet.errors import Invalid
from septet.protocols.openinference.infer_schema import InferSchema
from septet.types import Array
from tests.protocols import models

ROWS = InferSchema(models.tensors(rows=True).signature, max_rows=3)
UNIT = InferSchema(models.tensors(rows=False).signature, max_rows=3)
IMAGE, MASK = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 5), np.bool_)


def test_an_input_that_fits_is_the_models_own() -> None:
    assert ROWS.input("image", "UINT8", [7, 2, 3]).name == "image"
    assert ROWS.input("mask", "BOOL", [7, 0]).name == "mask"
    assert UNIT.input("image", "UINT8", [1, 2, 3]).shape == (1, 2, 3)


@pytest.mark.parametrize(
    ("name", "datatype", "shape", "message"),
    [
        ("picture", "UINT8", [1, 2, 3], "The model has no input 'picture'. It has 'image', 'mask'."),
        ("image", "FP32", [1, 2, 3], "The input 'image' takes the datatype UINT8, received FP32."),
        ("image", "FP8", [1, 2, 3], "'image' has the unknown datatype 'FP8'."),
        ("image", "UINT8", [2, 3], "The input 'image' takes the shape [-1, 2, 3], received [2, 3]."),
        ("image", "UINT8", [1, 2, 4], "takes the shape [-1, 2, 3], received [1, 2, 4]."),
        ("image", "UINT8", [-1, 2, 3], "takes the shape [-1, 2, 3], received [-1, 2, 3]."),
        ("mask", "BOOL", [1, -1], "takes the shape [-1, -1], received [1, -1]."),
    ],
)
def test_an_input_that_does_not_fit_is_refused(name: str, datatype: str, shape: list[int], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        ROWS.input(name, datatype, shape)
    assert message in refused.value.message


def test_a_unit_takes_its_declared_shape_only() -> None:
    with pytest.raises(Invalid, match=r"takes the shape \[1, 2, 3\], received \[2, 2, 3\]"):
        UNIT.input("image", "UINT8", [2, 2, 3])


def test_all_inputs_in_any_order_are_a_request() -> None:
    tensors, rows = ROWS.tensors([("mask", MASK), ("image", IMAGE)])
    assert (set(tensors), rows) == ({"image", "mask"}, 2)
    assert UNIT.tensors([("mask", MASK), ("image", IMAGE)])[1] == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("mask", MASK)], "The input 'image' is missing. The model takes 'image', 'mask'."),
        ([("mask", MASK), ("image", IMAGE), ("mask", MASK)], "The input 'mask' comes twice."),
        ([("mask", MASK[:1]), ("image", IMAGE)], "'image' has 2 and 'mask' has 1."),
        ([("mask", MASK[:0]), ("image", IMAGE[:0])], "The request has no rows."),
        ([("mask", MASK.repeat(2, 0)), ("image", IMAGE.repeat(2, 0))], "The request has 4 rows and the limit is 3."),
    ],
)
def test_inputs_that_make_no_request_are_refused(given: list[tuple[str, Array]], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        ROWS.tensors(given)
    assert message in refused.value.message


def test_wanted_outputs_stay_in_the_callers_order() -> None:
    assert ROWS.outputs(["count", "features"]) == ("count", "features")
    assert ROWS.outputs([]) is None
    with pytest.raises(Invalid, match=r"no output 'scores'\. It has 'features', 'count'"):
        ROWS.outputs(["count", "scores"])
    with pytest.raises(Invalid, match="The output 'count' is asked for twice"):
        ROWS.outputs(["count", "count"])
