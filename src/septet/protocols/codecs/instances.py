"""TensorFlow Serving's two ways to write tensors: `instances`, by row, and `inputs`, by tensor.

A row, or an object of tensors, goes by the names of the model's inputs; where the model has columns, by theirs too.
"""

from itertools import islice
from typing import Any

from septet.errors import MOST_PROBLEMS, Invalid, Problem, invalid
from septet.model.received import received
from septet.model.signature import Signature
from septet.model.values import is_optional
from septet.protocols.codecs.column_names import ColumnNames, misnamed


class Instances:
    """From a JSON value to the form of a native body that says the same, for one signature."""

    def __init__(self, signature: Signature, names: ColumnNames) -> None:
        self._inputs = [tensor.name for tensor in signature.inputs]
        self._names = names
        self._columns = names.known
        # What stands for an input that a row leaves out.
        self._free = {
            tensor.name: None if len(tensor.shape) == 1 else [None] * len(tensor.columns)
            for tensor in signature.inputs
            if is_optional(tensor)
        }

    def by_row(self, value: Any) -> tuple[str, Any]:
        """The form and the value for `instances`.

        Raises:
            Invalid: a row has other names than the model's inputs.
        """
        if not isinstance(value, list) or not value or not isinstance(value[0], dict):
            return "data", value
        if self._go_by_columns(value[0]) and not any(isinstance(cell, list) for cell in value[0].values()):
            return "records", value
        problems: list[Problem] = []
        for row, item in enumerate(value):
            if len(problems) >= MOST_PROBLEMS:
                break
            if isinstance(item, dict):
                problems += misnamed(item, self._inputs, "input", row, free=self._free)
            else:
                problems.append(Problem(row, None, "an object of input names and values", received(item)))
        if problems:
            raise invalid(problems, "input")
        given = [name for name in self._inputs if any(name in item for item in value)]
        return "inputs", {name: [item.get(name, self._free.get(name)) for item in value] for name in given}

    def by_tensor(self, value: Any) -> tuple[str, Any]:
        """The form and the value for `inputs`.

        Raises:
            Invalid: it goes by columns, and these are not the model's, or differ in rows.
        """
        if not isinstance(value, dict):
            return "inputs", {self._inputs[0]: value} if len(self._inputs) == 1 else value
        if not self._go_by_columns(value) or value.keys() == set(self._inputs):
            return "inputs", value
        problems = self._names.problems(value)
        what = "a list of values, one per row"
        bare = (name for name in self._columns if name in value and not isinstance(value[name], list))
        problems += [Problem(None, name, what, received(value[name])) for name in islice(bare, MOST_PROBLEMS)]
        if problems:
            raise invalid(problems)
        counts = {name: len(value[name]) for name in self._columns if name in value}
        if not counts:
            what = f"at least one of {', '.join(self._columns[:10])}"
            raise invalid([Problem(None, None, what, "none of them")])
        of, first = next(iter(counts.items()))
        for name, count in counts.items():
            if count != first:
                text = f"Every column must have the same number of rows: {of!r} has {first} and {name!r} "
                raise Invalid(f"{text}has {count}.", (Problem(None, name, f"{first} rows", f"{count} rows"),))
        cells = [value.get(name, [None] * first) for name in self._columns]
        return "data", [list(row) for row in zip(*cells, strict=True)]

    def _go_by_columns(self, names: dict[str, Any]) -> bool:
        """Whether an object's keys are meant as columns: one is, or none is an input."""
        return bool(self._columns) and (
            any(name in names for name in self._columns) or not any(name in names for name in self._inputs)
        )
