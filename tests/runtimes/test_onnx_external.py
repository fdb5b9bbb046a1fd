"""Weights in files beside an ONNX model are found wherever it may name them, and are never taken from elsewhere."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from septet.errors import DamagedModel
from septet.runtimes.base import LoadOptions
from septet.runtimes.onnx.onnx_external import external_data
from septet.runtimes.onnx.onnx_runtime import load, side_files
from tests.runtimes.external_data import answer, external, mapped, places, weights, written
from tests.runtimes.onnx_models import FLOAT, info, model, node, onnx, saved


@pytest.mark.parametrize("place", places())
def test_weights_are_found_wherever_a_model_may_name_them(place: str, tmp_path: Path) -> None:
    path = written(tmp_path, places()[place])
    assert side_files(path) == ("w.bin",)
    np.testing.assert_array_equal(answer(load(path, LoadOptions())), [[2, 2]] if "sparse" in place else [[4, 4]])


@pytest.mark.parametrize("place", places())
def test_weights_that_are_missing_are_named(place: str, tmp_path: Path) -> None:
    path = written(tmp_path, places()[place])
    (tmp_path / "w.bin").unlink()
    with pytest.raises(DamagedModel, match=r"'w\.bin', which is missing\. Copy it beside"):
        load(path, LoadOptions())


def test_a_model_that_holds_all_of_its_weights_names_no_file(tmp_path: Path) -> None:
    made = model([node("Identity", ["location"], ["y"])], [info("location", FLOAT, [1])], [info("y", FLOAT, [1])])
    assert side_files(saved(tmp_path, made)) == ()


def test_a_place_that_is_split_over_two_halves_of_a_message_is_found() -> None:
    held = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=external())
    held.t.ClearField("data_location")
    late = onnx.AttributeProto(t=onnx.TensorProto(data_location=onnx.TensorProto.EXTERNAL))
    halves = held.SerializeToString() + late.SerializeToString()
    assert onnx.AttributeProto.FromString(halves).t.data_location == onnx.TensorProto.EXTERNAL
    made = b""
    for number in (5, 1, 7):  # the attribute of a node of the graph of a model
        made = bytes([number << 3 | 2, *_varint(len(made or halves))]) + (made or halves)
    assert [item.location for item in external_data(memoryview(made))] == ["w.bin"]


def _varint(size: int) -> list[int]:
    return [size] if size < 128 else [size & 127 | 128, *_varint(size >> 7)]


def test_deeply_nested_graphs_are_read_in_linear_time() -> None:
    def seconds(depth: int) -> float:
        # Sizes of five bytes, so that each level is as long as the others.
        made = b"location"
        for _ in range(depth):
            for number in (6, 5, 1):
                made = bytes([number << 3 | 2]) + _wide(len(made)) + made
        made = bytes([7 << 3 | 2]) + _wide(len(made)) + made
        begun = time.process_time()
        with suppress(DamagedModel):
            external_data(memoryview(made))
        return time.process_time() - begun

    assert seconds(8000) < 20 * max(seconds(2000), 0.01)


def _wide(size: int) -> bytes:
    return bytes([*(size >> at & 127 | 128 for at in (0, 7, 14, 21)), size >> 28])


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "sub/../../w.bin", "..\\w.bin", "w\n.bin", "w\0bin"])
def test_weights_outside_of_the_models_folder_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(weights(2))
    (tmp_path / "models" / "sub").mkdir(parents=True)
    path = written(tmp_path / "models", _product(location))
    with pytest.raises(DamagedModel, match=r"outside of its folder\. Copy that file into"):
        load(path, LoadOptions())


def _product(location: str) -> Any:
    made = [node("MatMul", ["x", "w"], ["y"])]
    return model(made, [info("x", FLOAT, ["N", 2])], [info("y", FLOAT, ["N", 2])], [external(location=location)])


def test_a_link_to_weights_outside_is_refused_and_one_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    path = written(tmp_path / "models", _product("w.bin"))
    (path.parent / "w.bin").rename(tmp_path / "w.bin")
    (path.parent / "w.bin").symlink_to(tmp_path / "w.bin")
    with pytest.raises(DamagedModel, match=r"'w\.bin', which is outside of its folder"):
        load(path, LoadOptions())
    (path.parent / "w.bin").unlink()
    (tmp_path / "w.bin").rename(path.parent / "v2.bin")
    (path.parent / "w.bin").symlink_to("v2.bin")
    np.testing.assert_array_equal(answer(load(path, LoadOptions())), [[4, 4]])


def test_a_model_and_its_weights_may_be_links_to_one_other_folder(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshot").mkdir()
    path = written(tmp_path / "blobs", _product("w.bin"))
    for name, blob in (("model.onnx", "a1"), ("w.bin", "b2")):
        (path.parent / name).rename(path.parent / blob)
        (tmp_path / "snapshot" / name).symlink_to(f"../blobs/{blob}")
    np.testing.assert_array_equal(answer(load(tmp_path / "snapshot" / "model.onnx", LoadOptions())), [[4, 4]])


def test_weights_that_are_overwritten_in_place_do_not_change_the_answers_of_a_loaded_model(tmp_path: Path) -> None:
    path = mapped(tmp_path)
    runtime = load(path, LoadOptions())
    with (tmp_path / "w.bin").open("r+b") as file:
        file.write(weights(9))
    np.testing.assert_array_equal(answer(runtime), [[2, 2]])
    os.truncate(tmp_path / "w.bin", 0)
    np.testing.assert_array_equal(answer(runtime), [[2, 2]])


def test_a_location_that_means_an_address_in_memory_is_refused_though_there_is_such_a_file(tmp_path: Path) -> None:
    location = "*/_ORT_MEM_ADDR_/*"
    path = written(tmp_path, _product("w.bin"))
    (tmp_path / location).parent.mkdir(parents=True)
    (tmp_path / "w.bin").rename(tmp_path / location)
    path.write_bytes(_product(location).SerializeToString())
    with pytest.raises(DamagedModel, match="outside of its folder"):
        load(path, LoadOptions())
