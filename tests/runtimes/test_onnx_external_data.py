from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from septet.errors import DamagedModel
from septet.runtimes.engine_table import ENGINES
from septet.runtimes.onnx.onnx_external import check_places, external_data
from tests.runtimes.onnx_models import FLOAT, constant, info, model, node


def side_files(path: Path) -> tuple[str, ...]:
    """The files that a model names, after a look at where they are."""
    places = external_data(memoryview(path.read_bytes()))
    check_places(path, places)
    return ENGINES["onnx"].side_files(path)


def external(location: str, name: str = "w", size: int = 4) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[size], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def graph(*nodes: Any, **more: Any) -> Any:
    return helper.make_graph(list(nodes), "g", [], [helper.make_tensor_value_info("y", FLOAT, [4])], **more)


def in_initializer() -> Any:
    return helper.make_model(graph(node("Identity", ["w"], ["y"]), initializer=[external("w.bin")]))


def in_constant() -> Any:
    return helper.make_model(graph(helper.make_node("Constant", [], ["y"], value=external("w.bin"))))


def in_a_branch_of_a_branch() -> Any:
    inner = graph(node("Identity", ["w"], ["y"]), initializer=[external("w.bin")])
    outer = graph(helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner))
    return helper.make_model(graph(helper.make_node("If", ["c"], ["y"], then_branch=outer, else_branch=outer)))


def in_a_sparse_initializer() -> Any:
    made = graph(node("Identity", ["w"], ["y"]))
    made.sparse_initializer.add().values.CopyFrom(external("w.bin"))
    return helper.make_model(made)


def in_the_places_of_a_sparse_constant() -> Any:
    made = node("Constant", [], ["y"])
    attribute = made.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.indices.CopyFrom(external("w.bin"))
    return helper.make_model(graph(made))


def in_a_function() -> Any:
    constant_node = helper.make_node("Constant", [], ["y"], value=external("w.bin"))
    function = helper.make_function("own", "F", [], ["y"], [constant_node], [helper.make_opsetid("", 17)])
    return helper.make_model(graph(helper.make_node("F", [], ["y"], domain="own")), functions=[function])


def in_a_list_of_tensors() -> Any:
    made = node("Any", [], ["y"])
    made.attribute.add(name="many", type=onnx.AttributeProto.TENSORS).tensors.append(external("w.bin"))
    return helper.make_model(graph(made))


def behind_the_arrays_of_a_forest() -> Any:
    made = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], values=[0.5] * 1000, ids=[-1, 2**40] * 500)
    made.attribute[0].t.CopyFrom(external("w.bin"))  # of another kind, and read all the same
    made.attribute[1].g.initializer.append(external("v.bin"))
    return helper.make_model(graph(made, initializer=[external("w.bin")]))


@pytest.mark.parametrize(
    "made",
    [
        in_initializer,
        in_constant,
        in_a_branch_of_a_branch,
        in_a_sparse_initializer,
        in_the_places_of_a_sparse_constant,
        in_a_function,
        in_a_list_of_tensors,
    ],
)
def test_weights_in_another_file_are_found_wherever_the_model_names_them(
    tmp_path: Path, made: Callable[[], Any]
) -> None:
    (tmp_path / "w.bin").write_bytes(b"\0" * 16)
    (tmp_path / "m.onnx").write_bytes(made().SerializeToString())
    assert side_files(tmp_path / "m.onnx") == ("w.bin",)


def test_tensors_behind_long_arrays_of_numbers_are_found(tmp_path: Path) -> None:
    for name in ("w.bin", "v.bin"):
        (tmp_path / name).write_bytes(b"\0" * 16)
    (tmp_path / "m.onnx").write_bytes(behind_the_arrays_of_a_forest().SerializeToString())
    assert side_files(tmp_path / "m.onnx") == ("v.bin", "w.bin")


def test_a_tensor_whose_mark_stands_in_another_part_of_its_message_is_found(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"\0" * 16)
    whole = in_constant().SerializeToString()
    named, marked = TensorProto(), TensorProto(data_location=TensorProto.EXTERNAL)
    named.external_data.add(key="location", value="w.bin")
    split = onnx.ModelProto.FromString(whole)
    split.graph.node[0].attribute[0].t.CopyFrom(named)
    more = onnx.ModelProto()
    more.graph.node.add().attribute.add(name="value").t.CopyFrom(marked)
    (tmp_path / "m.onnx").write_bytes(split.SerializeToString() + more.SerializeToString())
    assert side_files(tmp_path / "m.onnx") == ("w.bin",)


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "*/_ORT_MEM_ADDR_/*", "..\\w.bin", "w\x1b[2J.bin"]
)
def test_weights_that_lie_elsewhere_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(b"\0" * 16)
    made = helper.make_model(graph(node("Identity", ["w"], ["y"]), initializer=[external(location)]))
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(DamagedModel) as refused:
        side_files(folder / "m.onnx")
    assert refused.value.message.isprintable()


def test_weights_that_are_a_link_to_elsewhere_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(b"\0" * 16)
    (folder / "w.bin").symlink_to(tmp_path / "w.bin")
    (folder / "m.onnx").write_bytes(in_initializer().SerializeToString())
    with pytest.raises(DamagedModel, match="outside of its folder"):
        side_files(folder / "m.onnx")


def test_a_model_that_is_a_link_may_have_its_weights_beside_what_it_links_to(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    (blobs / "1").write_bytes(in_initializer().SerializeToString())
    (blobs / "2").write_bytes(b"\0" * 16)
    (snapshot / "m.onnx").symlink_to(blobs / "1")
    (snapshot / "w.bin").symlink_to(blobs / "2")
    assert side_files(snapshot / "m.onnx") == ("w.bin",)


def test_a_model_that_is_cut_anywhere_is_damaged_or_has_no_other_weights(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"\0" * 16)
    whole = in_a_function().SerializeToString()
    for end in range(1, len(whole)):
        (tmp_path / "m.onnx").write_bytes(whole[:end])
        assert found(tmp_path / "m.onnx") in (set(), {"w.bin"})


def found(path: Path) -> set[str]:
    try:
        return set(side_files(path))
    except DamagedModel:
        return set()


def test_a_model_in_one_file_has_no_others(tmp_path: Path) -> None:
    made = model(
        [node("MatMul", ["x", "w"], ["y"])],
        [info("x", FLOAT, ["N", 3])],
        [info("y", FLOAT, ["N", 3])],
        [constant("w", np.ones((3, 3), np.float32))],
    )
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    assert side_files(tmp_path / "m.onnx") == ()
