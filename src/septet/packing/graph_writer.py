"""Nodes and constants of a graph that is being converted, under names that are its own."""

from typing import Any

import numpy as np

from septet.types import Array

FLOAT, DOUBLE, INT64, STRING = 1, 11, 7, 8


class GraphWriter:
    """Writes one estimator's part of a graph, whose numbers are float64 where the estimator's output is.

    Attributes:
        element: the number of the graph's float type.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._operator, self._container = scope, operator, container
        wide = "Double" in type(operator.outputs[-1].type).__name__
        self.element = DOUBLE if wide else FLOAT
        self._kind: Any = np.float64 if wide else np.float32

    def rows(self) -> str:
        """The inputs, side by side, as a matrix of the graph's floats."""
        parts = [self.node("Cast", [given.full_name], to=self.element) for given in self._operator.inputs]
        return parts[0] if len(parts) == 1 else self.node("Concat", parts, axis=1)

    def numbers(self, values: Any) -> str:
        """A constant of the graph's floats."""
        array = np.asarray(values, dtype=np.float64).astype(self._kind)
        name: str = self._scope.get_unique_variable_name("numbers")
        self._container.add_initializer(name, self.element, list(array.shape), array.ravel().tolist())
        return name

    def whole(self, values: Any) -> str:
        """A constant of whole numbers."""
        array = np.asarray(values, dtype=np.int64)
        name: str = self._scope.get_unique_variable_name("whole")
        self._container.add_initializer(name, INT64, list(array.shape), array.ravel().tolist())
        return name

    def node(
        self, operation: str, given: list[str], *, output: int | None = None, version: int = 13, **more: Any
    ) -> str:
        """A node with one result, which is the estimator's output of this number or has a name of its own."""
        result: str = (
            self._scope.get_unique_variable_name(operation.lower())
            if output is None
            else self._operator.outputs[output].full_name
        )
        name = self._scope.get_unique_operator_name(operation)
        self._container.add_node(operation, given, result, op_version=version, name=name, **more)
        return result

    def label(self, scores: str, classes: Array) -> None:
        """The class with the highest score, the first of equals, as the estimator's first output."""
        texts = classes.dtype.kind in "UO"
        known: str = self._scope.get_unique_variable_name("classes")
        values = [str(each).encode() for each in classes] if texts else classes.astype(np.int64).tolist()
        self._container.add_initializer(known, STRING if texts else INT64, [len(values)], values)
        best = self.node("ArgMax", [scores], axis=1, keepdims=0)
        self.node("Gather", [known, best], output=0, axis=0)
