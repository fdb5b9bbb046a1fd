"""What an ONNX file is refused for, and how the refusal explains itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.errors import DamagedModel, ModelNotFound, StartupError, UnsupportedModel
from septet.runtimes.base import LoadOptions
from septet.runtimes.onnx.onnx_runtime import load
from tests.runtimes.onnx_models import FLOAT, STRING, TensorProto, constant, identity, info, model, node, onnx, saved


def refusal(path: Path) -> StartupError:
    with pytest.raises(StartupError) as caught:
        load(path, LoadOptions())
    assert str(path.name) in caught.value.message
    return caught.value


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path / "none.onnx"), ModelNotFound)


def test_an_empty_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.touch()
    error = refusal(path)
    assert isinstance(error, DamagedModel)
    assert "empty" in error.message


def test_a_folder_cannot_be_read_as_a_file(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path), DamagedModel)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_damaged(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path, weighty())
    image = path.read_bytes()
    path.write_bytes(image[: int(len(image) * share)])
    assert isinstance(refusal(path), DamagedModel)


@pytest.mark.parametrize(
    "image", [b"not a model at all", b"\x00" * 64, b"\xff" * 64, b"{}", b"\x80\x05K\x01.", b"\x07"]
)
def test_other_bytes_are_damaged(tmp_path: Path, image: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(image)
    assert isinstance(refusal(path), DamagedModel)


def test_a_message_whose_fields_are_of_other_types_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    # A graph that is a number, a producer that is no UTF-8, and an IR version that is a string.
    for image in (b"\x38\x01", b"\x12\x02\xff\xfe", b"\x0a\x01a"):
        path.write_bytes(image)
        assert isinstance(refusal(path), DamagedModel)


def weighty() -> Any:
    return model(
        [node("MatMul", ["x", "weights"], ["y"])],
        [info("x", FLOAT, ["rows", 3])],
        [info("y", FLOAT, ["rows", 3])],
        [constant("weights", np.ones((3, 3), np.float32))],
    )


def test_missing_weights_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path, weighty(), save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").unlink()
    error = refusal(path)
    assert isinstance(error, DamagedModel)
    assert "'weights.bin'" in error.message


def test_truncated_weights_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path, weighty(), save_as_external_data=True, location="weights.bin", size_threshold=0)
    (tmp_path / "weights.bin").write_bytes(b"\x00" * 8)
    with pytest.raises(DamagedModel, match=r"weights\.bin: .*model\.onnx is truncated"):
        load(path, LoadOptions())


def test_a_zipmap_without_an_input_is_refused_by_the_engine(tmp_path: Path) -> None:
    made = model(
        [node("ZipMap", [], ["y"], domain="ai.onnx.ml", classlabels_strings=["a"])],
        [info("x", FLOAT, [None, 1])],
        [info("y", FLOAT, None)],
    )
    assert isinstance(refusal(saved(tmp_path, made)), UnsupportedModel)


def test_an_opset_that_is_too_new_is_explained_with_what_is_supported_and_what_to_do(tmp_path: Path) -> None:
    error = refusal(saved(tmp_path, identity(opset=99)))
    assert isinstance(error, UnsupportedModel)
    for words in ("opset 99 of ai.onnx", "supports up to opset", "target_opset=", "upgrade onnxruntime"):
        assert words in error.message


def test_an_ir_version_that_is_too_new_is_explained(tmp_path: Path) -> None:
    error = refusal(saved(tmp_path, identity(ir_version=99)))
    assert isinstance(error, UnsupportedModel)
    assert "IR version 99" in error.message


@pytest.mark.parametrize("declared", [True, False])
def test_an_operator_of_an_unknown_domain_is_named(tmp_path: Path, declared: bool) -> None:  # noqa: FBT001
    opsets = [onnx.helper.make_opsetid("com.acme", 1)] if declared else []
    made = model(
        [node("Magic", ["x"], ["y"], domain="com.acme")],
        [info("x", FLOAT, ["rows"])],
        [info("y", FLOAT, ["rows"])],
        opsets=opsets,
    )
    error = refusal(saved(tmp_path, made))
    assert isinstance(error, UnsupportedModel)
    assert ("com.acme:Magic" if declared else "com.acme") in error.message


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    made = model([node("Magic", ["x"], ["y"])], [info("x", FLOAT, ["rows"])], [info("y", FLOAT, ["rows"])])
    error = refusal(saved(tmp_path, made))
    assert isinstance(error, UnsupportedModel)
    assert "Magic" in error.message


def test_a_graph_that_contradicts_itself_is_refused_in_the_engines_words(tmp_path: Path) -> None:
    made = model([node("MatMul", ["x", "x"], ["y"])], [info("x", STRING, ["rows", 2])], [info("y", FLOAT, None)])
    error = refusal(saved(tmp_path, made))
    assert isinstance(error, UnsupportedModel)
    assert "onnxruntime cannot run its graph: This is an invalid model. Type Error" in error.message


def test_bytes_that_only_the_engine_refuses_are_damage_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = identity()
    made.graph.node[0].input[0] = "absent"
    error = refusal(saved(tmp_path, made))
    assert error.message.count("model.onnx") == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("element", "words"), [(TensorProto.BFLOAT16, "holds bfloat16"), (TensorProto.COMPLEX64, "complex64")]
)
def test_types_without_a_numpy_or_json_form_are_refused(tmp_path: Path, element: int, words: str) -> None:
    error = refusal(saved(tmp_path, identity(element)))
    assert isinstance(error, UnsupportedModel)
    assert words in error.message


def test_an_input_that_is_a_sequence_is_refused_by_name(tmp_path: Path) -> None:
    helper = onnx.helper
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    made = model(
        [node("ConcatFromSequence", ["parts"], ["y"], axis=0)],
        [helper.make_value_info("parts", sequence)],
        [info("y", FLOAT, None)],
    )
    error = refusal(saved(tmp_path, made))
    assert isinstance(error, UnsupportedModel)
    assert "input 'parts' is a sequence" in error.message


def test_a_map_that_is_no_zipmap_output_is_refused_by_name(tmp_path: Path) -> None:
    helper = onnx.helper
    kind = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(FLOAT, []))
    made = model(
        [node("DictVectorizer", ["words"], ["y"], domain="ai.onnx.ml", string_vocabulary=["a", "b"])],
        [helper.make_value_info("words", kind)],
        [info("y", FLOAT, None)],
    )
    error = refusal(saved(tmp_path, made))
    assert isinstance(error, UnsupportedModel)
    assert "input 'words' is a map" in error.message


def test_an_input_without_a_shape_is_refused_by_name(tmp_path: Path) -> None:
    error = refusal(saved(tmp_path, identity(shape=None)))
    assert isinstance(error, UnsupportedModel)
    assert "input 'x' declares no shape" in error.message


def test_a_model_without_inputs_is_refused(tmp_path: Path) -> None:
    made = model([], [], [info("y", FLOAT, [1])], [constant("y", np.ones(1, np.float32))])
    assert isinstance(refusal(saved(tmp_path, made)), UnsupportedModel)


def test_a_model_whose_only_output_is_a_sequence_of_unequal_tensors_is_refused(tmp_path: Path) -> None:
    helper = onnx.helper
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    made = model(
        [node("Concat", ["x", "x"], ["wide"], axis=1), node("SequenceConstruct", ["x", "wide"], ["parts"])],
        [info("x", FLOAT, ["rows", 2])],
        [helper.make_value_info("parts", sequence)],
    )
    error = refusal(saved(tmp_path, made))
    assert isinstance(error, UnsupportedModel)
    assert "output 'parts'" in error.message


def test_a_locale_that_the_machine_lacks_is_named_with_how_to_install_it(tmp_path: Path) -> None:
    texts = onnx.TensorProto.STRING
    made = model(
        [node("StringNormalizer", ["x"], ["y"], case_change_action="LOWER", locale="xx_YY")],
        [info("x", texts, ["rows"])],
        [info("y", texts, ["rows"])],
    )
    error = refusal(saved(tmp_path, made))
    assert isinstance(error, UnsupportedModel)
    assert "the locale xx_YY" in error.message
    assert "onnxruntime_src" not in error.message
