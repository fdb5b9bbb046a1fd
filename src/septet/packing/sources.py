"""The parts of a package and where each was taken from; `pack` and `save` report them."""

from collections.abc import Mapping
from typing import Any

from septet.model.signature import Signature
from septet.packing.provenance import Statement


def sources_of(
    signature: Signature, statement: Statement, data: Any, target: Any, *, columns: str, labels: str
) -> dict[str, str]:
    """From a part of a package to where it comes from; parts that it does not have are left out.

    `columns` and `labels` say where these come from where the statement does not give them.
    """
    found = {"columns": columns} if signature.columns else {"inputs": columns}
    if signature.labels:
        found["labels"] = labels if statement.labels is None else "labels"
    nullable = any(column.nullable for column in signature.columns)
    if statement.nullable is not None:
        found["nullable columns"] = "nullable"
    elif nullable:
        found["nullable columns"] = columns
    if statement.ranges:
        found["ranges"] = "ranges"
    found["golden rows"] = "a made-up row" if data is None else "data"
    if data is not None:
        found["profile"] = "data" if target is None else "data and target"
    if statement.prepare is not None:
        found["preprocessing"] = str(statement.prepare)
    return found


def sources_text(sources: Mapping[str, str]) -> str:
    """The same as one line, such as `columns from data, labels from the model's classes`."""
    return ", ".join(f"{part} from {source}" for part, source in sources.items())
