"""Whether a new version of a model answers every request that the old one did, in the same form.

What may change: what callers need not know. A new version may take more (a wider range, another category, a missing
value, another optional column) and may give more outputs.
"""

from collections.abc import Iterator

import msgspec

from septet.model.signature import Column, Signature, Tensor


def breaking_changes(before: Signature, after: Signature) -> list[str]:
    """What callers of the old signature would notice of the new one, a sentence each; empty where nothing breaks."""
    return [*_inputs(before, after), *_outputs(before, after), *_roles(before, after)]


def _inputs(before: Signature, after: Signature) -> Iterator[str]:
    if before.rows != after.rows:
        yield f"requests have {'rows' if before.rows else 'no rows'} and would have {'rows' if after.rows else 'none'}"
    new = {tensor.name: tensor for tensor in after.inputs}
    for tensor in before.inputs:
        found = new.pop(tensor.name, None)
        if found is None:
            yield f"the input {tensor.name!r} is gone"
        else:
            yield from _form(f"the input {tensor.name!r}", tensor, found)
            yield from _columns(tensor, found)
    for name in new:
        yield f"the input {name!r} is new, and requests of today do not have it"


def _outputs(before: Signature, after: Signature) -> Iterator[str]:
    new = {tensor.name: tensor for tensor in after.outputs}
    for tensor in before.outputs:
        found = new.get(tensor.name)
        if found is None:
            yield f"the output {tensor.name!r} is gone"
        else:
            yield from _form(f"the output {tensor.name!r}", tensor, found)


def _form(what: str, before: Tensor, after: Tensor) -> Iterator[str]:
    if before.dtype != after.dtype:
        yield f"{what} is of {after.dtype}, no more of {before.dtype}"
    if before.shape != after.shape:
        yield f"{what} has the shape {list(after.shape)}, no more {list(before.shape)}"


def _columns(before: Tensor, after: Tensor) -> Iterator[str]:
    names, new_names = [column.name for column in before.columns], [column.name for column in after.columns]
    new = {column.name: column for column in after.columns}
    for column in before.columns:
        found = new.pop(column.name, None)
        if found is None:
            yield f"the column {column.name!r} is gone"
        else:
            # A column that has the tensor's own type has changed with it, which is said already.
            derived = (column.dtype, found.dtype) == (before.dtype, after.dtype)
            yield from _column(msgspec.structs.replace(column, dtype=found.dtype) if derived else column, found)
    for column in new.values():
        if not column.optional:
            yield f"the column {column.name!r} is new, and requests of today do not have it"
    if set(names) == set(new_names) and names != new_names:
        yield f"the columns have another order, {', '.join(new_names)}: rows without names would be read wrongly"


def _column(before: Column, after: Column) -> Iterator[str]:
    what = f"the column {before.name!r}"
    if (before.dtype, before.timezone) != (after.dtype, after.timezone):
        yield f"{what} is of {_type(after)}, no more of {_type(before)}"
    if before.nullable and not after.nullable:
        yield f"{what} may be missing no more"
    elif before.optional and not after.optional:
        yield f"{what} may be left out no more"
    if after.minimum is not None and (before.minimum is None or after.minimum > before.minimum):
        yield f"{what} has the minimum {after.minimum:g}, not {_bound(before.minimum)}"
    if after.maximum is not None and (before.maximum is None or after.maximum < before.maximum):
        yield f"{what} has the maximum {after.maximum:g}, not {_bound(before.maximum)}"
    if after.max_bytes is not None and (before.max_bytes is None or after.max_bytes < before.max_bytes):
        yield f"{what} may have {after.max_bytes} bytes, not {_bound(before.max_bytes)}"
    yield from _categories(what, before, after)


def _type(column: Column) -> str:
    return column.dtype if column.timezone is None else f"{column.dtype} in {column.timezone}"


def _bound(bound: float | None) -> str:
    return "none" if bound is None else f"{bound:g}"


def _categories(what: str, before: Column, after: Column) -> Iterator[str]:
    if after.categories is None or after.other_categories:
        return
    if before.categories is None or before.other_categories:
        yield f"{what} takes only its {len(after.categories)} categories"
        return
    if gone := [each for each in before.categories if each not in set(after.categories)]:
        yield f"{what} takes {', '.join(map(repr, gone[:5]))}{' and others' if len(gone) > 5 else ''} no more"  # noqa: PLR2004


def _roles(before: Signature, after: Signature) -> Iterator[str]:
    if before.kind != after.kind:
        yield f"it is a model of {after.kind}, no more of {before.kind}"
    if (before.label, before.scores) != (after.label, after.scores):
        yield "the outputs that hold the label and the scores have changed"
    if before.labels != after.labels or before.classes != after.classes:
        yield "the classes, or their order, have changed"
