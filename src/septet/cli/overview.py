"""A signature and an identity in words."""

from itertools import groupby

from septet.model.freshness import Freshness
from septet.model.manifest import EngineCost
from septet.model.signature import Column, Signature, Tensor

_SHOWN = 6  # columns or labels that fit a line
_DIGITS = 12
_TIMES = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6))
_MEGABYTE = 1 << 20


def short_digest(digest: str) -> str:
    """Shorten a digest as far as people compare it; `--trust` takes the short form too."""
    kind, colon, digits = digest.partition(":")
    return f"{kind}{colon}{digits[:_DIGITS]}"


def tensor_text(tensor: Tensor) -> str:
    """Write a tensor's dtype and shape, such as `float32 [any, 4]`."""
    return f"{tensor.dtype} [{', '.join('any' if size is None else str(size) for size in tensor.shape)}]"


def columns_text(signature: Signature) -> str:
    """Write the columns of a row by type, such as `4 columns: a, b, c, d (float32)`, or the tensors."""
    columns = signature.columns
    if not columns:
        return "; ".join(f"{tensor.name}: {tensor_text(tensor)}" for tensor in signature.inputs)
    shown = columns if len(columns) <= _SHOWN else columns[: _SHOWN - 1]
    groups = [
        f"{', '.join(column.name for column in members)} ({dtype})"
        for dtype, members in groupby(shown, key=lambda column: column.dtype)
    ]
    rest = _rest(columns[len(shown) :])
    return f"{len(columns)} column{'s' if len(columns) > 1 else ''}: {', '.join(groups)}{rest}"


def labels_text(signature: Signature) -> str:
    """Write the labels, such as `3: setosa, versicolor, virginica`; empty where there are none."""
    labels = signature.labels
    if not labels:
        return ""
    shown = labels if len(labels) <= _SHOWN else labels[: _SHOWN - 1]
    rest = f", and {len(labels) - len(shown)} more" if len(shown) < len(labels) else ""
    return f"{len(labels)}: {', '.join(shown)}{rest}"


def age_text(fresh: Freshness) -> str:
    """Write the age of the training data; of a bare file it cannot be known."""
    if fresh.state == "unknown":
        return "age not known; a package (septet pack) records what the training data covers"
    return fresh.message


def cost_text(cost: EngineCost) -> str:
    """Write a cost, such as `24 us, 0.5 MiB`."""
    unit, size = next(((unit, size) for unit, size in _TIMES if cost.seconds >= size), _TIMES[-1])
    return f"{cost.seconds / size:.3g} {unit}, {cost.bytes / _MEGABYTE:.1f} MiB"


def _rest(columns: tuple[Column, ...]) -> str:
    if not columns:
        return ""
    dtypes = sorted({column.dtype for column in columns})
    return f", and {len(columns)} more ({', '.join(dtypes)})"
