"""A fitted scikit-learn estimator compiled to ONNX, with the native model's names on its inputs and outputs."""

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import partial
from typing import Any

import msgspec

from septet.errors import UnsupportedModel
from septet.model.moments import is_moment
from septet.model.signature import Kind, Signature, Tensor
from septet.packing.converters import Converter, own_converters, own_shapes
from septet.packing.float_widening import widen_floats
from septet.packing.positions import by_position
from septet.packing.provenance import final_step
from septet.runtimes.declared_inputs import graph_name, is_unread

# What every onnxruntime from 1.20 on reads, and every converter writes.
_OPSETS = {"": 18, "ai.onnx.ml": 3}
_FLOAT = 1
_DOUBLE = 11
_INT64 = 7
_STRING = 8
# Names under which the ONNX runtime looks for columns and classes in a bare file.
_COLUMNS_KEY = "feature_names"
_LABELS_KEY = "labels"
# Names of inputs that no converter uses for anything else.
_SAFE = "septet_input_"
_ELEMENTS = ("float32", "float64", "int64", "bool", "string")


def compiled(model: Any, signature: Signature, *, double: bool) -> bytes:
    """The bytes of an ONNX model that takes and gives what `signature`, the native runtime's, says.

    Numbers are float32, or float64 with `double`.

    Raises:
        UnsupportedModel: the signature has a part without a form in ONNX.
        Exception: whatever the converter raises; it knows many estimators, not all.
    """
    _check(signature)
    read = [tensor for tensor in signature.inputs if not is_unread(tensor)]
    types = _types(double=double)
    inputs = [(f"{_SAFE}{place}", types[tensor.dtype](list(tensor.shape))) for place, tensor in enumerate(read)]
    placed = by_position(model, [column.name for tensor in read for column in tensor.columns])
    converted = _converted(placed, inputs, signature, own_converters(double=double))
    if double:
        widen_floats(converted)
    _restore_inputs(converted, inputs)
    _name_outputs(converted, signature)
    _name_inputs(converted, [tensor.name for tensor in read])
    _describe(converted, msgspec.structs.replace(signature, inputs=tuple(read)))
    content: bytes = converted.SerializeToString()
    return content


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what the converter warns of and logs away from the user; what matters is compared."""
    loggers = [logging.getLogger(name) for name in ("skl2onnx", "onnx", "onnxconverter_common")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _converted(model: Any, inputs: list[tuple[str, Any]], signature: Signature, own: Mapping[type, Converter]) -> Any:
    raw = {"raw_scores": True} if signature.scores == "scores" else {}
    choices: list[Any] = [None]
    if signature.kind in {Kind.CLASSIFICATION, Kind.MULTILABEL}:
        # A last step without such an option must be named, or its pipeline's is taken for its own.
        choices = [{id(model): {"zipmap": False, **raw}}, {id(final_step(model)): raw}, None]
    for options in choices[:-1]:
        try:
            return _with_options(model, inputs, options, own)
        except NameError:
            # The converter's way to say that it has no such option; it then has nothing to switch off either.
            continue
    return _with_options(model, inputs, choices[-1], own)


def _with_options(model: Any, inputs: list[tuple[str, Any]], options: Any, own: Mapping[type, Converter]) -> Any:
    import skl2onnx

    convert = partial(
        skl2onnx.convert_sklearn,
        model,
        initial_types=inputs,
        options=options,
        custom_conversion_functions=dict(own),
        custom_shape_calculators=own_shapes(own),
    )
    try:
        return convert(target_opset=_OPSETS)
    except TypeError:
        # Some converters compare the whole mapping with a number.
        return convert(target_opset=_OPSETS[""])


def _check(signature: Signature) -> None:
    if signature.kind is Kind.TENSORS:
        raise UnsupportedModel("several targets with classes of their own have no common form in ONNX")
    for tensor in signature.inputs:
        if is_unread(tensor):
            continue
        if is_moment(tensor.dtype):
            raise UnsupportedModel(f"input {tensor.name!r} holds moments, for which ONNX has no type")
        if tensor.dtype not in _ELEMENTS:
            raise UnsupportedModel(f"input {tensor.name!r} holds {tensor.dtype}, which has no form in ONNX")
        for column in tensor.columns:
            if column.dtype == "string" and column.nullable and not column.optional and column.categories is not None:
                raise UnsupportedModel(f"column {column.name!r} may be a missing text, which ONNX cannot hold")


def _types(*, double: bool) -> Mapping[str, Any]:
    from skl2onnx.common import data_types

    return {
        "float64": data_types.DoubleTensorType if double else data_types.FloatTensorType,
        "float32": data_types.DoubleTensorType if double else data_types.FloatTensorType,
        "int64": data_types.Int64TensorType,
        "bool": data_types.BooleanTensorType,
        "string": data_types.StringTensorType,
    }


def _restore_inputs(converted: Any, inputs: list[tuple[str, Any]]) -> None:
    """The converter leaves out inputs that the model drops; callers still send them, so they are declared again."""
    from onnx import helper

    present = {value.name for value in converted.graph.input}
    for name, kind in inputs:
        if name not in present:
            element = kind.to_onnx_type().tensor_type.elem_type
            converted.graph.input.append(helper.make_tensor_value_info(name, element, [None, *kind.shape[1:]]))
    order = {name: place for place, (name, _) in enumerate(inputs)}
    declared = sorted(converted.graph.input, key=lambda value: order[value.name])
    del converted.graph.input[:]
    converted.graph.input.extend(declared)


def _name_outputs(converted: Any, signature: Signature) -> None:
    """Give each output the native name and shape, through one node that reshapes it; leave out what is not native."""
    from onnx import helper

    found = list(converted.graph.output)
    del converted.graph.output[:]
    for tensor in signature.outputs:
        source = _match(tensor, found)
        element = source.type.tensor_type.elem_type
        inner = f"{tensor.name}_of_{source.name}"
        _rename(converted.graph, source.name, inner)
        shape = f"{tensor.name}_shape"
        converted.graph.initializer.append(
            helper.make_tensor(
                shape, _INT64, [len(tensor.shape)], [-1 if size is None else size for size in tensor.shape]
            )
        )
        shaped = f"{tensor.name}_shaped"
        # The converter may declare another float than its operators give, so the declared one is made true.
        converted.graph.node.extend(
            [
                helper.make_node("Reshape", [inner, shape], [shaped], name=f"shape_{tensor.name}"),
                helper.make_node(
                    "Identity" if element == _STRING else "Cast",
                    [shaped],
                    [tensor.name],
                    name=f"name_{tensor.name}",
                    **({} if element == _STRING else {"to": element}),
                ),
            ]
        )
        converted.graph.output.append(helper.make_tensor_value_info(tensor.name, element, list(tensor.shape)))


def _name_inputs(converted: Any, names: list[str]) -> None:
    """Give the inputs their names, but one taken by the graph; see `septet.runtimes.declared_inputs`."""
    graph = converted.graph
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {value.name for value in graph.initializer} | {value.name for value in graph.output}
    for place, name in enumerate(names):
        safe = f"{_SAFE}{place}"
        given = graph_name(name) if name in taken or not name else name
        _rename(graph, safe, given)
        for value in graph.input:
            if value.name == safe:
                value.name = given


def _match(tensor: Tensor, found: list[Any]) -> Any:
    floats = tensor.dtype.startswith("float")
    for value in found:
        if (value.type.tensor_type.elem_type in {_FLOAT, _DOUBLE}) is floats:
            found.remove(value)
            return value
    raise UnsupportedModel(f"the converter gives no output for {tensor.name!r}")


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new


def _describe(converted: Any, signature: Signature) -> None:
    facts = {}
    if len(signature.inputs) == 1 and signature.columns:
        facts[_COLUMNS_KEY] = json.dumps([column.name for column in signature.columns])
    if signature.labels and signature.scores is not None:
        facts[_LABELS_KEY] = json.dumps(list(signature.labels))
    for key, value in facts.items():
        converted.metadata_props.add(key=key, value=value)
