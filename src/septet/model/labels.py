"""Names for classes: reading a label file, and fitting it onto the classes of a model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from septet.errors import LabelsMismatch
from septet.model.received import shown_names
from septet.model.signature import Kind, Scalar, Signature, Tensor

# By position, or by key: a class value, or a position.
Labels: TypeAlias = tuple[str, ...] | Mapping[str, str]

# Kinds that an artefact may claim only because it declares no classes.
_UNCLASSED = (Kind.REGRESSION, Kind.TENSORS, Kind.TRANSFORM)
_ROWS_AND_CLASSES = 2


def read_labels(path: Path) -> Labels:
    """Read a label file: a JSON list, a JSON object, or (`.txt`) one label a line.

    Raises:
        LabelsMismatch: it is missing, unreadable, or holds empty or repeated labels.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise LabelsMismatch(f"label file {path}: does not exist; give the path of a JSON or text file") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise LabelsMismatch(f"label file {path}: cannot be read as UTF-8 text: {exc}") from exc
    if path.suffix.lower() == ".txt":
        labels: Labels = tuple(line.strip() for line in text.strip().splitlines())
    else:
        labels = _from_json(text, path)
    _check_texts(labels, path)
    return labels


def _from_json(text: str, path: Path) -> Labels:
    try:
        value: Any = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, path))
    except (ValueError, RecursionError) as exc:
        raise LabelsMismatch(f"label file {path}: is not JSON: {exc}") from exc
    if isinstance(value, list):
        return tuple(_text(item, f"item {at}", path) for at, item in enumerate(value))
    if isinstance(value, dict):
        return {key: _text(item, f"key '{key}'", path) for key, item in value.items()}
    raise LabelsMismatch(f'label file {path}: holds neither a list ["a", "b"] nor an object {{"0": "a", "1": "b"}}')


