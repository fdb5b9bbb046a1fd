"""The values that encoders in an ONNX graph list are the categories of the columns that they encode."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from septet.model.sample import sample
from septet.runtimes.base import InputRejected, LoadOptions
from septet.runtimes.onnx.onnx_runtime import OnnxRuntime, load
from tests.runtimes.onnx_models import FLOAT, INT64, ML, STRING, constant, info, model, node, saved, skl2onnx

STRINGS = np.array([["female", "S"], ["male", "C"], ["male", "Q"], ["female", "C"]], object)
TARGET = [0, 1, 1, 0]


def served(folder: Path, made: Any) -> OnnxRuntime:
    return load(saved(folder, made), LoadOptions())


def trained(encoder: Any, rows: Any = STRINGS, kind: int = STRING) -> Any:
    types = {STRING: "String", INT64: "Int64", FLOAT: "Float"}
    tensor = getattr(skl2onnx.common.data_types, f"{types[kind]}TensorType")([None, rows.shape[1]])
    estimator = make_pipeline(encoder, LogisticRegression()).fit(rows, TARGET)
    return skl2onnx.to_onnx(estimator, initial_types=[("x", tensor)], options={"zipmap": False})


def found(runtime: OnnxRuntime) -> list[tuple[Any, bool]]:
    return [(column.categories, column.other_categories) for column in runtime.signature.columns]


LISTS = [("female", "male"), ("C", "Q", "S")]


def test_a_list_that_the_model_insists_on_is_closed(tmp_path: Path) -> None:
    runtime = served(tmp_path, trained(OneHotEncoder()))
    assert found(runtime) == [(each, False) for each in LISTS]
    for first in LISTS[0]:
        for second in LISTS[1]:
            assert runtime.run({"x": np.array([[first, second]], object)})
    for strange in (["child", "C"], ["male", "c"], ["", "C"]):
        with pytest.raises(InputRejected):
            runtime.run({"x": np.array([strange], object)})


@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ],
)
def test_a_list_beside_which_others_are_taken_is_open(tmp_path: Path, encoder: Any) -> None:
    runtime = served(tmp_path, trained(encoder))
    assert found(runtime) == [(each, True) for each in LISTS]
    assert runtime.run({"x": np.array([["child", "c"]], object)})


def test_each_column_of_a_matrix_has_its_own(tmp_path: Path) -> None:
    rows = np.array([["a", "x", "k"], ["b", "y", "l"], ["b", "z", "k"], ["a", "x", "l"]], object)
    encoder = ColumnTransformer([("hot", OneHotEncoder(), [2, 0]), ("ordinal", OrdinalEncoder(), [1])])
    runtime = served(tmp_path, trained(encoder, rows))
    assert found(runtime) == [(("a", "b"), False), (("x", "y", "z"), True), (("k", "l"), False)]


def test_inputs_of_a_column_each(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    types = skl2onnx.common.data_types
    frame = pandas.DataFrame({"fare": [1.0, 2.0, 3.0, 4.0], "sex": STRINGS[:, 0], "port": STRINGS[:, 1]})
    encoder = ColumnTransformer([("n", StandardScaler(), ["fare"]), ("c", OneHotEncoder(), ["sex", "port"])])
    made = skl2onnx.to_onnx(
        make_pipeline(encoder, LogisticRegression()).fit(frame, TARGET),
        initial_types=[
            ("fare", types.FloatTensorType([None, 1])),
            ("sex", types.StringTensorType([None, 1])),
            ("port", types.StringTensorType([None, 1])),
        ],
        options={"zipmap": False},
    )
    runtime = served(tmp_path, made)
    assert found(runtime) == [(None, False), (LISTS[0], False), (LISTS[1], False)]
    assert runtime.run(sample(runtime.signature)), "a row of first categories can be made up"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (INT64, [((1, 2, 3), False), ((40, 50), False)]),
        # 2.5 is taken as 2: other values than those of the list may be right.
        (FLOAT, [((1.0, 2.0, 3.0), True), ((40.0, 50.0), True)]),
    ],
)
def test_lists_of_numbers_are_of_the_columns_type(tmp_path: Path, kind: int, expected: list[Any]) -> None:
    rows = np.array([[1, 40], [2, 50], [3, 40], [1, 50]], np.int64 if kind == INT64 else np.float32)
    runtime = served(tmp_path, trained(OneHotEncoder(), rows, kind))
    assert found(runtime) == expected
    assert all(type(value) is type(each[0][0]) for each in found(runtime) for value in each[0])
    assert runtime.run(sample(runtime.signature))


def encoded(*before: Any, given: str = "x", width: int = 2, constants: Any = (), **attributes: Any) -> Any:
    attributes = {"cats_strings": ["a", "b"], "zeros": 0, **attributes}
    return model(
        [*before, node("OneHotEncoder", [given], ["y"], domain=ML, **attributes)],
        [info("x", STRING, ["rows", width])],
        [info("y", FLOAT, None)],
        constants,
    )


@pytest.mark.parametrize(
    ("steps", "constants", "expected"),
    [
        ([], [], ["ab", "ab"]),
        ([node("Identity", ["x"], ["v"])], [], ["ab", "ab"]),
        ([node("Gather", ["x", "at"], ["v"], axis=1)], [constant("at", [1])], [None, "ab"]),
        ([node("Gather", ["x", "at"], ["v"], axis=-1)], [constant("at", [-2])], ["ab", None]),
        ([node("ArrayFeatureExtractor", ["x", "at"], ["v"], domain=ML)], [constant("at", [0])], ["ab", None]),
        # What is made of texts is no column any more.
        (
            [node("LabelEncoder", ["x"], ["v"], domain=ML, keys_strings=["A"], values_strings=["a"])],
            [],
            [None, None],
        ),
        # Two columns that are laid out anew are no columns any more.
        ([node("Reshape", ["x", "shape"], ["v"])], [constant("shape", [-1, 1])], [None, None]),
    ],
)
def test_a_column_is_followed_to_its_encoder(
    tmp_path: Path, steps: list[Any], constants: list[Any], expected: list[Any]
) -> None:
    runtime = served(tmp_path, encoded(*steps, given="v" if steps else "x", constants=constants))
    assert found(runtime) == [(None if each is None else tuple(each), False) for each in expected]


def test_of_several_lists_the_closed_one_counts(tmp_path: Path) -> None:
    first = node("OneHotEncoder", ["x"], ["z"], domain=ML, cats_strings=["a", "b", "c"], zeros=1)
    made = encoded(first)
    assert found(served(tmp_path, made)) == [(("a", "b"), False)] * 2


def test_texts_that_are_replaced_by_texts_are_no_list(tmp_path: Path) -> None:
    made = model(
        [node("LabelEncoder", ["x"], ["y"], domain=ML, keys_strings=["?"], values_strings=["a"], default_string="b")],
        [info("x", STRING, ["rows", 1])],
        [info("y", STRING, ["rows", 1])],
    )
    assert found(served(tmp_path, made)) == [(None, False)]
