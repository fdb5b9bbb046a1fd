"""The ONNX runtime: signatures come from the file, and every number is the one that the engine itself gives."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.model.signature import DTYPES, Signature, Tensor
from septet.runtimes.base import InputRejected, LoadOptions
from septet.runtimes.onnx.onnx_runtime import OnnxRuntime, load
from septet.runtimes.onnx.onnx_signature import MOST_UNNAMED_COLUMNS
from tests.runtimes.onnx_models import (
    FLOAT,
    INT64,
    STRING,
    TensorProto,
    constant,
    engine,
    identity,
    info,
    matrix_of_maps,
    model,
    node,
    onnx,
    saved,
    with_metadata,
)

CUBE = np.arange(24, dtype=np.float32).reshape(4, 3, 2)


def served(path: Path) -> OnnxRuntime:
    return load(path, LoadOptions())


def signature(folder: Path, made: Any) -> Signature:
    return served(saved(folder, made)).signature


def names(found: Signature) -> list[str]:
    return [column.name for column in found.columns]


def test_a_very_wide_matrix_has_columns_only_where_the_file_names_them(tmp_path: Path) -> None:
    """Each column takes 50 times the bytes of its value."""
    width = MOST_UNNAMED_COLUMNS
    assert len(names(signature(tmp_path, identity(shape=("rows", width))))) == width
    wider = signature(tmp_path, identity(shape=("rows", width + 1)))
    assert (wider.columns, wider.inputs[0].shape) == ((), (None, width + 1))
    listed = ",".join(f"c{at}" for at in range(width + 1))
    assert (
        len(names(signature(tmp_path, with_metadata(identity(shape=("rows", width + 1)), columns=listed)))) == width + 1
    )


def test_a_model_of_very_wide_rows_is_opened_in_a_few_times_the_bytes_of_one(tmp_path: Path) -> None:
    width = 5 * MOST_UNNAMED_COLUMNS
    path = saved(tmp_path, identity(shape=("rows", width)))
    tracemalloc.start()
    try:
        served(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * 4 * width


def zipmap(classes: dict[str, Any], *, extra: tuple[Any, ...] = ()) -> Any:
    """Softmax of three inputs, given as maps, beside the class with the largest."""
    kind = STRING if "classlabels_strings" in classes else INT64
    values = next(iter(classes.values()))
    return model(
        [
            node("MatMul", ["x", "weights"], ["logits"]),
            node("Softmax", ["logits"], ["shares"], axis=1),
            node("ArgMax", ["shares"], ["best"], axis=1, keepdims=0),
            node("Gather", ["values", "best"], ["label"]),
            node("ZipMap", ["shares"], ["probabilities"], domain="ai.onnx.ml", **classes),
        ],
        [info("x", FLOAT, ["rows", 3]), *extra],
        [info("label", kind, ["rows"]), maps("probabilities", kind)],
        [
            constant("weights", np.diag([1.0, 2.0, 3.0]).astype(np.float32)),
            onnx.helper.make_tensor("values", kind, [3], values),
        ],
    )


def maps(name: str, key: int) -> Any:
    helper = onnx.helper
    value = helper.make_tensor_type_proto(FLOAT, None)
    return helper.make_value_info(name, helper.make_sequence_type_proto(helper.make_map_type_proto(key, value)))


@pytest.mark.parametrize(
    ("classes", "labels", "raw"),
    [
        ({"classlabels_strings": ["rose", "tulip", "lily"]}, ("rose", "tulip", "lily"), ()),
        ({"classlabels_int64s": [7, -1, 3]}, ("7", "-1", "3"), (7, -1, 3)),
    ],
)
def test_a_zipmap_is_one_tensor_under_its_own_name_with_its_classes_in_order(
    tmp_path: Path, classes: dict[str, Any], labels: tuple[str, ...], raw: tuple[int, ...]
) -> None:
    path = saved(tmp_path, zipmap(classes))
    runtime = served(path)
    assert runtime.signature.labels == labels
    assert runtime.signature.classes == raw
    assert (runtime.signature.label, runtime.signature.scores) == ("label", "probabilities")
    assert runtime.signature.outputs[1] == Tensor("probabilities", "float32", (None, 3))
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected, answers = engine(path, {"x": rows}), runtime.run({"x": rows})
    np.testing.assert_array_equal(answers["probabilities"], matrix_of_maps(expected["probabilities"], raw or labels))
    np.testing.assert_array_equal(answers["label"], expected["label"])


def test_only_wanted_outputs_are_computed_in_the_order_asked_for(tmp_path: Path) -> None:
    runtime = served(saved(tmp_path, zipmap({"classlabels_int64s": [0, 1, 2]})))
    rows = np.zeros((2, 3), np.float32)
    assert list(runtime.run({"x": rows}, ["probabilities"])) == ["probabilities"]
    assert list(runtime.run({"x": rows}, ("probabilities", "label"))) == ["probabilities", "label"]
    assert runtime.run({"x": rows}, []) == {}


ELEMENTS = {
    "bool": TensorProto.BOOL,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "string": TensorProto.STRING,
}


@pytest.mark.parametrize("dtype", ELEMENTS)
def test_every_dtype_goes_in_and_comes_out_unchanged(tmp_path: Path, dtype: str) -> None:
    runtime = served(saved(tmp_path, identity(ELEMENTS[dtype])))
    assert [tensor.dtype for tensor in (*runtime.signature.inputs, *runtime.signature.outputs)] == [dtype, dtype]
    values: Any = [["é", ""], ["0", "\x00 a"]] if dtype == "string" else [[0, 1], [1, 0]]
    rows = np.array(values, DTYPES[dtype])
    answer = runtime.run({"x": rows})["y"]
    assert answer.dtype == DTYPES[dtype]
    np.testing.assert_array_equal(answer, rows)


def test_a_missing_text_is_refused_and_not_read_as_the_text_none(tmp_path: Path) -> None:
    runtime = served(saved(tmp_path, identity(TensorProto.STRING)))
    with pytest.raises(InputRejected, match="the text in row 1 of 'x' is missing, and ONNX has no missing texts"):
        runtime.run({"x": np.array([["a", "b"], ["c", None]], object)})


def test_columns_are_named_after_the_input(tmp_path: Path) -> None:
    assert names(signature(tmp_path, identity(shape=["rows", 3]))) == ["x_0", "x_1", "x_2"]
    assert names(signature(tmp_path, identity(shape=["rows", 1]))) == ["x"]
    assert names(signature(tmp_path, identity(shape=["rows"]))) == ["x"]


@pytest.mark.parametrize("text", ['["age", "income"]', "age, income"])
@pytest.mark.parametrize("key", ["feature_names", "columns", "input_columns"])
def test_metadata_names_the_columns(tmp_path: Path, key: str, text: str) -> None:
    assert names(signature(tmp_path, with_metadata(identity(), **{key: text}))) == ["age", "income"]


def test_metadata_of_another_length_names_nothing(tmp_path: Path) -> None:
    assert names(signature(tmp_path, with_metadata(identity(), columns="age, income, city"))) == ["x_0", "x_1"]


def test_one_input_for_each_column_keeps_names_and_dtypes(tmp_path: Path) -> None:
    made = model(
        [node("Cast", ["city"], ["number"], to=FLOAT), node("Concat", ["number", "age", "pair"], ["y"], axis=1)],
        [info("city", STRING, [None, 1]), info("age", FLOAT, [None, 1]), info("pair", FLOAT, [None, 2])],
        [info("y", FLOAT, [None, 4])],
    )
    path = saved(tmp_path, made)
    found = served(path).signature
    assert [(column.name, column.dtype) for column in found.columns] == [
        ("city", "string"),
        ("age", "float32"),
        ("pair_0", "float32"),
        ("pair_1", "float32"),
    ]
    tensors = {
        "city": np.array([["1.5"], ["2"]], object),
        "age": np.array([[3], [4]], np.float32),
        "pair": np.array([[5, 6], [7, 8]], np.float32),
    }
    np.testing.assert_array_equal(served(path).run(tensors)["y"], engine(path, tensors)["y"])


def test_tensors_of_rank_three_or_of_a_free_width_have_no_columns(tmp_path: Path) -> None:
    assert signature(tmp_path, identity(shape=["rows", 3, 2])).columns == ()
    assert signature(tmp_path, identity(shape=["rows", "width"])).columns == ()


def test_a_constant_listed_as_an_input_is_not_an_input(tmp_path: Path) -> None:
    made = model(
        [node("Add", ["x", "bias"], ["y"])],
        [info("x", FLOAT, [None, 2]), info("bias", FLOAT, [2])],
        [info("y", FLOAT, [None, 2])],
        [constant("bias", np.array([1, 2], np.float32))],
        ir_version=3,
        opset=8,
    )
    runtime = served(saved(tmp_path, made))
    assert [tensor.name for tensor in runtime.signature.inputs] == ["x"]
    np.testing.assert_array_equal(runtime.run({"x": np.zeros((1, 2), np.float32)})["y"], [[1, 2]])


def test_a_model_of_one_row_answers_any_number_of_rows(tmp_path: Path) -> None:
    path = saved(tmp_path, identity(shape=[1, 3, 2]))
    runtime = served(path)
    assert runtime.signature.rows
    assert runtime.signature.inputs[0].shape == runtime.signature.outputs[0].shape == (None, 3, 2)
    np.testing.assert_array_equal(runtime.run({"x": CUBE})["y"], CUBE)
    with pytest.raises(InputRejected, match="no rows"):
        runtime.run({"x": CUBE[:0]})


@pytest.mark.parametrize("shape", [[3, 2], []])
def test_a_model_of_another_fixed_size_takes_just_that(tmp_path: Path, shape: list[int]) -> None:
    runtime = served(saved(tmp_path, identity(shape=shape)))
    assert not runtime.signature.rows
    assert runtime.signature.columns == ()
    assert runtime.signature.inputs[0].shape == runtime.signature.outputs[0].shape == tuple(shape)
    value = np.ones(shape, np.float32)
    answer = runtime.run({"x": value})["y"]
    assert isinstance(answer, np.ndarray)
    np.testing.assert_array_equal(answer, value)


def test_free_inner_sizes_stay_free(tmp_path: Path) -> None:
    path = saved(tmp_path, identity(shape=["rows", "height", "width", 3]))
    runtime = served(path)
    assert runtime.signature.inputs[0].shape == runtime.signature.outputs[0].shape == (None, None, None, 3)
    for shape in ((1, 2, 5, 3), (4, 7, 1, 3)):
        assert runtime.run({"x": np.zeros(shape, np.float32)})["y"].shape == shape


def test_an_output_that_sums_over_the_rows_makes_a_request_one_unit(tmp_path: Path) -> None:
    made = model(
        [node("ReduceSum", ["x"], ["y"], keepdims=0)], [info("x", FLOAT, ["rows", 2])], [info("y", FLOAT, None)]
    )
    runtime = served(saved(tmp_path, made))
    assert not runtime.signature.rows
    assert runtime.signature.inputs[0].shape == (None, 2)
    assert runtime.signature.outputs[0].shape == ()
    assert runtime.run({"x": np.ones((3, 2), np.float32)})["y"] == np.float32(6)


def test_distances_between_all_rows_make_a_request_one_unit(tmp_path: Path) -> None:
    made = model(
        [node("Transpose", ["x"], ["t"]), node("MatMul", ["x", "t"], ["y"])],
        [info("x", FLOAT, ["rows", 2])],
        [info("y", FLOAT, ["rows", "rows"])],
    )
    found = signature(tmp_path, made)
    assert not found.rows
    assert found.outputs[0].shape == (None, None)


def test_rows_on_the_second_axis_of_the_only_output_make_a_request_one_unit(tmp_path: Path) -> None:
    made = model([node("Transpose", ["x"], ["y"])], [info("x", FLOAT, ["rows", 2])], [info("y", FLOAT, None)])
    runtime = served(saved(tmp_path, made))
    assert not runtime.signature.rows
    assert runtime.signature.outputs[0].shape == (2, None)
    assert runtime.run({"x": np.zeros((3, 2), np.float32)})["y"].shape == (2, 3)


def test_a_model_that_needs_room_is_tried_with_larger_sizes(tmp_path: Path) -> None:
    made = model(
        [node("MaxPool", ["x"], ["p"], kernel_shape=[4, 4]), node("GlobalMaxPool", ["p"], ["y"])],
        [info("x", FLOAT, ["rows", 1, "height", "width"])],
        [info("y", FLOAT, ["rows", 1, 1, 1])],
    )
    found = signature(tmp_path, made)
    assert found.rows
    assert found.outputs[0].shape == (None, 1, 1, 1)


def test_a_zipmap_of_a_free_width_is_as_wide_as_its_classes(tmp_path: Path) -> None:
    made = model(
        [node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_strings=["a", "b"])],
        [info("x", FLOAT, ["rows", "width"])],
        [maps("y", STRING)],
    )
    assert signature(tmp_path, made).outputs[0].shape == (None, 2)


def test_a_declared_shape_that_the_model_contradicts_is_corrected(tmp_path: Path) -> None:
    made = model([node("Concat", ["x", "x"], ["y"], axis=1)], [info("x", FLOAT, [None, 2])], [info("y", FLOAT, None)])
    assert signature(tmp_path, made).outputs[0].shape == (None, 4)


def test_a_model_that_refuses_zeros_is_taken_at_its_word(tmp_path: Path) -> None:
    found = signature(tmp_path, known_colours())
    assert found.rows
    assert found.outputs[0].shape == (None, 1, 2)


def known_colours() -> Any:
    encode = node("OneHotEncoder", ["x"], ["y"], domain="ai.onnx.ml", cats_strings=["red", "blue"], zeros=0)
    return model([encode], [info("x", STRING, [None, 1])], [info("y", FLOAT, [None, 1, 2])])


@pytest.mark.parametrize(
    ("size", "said"),
    [(10**13, "Failed to allocate memory"), (2**62, "overflow"), (-5, "must be >= 0")],
)
def test_more_values_than_memory_holds_are_the_callers_fault(tmp_path: Path, size: int, said: str) -> None:
    zeros = node("ConstantOfShape", ["x"], ["y"])
    made = model([zeros], [info("x", INT64, [1])], [info("y", FLOAT, [None])])
    with pytest.raises(InputRejected, match=f"^ConstantOfShape: .*{said}") as refused:
        served(saved(tmp_path, made)).run({"x": np.array([size], np.int64)})
    assert "onnxruntime" not in str(refused.value)


def test_a_division_by_zero_is_the_callers_fault(tmp_path: Path) -> None:
    made = model(
        [node("Div", ["x", "z"], ["y"])],
        [info("x", INT64, [None, 1]), info("z", INT64, [None, 1])],
        [info("y", INT64, [None, 1])],
    )
    zero = np.array([[0]], np.int64)
    with pytest.raises(InputRejected, match=r"^Div: Integer division by zero"):
        served(saved(tmp_path, made)).run({"x": zero, "z": zero})


def test_an_unknown_category_is_the_callers_fault_in_the_engines_words(tmp_path: Path) -> None:
    runtime = served(saved(tmp_path, known_colours()))
    with pytest.raises(InputRejected, match=r"^OneHotEncoder: Unknown Category and zeros = 0\.$"):
        runtime.run({"x": np.array([["green"]], object)})


def test_an_index_out_of_bounds_is_the_callers_fault(tmp_path: Path) -> None:
    made = model(
        [node("Gather", ["table", "x"], ["y"])],
        [info("x", INT64, ["rows"])],
        [info("y", FLOAT, ["rows"])],
        [constant("table", np.array([1, 2], np.float32))],
    )
    runtime = served(saved(tmp_path, made))
    with pytest.raises(InputRejected, match=r"^Gather: indices element out of data bounds, idx=9"):
        runtime.run({"x": np.array([9])})


def test_text_that_is_no_number_and_text_that_is_no_unicode_are_the_callers_fault(tmp_path: Path) -> None:
    made = model([node("Cast", ["x"], ["y"], to=FLOAT)], [info("x", STRING, ["rows"])], [info("y", FLOAT, ["rows"])])
    runtime = served(saved(tmp_path, made))
    with pytest.raises(InputRejected, match=r"^Cast: "):
        runtime.run({"x": np.array(["ten"], object)})
    with pytest.raises(InputRejected, match="surrogate"):
        runtime.run({"x": np.array(["\ud800"], object)})


def test_other_failures_of_the_engine_pass_through(tmp_path: Path) -> None:
    made = model(
        [node("Reshape", ["x", "shape"], ["y"])],
        [info("x", FLOAT, ["rows", 2])],
        [info("y", FLOAT, None)],
        [constant("shape", np.array([-1, 4]))],
    )
    runtime = served(saved(tmp_path, made))
    with pytest.raises(Exception, match="cannot be reshaped") as caught:
        runtime.run({"x": np.zeros((3, 2), np.float32)})
    assert not isinstance(caught.value, InputRejected)


def test_weights_beside_the_file_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.root)
    path = saved(tmp_path, big_identity(), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").stat().st_size > 0
    rows = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(served(path).run({"x": rows})["y"], engine(path, {"x": rows})["y"])


def test_weights_beside_a_file_with_a_zipmap_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = zipmap({"classlabels_strings": ["a", "b", "c"]})
    (tmp_path / "sub").mkdir()
    path = saved(tmp_path / "sub", made, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "sub" / "weights.bin").stat().st_size > 0
    rows = np.ones((2, 3), np.float32)
    expected = matrix_of_maps(engine(path, {"x": rows})["probabilities"], "abc")
    monkeypatch.chdir(tmp_path)
    np.testing.assert_array_equal(served(Path("sub/model.onnx")).run({"x": rows})["probabilities"], expected)


def big_identity() -> Any:
    return model(
        [node("MatMul", ["x", "weights"], ["y"])],
        [info("x", FLOAT, ["rows", 3])],
        [info("y", FLOAT, ["rows", 3])],
        [constant("weights", np.arange(9, dtype=np.float32).reshape(3, 3))],
    )


def test_a_sequence_of_equal_tensors_is_stacked_and_one_of_unequal_tensors_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    helper = onnx.helper
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    made = model(
        [
            node("SequenceConstruct", ["x", "x", "x"], ["equal"]),
            node("Concat", ["x", "x"], ["wide"], axis=1),
            node("SequenceConstruct", ["x", "wide"], ["unequal"]),
        ],
        [info("x", FLOAT, ["rows", 2])],
        [helper.make_value_info("equal", sequence), helper.make_value_info("unequal", sequence)],
    )
    path = saved(tmp_path, made)
    runtime = served(path)
    assert runtime.signature.outputs == (Tensor("equal", "float32", (None, 3, 2)),)
    assert "'unequal'" in caplog.text
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    answers = runtime.run({"x": rows})
    np.testing.assert_array_equal(answers["equal"], np.stack(engine(path, {"x": rows})["equal"], axis=1))


def test_facts_tell_opset_producer_engine_and_metadata(tmp_path: Path) -> None:
    import onnxruntime

    facts = served(saved(tmp_path, with_metadata(identity(), owner="Ann"))).facts
    assert facts == {
        "engine": "onnxruntime",
        "engine_version": onnxruntime.__version__,
        "opset": {"ai.onnx": 17, "ai.onnx.ml": 3},
        "ir_version": 8,
        "producer": "tests",
        "metadata": {"owner": "Ann"},
    }


def test_a_closed_runtime_refuses_to_run(tmp_path: Path) -> None:
    runtime = served(saved(tmp_path, identity()))
    runtime.close()
    with pytest.raises(RuntimeError, match="closed"):
        runtime.run({"x": np.zeros((1, 2), np.float32)})
