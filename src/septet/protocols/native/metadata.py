"""What `/metadata` says: the keys of the pattern's classic route, and all else that a caller may ask of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from septet.model.digest import identity_digest
from septet.model.manifest import Manifest
from septet.model.signature import Column, Signature, Tensor
from septet.protocols.codecs import examples
from septet.service import Service
from septet.settings import Limits
from septet.types import Tensors


def metadata(service: Service, *, limits: Limits, jobs: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Describe a service; `jobs` is what a server says that accepts them."""
    identity, manifest, signature = service.identity, service.manifest, service.signature
    return {
        **classic(signature, service.sample, service.answer),
        "name": identity.name,
        "version": identity.version,
        "digest": identity.digest,
        "runtime": manifest.runtime,
        "kind": str(signature.kind),
        "description": manifest.description,
        "rows": signature.rows,
        "inputs": [_tensor(each) for each in signature.inputs],
        "outputs": [_tensor(each) for each in signature.outputs],
        "columns": [_column(each) for each in signature.columns],
        "label": signature.label,
        "scores": signature.scores,
        "labels": list(signature.labels),
        "classes": list(signature.classes),
        **_provenance(manifest),
        "merging": msgspec.to_builtins(service.merging()),
        "freshness": msgspec.to_builtins(service.freshness()),
        "limits": {"max_rows": limits.max_rows, "max_body_bytes": limits.max_body_bytes},
        **({} if jobs is None else {"jobs": jobs}),
    }


def classic(signature: Signature, sample: Tensors | None, answer: Tensors | None) -> dict[str, Any]:
    """Write the six keys of the classic route, for one row where the signature has rows."""
    tensor = examples.answering(signature)
    answering = signature.outputs if tensor is None else (tensor,)
    return {
        "data_type": _dtypes(signature.columns or signature.inputs),
        "data_structure": _data_structure(signature, sample),
        "data_sample": None if sample is None else _data(signature, sample),
        "prediction_type": _dtypes(answering),
        "prediction_structure": _structures(signature, answering, answer),
        "prediction_sample": None if answer is None else examples.prediction(signature, answer),
    }


def _data(signature: Signature, sample: Tensors) -> Any:
    rows = examples.data(signature, sample)
    return examples.inputs(signature, sample) if rows is None else rows


def _dtypes(named: Sequence[Tensor | Column]) -> str:
    dtypes = {each.dtype for each in named}
    return dtypes.pop() if len(dtypes) == 1 else "mixed"


def _data_structure(signature: Signature, sample: Tensors | None) -> str:
    if signature.rows and signature.columns:
        return f"(1,{len(signature.columns)})"
    return _structures(signature, signature.inputs, sample)


def _structures(signature: Signature, tensors: Sequence[Tensor], arrays: Tensors | None) -> str:
    parts = [_structure(signature, each, arrays) for each in tensors]
    if len(parts) == 1:
        return parts[0]
    return ", ".join(f"{each.name} {part}" for each, part in zip(tensors, parts, strict=True))


def _structure(signature: Signature, tensor: Tensor, arrays: Tensors | None) -> str:
    shape: tuple[int | None, ...] = tensor.shape if arrays is None else np.shape(arrays[tensor.name])
    if arrays is None and signature.rows:
        shape = (1, *shape[1:])
    if shape == (1, None) and tensor.name == signature.scores and signature.labels:
        shape = (1, len(signature.labels))
    return "(" + ",".join("-1" if size is None else str(size) for size in shape) + ")"


def _tensor(tensor: Tensor) -> dict[str, Any]:
    shape = [-1 if size is None else size for size in tensor.shape]
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": shape}


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "dtype": column.dtype,
        "nullable": column.nullable,
        "minimum": column.minimum,
        "maximum": column.maximum,
        "categories": None if column.categories is None else list(column.categories),
        "other_categories": column.other_categories,
        "unit": column.unit,
        "optional": column.optional,
        "timezone": column.timezone,
        "pandas_dtype": column.pandas_dtype,
        "max_bytes": column.max_bytes,
    }


def _provenance(manifest: Manifest) -> dict[str, Any]:
    """Write dates as ISO 8601 text, so that the result is plain JSON values."""
    return {
        "training": msgspec.to_builtins(manifest.training),
        "preprocessing": _preprocessing(manifest),
        "valid_for_days": manifest.valid_for_days,
        "parity": msgspec.to_builtins(manifest.parity),
    }


def _preprocessing(manifest: Manifest) -> dict[str, Any] | None:
    """The code before the model, by its digest."""
    if manifest.prepare is None:
        return None
    return {"file": manifest.prepare, "digest": identity_digest(manifest.files[manifest.prepare])}
