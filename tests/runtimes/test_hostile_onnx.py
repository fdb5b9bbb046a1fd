"""Files that are no models, and graphs that no exporter writes: refused or given up early, whatever their size."""

import pytest

from septet.errors import DamagedModel
from septet.model.signature import Tensor
from septet.runtimes.onnx import onnx_graph, onnx_wire
from septet.runtimes.onnx.onnx_categories import categories
from septet.runtimes.onnx.onnx_rows import row_dependence
from septet.runtimes.onnx.onnx_sizes import MOST_ELEMENTS, Size, repeated, times
from septet.runtimes.onnx.onnx_wire import encode

INPUT = Tensor("x", "float32", (None, 4))


def declared(name: str, element: int, *sizes: int | str) -> bytes:
    """An input or output."""
    shape = b"".join(encode(1, encode(1 if isinstance(size, int) else 2, size)) for size in sizes)
    return encode(1, name) + encode(2, encode(1, encode(1, element) + encode(2, shape)))


def node(op: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    """A node with one output."""
    named = b"".join(encode(1, name) for name in inputs)
    return named + encode(2, output) + encode(4, op) + b"".join(encode(5, each) for each in attributes)


def number(name: str, value: int) -> bytes:
    """An attribute that is a whole number."""
    return encode(1, name) + encode(3, value) + encode(20, 2)


def image(nodes: list[bytes], *inputs: bytes, constants: tuple[bytes, ...] = ()) -> memoryview:
    """A file with this graph."""
    given = inputs or (declared("x", 1, "N", 4),)
    parts = [encode(1, each) for each in nodes] + [encode(5, each) for each in constants]
    parts += [encode(11, each) for each in given] + [encode(12, declared("y", 1, "N", 4))]
    return memoryview(encode(1, 8) + encode(7, b"".join(parts)) + encode(8, encode(2, 17)))


def damage(data: bytes | memoryview) -> str:
    """Why it is refused."""
    with pytest.raises(DamagedModel) as caught:
        onnx_graph.read(memoryview(data))
    return caught.value.message


def test_a_field_of_number_0_ends_the_reading() -> None:
    fields = onnx_wire.fields(memoryview(b"\x08\x01" + b"\0" * 1000))
    assert next(fields) == (1, 1)
    with pytest.raises(DamagedModel):
        next(fields)


def test_a_message_of_too_many_fields_is_no_model() -> None:
    assert "more than 100000 fields" in damage(b"\x08\x01" * 100_001)
    assert onnx_graph.read(memoryview(b"\x08\x01" * 100_000)).ir_version == 1


def test_nodes_have_operators() -> None:
    assert "no operator" in damage(image([b""]))


def test_constants_have_a_bounded_number_of_axes() -> None:
    dims = b"\x01" * 300
    assert "more than 255 axes" in damage(image([], constants=(encode(1, dims) + encode(8, "c"),)))


def test_graphs_are_nested_no_deeper_than_protobuf_reads_them() -> None:
    graph = b""
    for _ in range(200):
        graph = encode(1, node("Loop", [], "y", encode(1, "body") + encode(6, graph)))
    assert "nested more than 32 deep" in damage(encode(7, graph))


def test_a_value_that_is_joined_to_itself_again_and_again_is_given_up() -> None:
    axis = number("axis", 1)
    nodes = [node("Concat", [f"v{at}" if at else "x"] * 2, f"v{at + 1}", axis) for at in range(100)]
    nodes.append(node("OneHotEncoder", ["x"], "y", encode(1, "cats_int64s") + encode(8, 3), number("zeros", 0)))
    graph = onnx_graph.read(image(nodes))
    assert set(categories(graph, [INPUT])) == {("x", at) for at in range(4)}


@pytest.mark.parametrize("op", ["Mul", "Concat", "Add"])
def test_sizes_that_grow_without_end_are_given_up(op: str) -> None:
    attributes = [number("axis", 0)] if op == "Concat" else []
    nodes = [node("Shape", ["x"], "s0")]
    nodes += [node(op, [f"s{at}"] * 2, f"s{at + 1}", *attributes) for at in range(200)]
    nodes.append(node("Reshape", ["x", "s200"], "y"))
    view = row_dependence(onnx_graph.read(image(nodes)), threads=1)
    assert view.axis("y") is None


def test_a_tensor_that_is_declared_to_be_huge_is_not_made() -> None:
    nodes = [node("Concat", ["n", "m"], "s", number("axis", 0)), node("Reshape", ["x", "s"], "y")]
    inputs = declared("x", 1, "N", 4), declared("n", 7, 10**15), declared("m", 7, 10**15)
    assert row_dependence(onnx_graph.read(image(nodes, *inputs)), threads=1).axis("y") is None


def test_elements_and_products_are_bounded() -> None:
    assert repeated(None, MOST_ELEMENTS) == (None,) * MOST_ELEMENTS
    assert repeated(None, MOST_ELEMENTS + 1) is None
    with pytest.raises(ValueError, match="larger than that of any tensor"):
        times(Size(2**40), Size(2**40))
    with pytest.raises(ValueError, match="larger than that of any tensor"):
        times(Size(1, ("a",) * MOST_ELEMENTS), Size(1, ("a",)))


def test_numbers_of_an_attribute_that_are_cut_are_damage() -> None:
    cut = encode(1, "axis") + encode(7, b"\0\0\x80")
    assert "not a complete ONNX model" in damage(image([node("Relu", ["x"], "y", cut)]))


def test_scans_in_each_other_know_what_is_around_them() -> None:
    body = encode(1, node("Identity", ["v"], "w")) + encode(11, declared("v", 1, 4)) + encode(12, declared("w", 1, 4))
    scan = node("Scan", ["x"], "y", encode(1, "body") + encode(6, body), number("num_scan_inputs", 1))
    view = row_dependence(onnx_graph.read(image([scan] * 50)), threads=1)
    assert set(view.outputs) == {"y"}
