"""A fitted scikit-learn estimator compiled to ONNX, with the native model's names on its inputs and outputs."""

import json
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from septet.errors import UnsupportedModel
from septet.model.signature import DTYPES, Kind, Signature, Tensor
from septet.packing.provenance import final_step

# What every onnxruntime from 1.20 on reads, and every converter writes.
_OPSETS = {"": 18, "ai.onnx.ml": 3}
_FLOAT = 1
_DOUBLE = 11
_INT64 = 7
_STRING = 8
# Names under which the ONNX runtime looks for columns and classes in a bare file.
_COLUMNS_KEY = "feature_names"
_LABELS_KEY = "labels"


def compiled(model: Any, signature: Signature, *, double: bool) -> bytes:
    """The bytes of an ONNX model that takes and gives what `signature`, the native runtime's, says.

    Numbers are float32, or float64 with `double`.

    Raises:
        UnsupportedModel: the signature has a part without a form in ONNX.
        Exception: whatever the converter raises; it knows many estimators, not all.
    """
    _check(signature)
    if double and any(not np.isfinite(thresholds).all() for thresholds in _thresholds(model)):
        # The converter would search for ever for the number beside an infinite one.
        raise UnsupportedModel("trees that split on missing values have no form with 64-bit numbers")
    types = _types(double=double)
    inputs = [(tensor.name, types[tensor.dtype](list(tensor.shape))) for tensor in signature.inputs]
    converted = _converted(model, inputs, signature)
    unread = {tensor.name for tensor in signature.inputs if all(column.optional for column in tensor.columns)}
    _restore_inputs(converted, inputs, unread)
    _name_outputs(converted, signature)
    _describe(converted, signature)
    content: bytes = converted.SerializeToString()
    return content


def _thresholds(value: Any) -> Iterator[Any]:
    """The thresholds of every decision tree in an estimator, however deep."""
    if hasattr(value, "tree_"):
        yield value.tree_.threshold
    elif hasattr(value, "get_params"):
        for part in vars(value).values():
            yield from _thresholds(part)
    elif isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.dtype == object):
        for part in value:
            yield from _thresholds(part)


def _converted(model: Any, inputs: list[tuple[str, Any]], signature: Signature) -> Any:
    import skl2onnx

    raw = {"raw_scores": True} if signature.scores == "scores" else {}
    choices: list[Any] = [None]
    if signature.kind in {Kind.CLASSIFICATION, Kind.MULTILABEL}:
        choices = [{id(model): {"zipmap": False, **raw}}, {id(final_step(model)): raw} if raw else None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for options in choices[:-1]:
            try:
                return skl2onnx.convert_sklearn(model, initial_types=inputs, options=options, target_opset=_OPSETS)
            except NameError:
                # The converter's way to say that it has no such option; it then has nothing to switch off either.
                continue
        return skl2onnx.convert_sklearn(model, initial_types=inputs, options=choices[-1], target_opset=_OPSETS)


def _check(signature: Signature) -> None:
    if signature.kind is Kind.TENSORS:
        raise UnsupportedModel("several targets with classes of their own have no common form in ONNX")
    for column in signature.columns:
        if column.dtype.startswith("datetime64") and not column.optional:
            raise UnsupportedModel(f"column {column.name!r} holds moments, for which ONNX has no type")
        if column.dtype == "string" and column.nullable and not column.optional and column.categories is not None:
            raise UnsupportedModel(f"column {column.name!r} may be a missing text, which ONNX cannot hold")


def _types(*, double: bool) -> Mapping[str, Any]:
    from skl2onnx.common import data_types

    return {
        **dict.fromkeys(("float32", "float64"), data_types.DoubleTensorType if double else data_types.FloatTensorType),
        # Of columns that the model does not read: what it reads has been checked.
        **{name: data_types.StringTensorType for name in DTYPES if name.startswith("datetime64")},
        "uint64": data_types.UInt64TensorType,
        "int64": data_types.Int64TensorType,
        "bool": data_types.BooleanTensorType,
        "string": data_types.StringTensorType,
    }


def _restore_inputs(converted: Any, inputs: list[tuple[str, Any]], unread: Collection[str]) -> None:
    """The converter leaves out inputs that the model drops: those that callers still send are declared again.

    Those of columns that are not read at all stay out: they may be missing, which ONNX has no text for.
    """
    from onnx import helper

    read = {name for node in converted.graph.node for name in node.input}
    for value in converted.graph.input:
        if value.name in read and value.name in unread and value.type.tensor_type.elem_type not in {_FLOAT, _DOUBLE}:
            raise UnsupportedModel(f"the converter reads the column {value.name!r}, which the model does not read")
    kept = [value for value in converted.graph.input if value.name in read or value.name not in unread]
    del converted.graph.input[:]
    converted.graph.input.extend(kept)
    present = {value.name for value in kept}
    inputs = [(name, kind) for name, kind in inputs if name in present or name not in unread]
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