def _unique(pairs: list[tuple[str, Any]], path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise LabelsMismatch(f"label file {path}: key '{key}' stands twice")
        found[key] = value
    return found


def _text(value: object, place: str, path: Path) -> str:
    if not isinstance(value, str):
        raise LabelsMismatch(
            f"label file {path}: {place} is {json.dumps(value)[:80]}, not a text in quotes; "
            'write ["a", "b"] or {"0": "a", "1": "b"}'
        )
    return value


def _check_texts(labels: Labels, path: Path) -> None:
    places = labels.items() if isinstance(labels, Mapping) else enumerate(labels)
    seen: dict[str, object] = {}
    for place, label in places:
        if not label.strip():
            raise LabelsMismatch(f"label file {path}: the label at {place} is empty")
        if label in seen:
            raise LabelsMismatch(f"label file {path}: the label '{label}' stands twice, at {seen[label]} and {place}")
        seen[label] = place
    if not labels:
        raise LabelsMismatch(f"label file {path}: holds no labels")


def with_labels(signature: Signature, labels: Labels, source: Path | str, *, in_any_order: bool = False) -> Signature:
    """Return the signature with these names for its classes; `source` is where they come from, for messages.

    A list of the model's own names in another order is refused, but for `in_any_order`.

    Keys that equal the model's raw class values match by value; else they are the positions 0 to n - 1. An output of
    floats as wide as there are labels becomes the scores of a classifier where the artefact names no classes.

    Raises:
        LabelsMismatch: they do not fit.
    """
    if signature.label is None and signature.scores is None:
        signature = _as_classifier(signature, len(labels), source)
    raw: tuple[Scalar, ...] = signature.classes or signature.labels
    _check_count(signature, raw, len(labels), source)
    if not in_any_order and not isinstance(labels, Mapping) and set(labels) == set(raw) and labels != raw:
        raise LabelsMismatch(
            f"{source}: holds the model's own classes in another order; the model's order is {shown_names(raw)}"
        )
    names, values = _placed(signature, labels, raw, source)
    if signature.label is None or signature.kind is Kind.MULTILABEL:
        values = signature.classes
    elif values == names:
        values = ()
    return msgspec.structs.replace(signature, labels=names, classes=values)


def shown_labels(signature: Signature) -> tuple[Scalar, ...]:
    """The labels as answers show them: the model's own class values where nobody has named them, else the names."""
    own = signature.classes
    unnamed = len(own) == len(signature.labels) and all(map(_is_text_of, signature.labels, own))
    return own if unnamed else signature.labels


def _is_text_of(label: str, raw: Scalar) -> bool:
    return label == str(raw)


def label_map(signature: Signature) -> dict[str, str]:
    """Return the labels by position, as `GET /label` shows them; empty where the model has none."""
    return {str(position): label for position, label in enumerate(signature.labels)}


def _as_classifier(signature: Signature, count: int, source: Path | str) -> Signature:
    fitting = [tensor for tensor in signature.outputs if _is_floats_of_width(tensor, count)]
    if signature.kind not in _UNCLASSED or len(fitting) != 1 or count == 1:
        texts = (f"'{output.name}' {_shape_text(output)}" for output in signature.outputs)
        shapes = shown_names(texts, quoted=False)
        raise LabelsMismatch(
            f"{source}: holds {count} labels, and the model has no output to name: a {signature.kind.value} model "
            f"with {shapes}; just one output of floats must have {max(count, 2)} columns"
        )
    return msgspec.structs.replace(signature, kind=Kind.CLASSIFICATION, scores=fitting[0].name)


def _is_floats_of_width(tensor: Tensor, width: int) -> bool:
    return tensor.dtype.startswith("float") and len(tensor.shape) == _ROWS_AND_CLASSES and tensor.shape[1] == width


def _shape_text(tensor: Tensor) -> str:
    return f"{tensor.dtype}[{', '.join('any' if size is None else str(size) for size in tensor.shape)}]"


def class_count(signature: Signature) -> tuple[int, str] | None:
    """Return how many classes the model's output has room for and where that stands, or None where it is not known."""
    wide = signature.scores or (signature.label if signature.kind is Kind.MULTILABEL else None)
    for tensor in signature.outputs:
        if tensor.name == wide and len(tensor.shape) > 1 and tensor.shape[-1] is not None:
            return tensor.shape[-1], f"the model's output '{tensor.name}'"
    return None


def _check_count(signature: Signature, raw: tuple[Scalar, ...], count: int, source: Path | str) -> None:
    known = class_count(signature) or ((len(raw), "the model's list of classes") if raw else None)
    if known is not None and known[0] != count:
        raise LabelsMismatch(
            f"{source}: holds {count} labels, and {known[1]} has {known[0]} classes; "
            "give one label for each class, in the model's order"
        )


def _placed(
    signature: Signature, labels: Labels, raw: tuple[Scalar, ...], source: Path | str
) -> tuple[tuple[str, ...], tuple[Scalar, ...]]:
    """Return the labels in class order, and the raw value of each."""
    if not isinstance(labels, Mapping):
        return labels, raw or _presumed(signature, len(labels))
    order = {key: at for at, key in enumerate(labels)}
    by_value = [
        min((key for key in spellings(value) if key in order), key=order.__getitem__, default=None) for value in raw
    ]
    if raw and None not in by_value:
        return tuple(labels[key] for key in by_value if key is not None), raw
    if not raw and class_count(signature) is None:
        return _by_own_keys(labels, signature, source)
    positions = [str(position) for position in range(len(labels))]
    missing = [position for position in positions if position not in labels]
    if missing:
        wanted = f"the class values {shown_names(raw)} or " if raw else ""
        raise LabelsMismatch(
            f"{source}: no label for {', '.join(missing[:10])}; the keys must be {wanted}"
            f"the positions 0 to {len(labels) - 1}, and they are {', '.join(list(labels)[:10])}"
        )
    return tuple(labels[position] for position in positions), raw or _presumed(signature, len(labels))


def _by_own_keys(
    labels: Mapping[str, str], signature: Signature, source: Path | str
) -> tuple[tuple[str, ...], tuple[Scalar, ...]]:
    """Take the keys for the raw values of an output of which nothing else is known."""
    dtype = next((output.dtype for output in signature.outputs if output.name == signature.label), "int64")
    if dtype == "string":
        return tuple(labels.values()), tuple(labels)
    try:
        values = sorted((int(key), label) for key, label in labels.items())
    except ValueError as exc:
        raise LabelsMismatch(f"{source}: the keys must be the whole numbers that the model answers: {exc}") from exc
    return tuple(label for _, label in values), tuple(value for value, _ in values)


def _presumed(signature: Signature, count: int) -> tuple[Scalar, ...]:
    """The raw values of classes that the artefact does not name: 0 to n - 1, or for strings the labels themselves."""
    dtypes = {output.name: output.dtype for output in signature.outputs}
    return () if dtypes.get(signature.label or "") == "string" else tuple(range(count))


def spellings(value: Scalar) -> tuple[str, ...]:
    """Return how a class value may be written as a key of a label file."""
    if isinstance(value, bool):
        return str(value), str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(value), str(int(value))
    return (str(value),)
