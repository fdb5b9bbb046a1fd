from typing import Any

import msgspec
import pytest

from septet.model.compatibility import breaking_changes
from septet.model.signature import Column, Kind, Signature, Tensor

LENGTH = Column("length", "float32", minimum=0.0, maximum=10.0)
COLOUR = Column("colour", "string", categories=("red", "green"))
X = Tensor("X", "float32", (None, 1), (LENGTH,))
C = Tensor("C", "string", (None, 1), (COLOUR,))
LABEL = Tensor("label", "int64", (None,))
SCORES = Tensor("scores", "float32", (None, 2))
BEFORE = Signature(Kind.CLASSIFICATION, (X, C), (LABEL, SCORES), label="label", scores="scores", labels=("no", "yes"))


def with_length(**changes: Any) -> Signature:
    column = msgspec.structs.replace(LENGTH, **changes)
    return msgspec.structs.replace(BEFORE, inputs=(msgspec.structs.replace(X, columns=(column,)), C))


def with_colour(**changes: Any) -> Signature:
    column = msgspec.structs.replace(COLOUR, **changes)
    return msgspec.structs.replace(BEFORE, inputs=(X, msgspec.structs.replace(C, columns=(column,))))


def with_inputs(*inputs: Tensor) -> Signature:
    return msgspec.structs.replace(BEFORE, inputs=inputs)


def with_outputs(*outputs: Tensor) -> Signature:
    return msgspec.structs.replace(BEFORE, outputs=outputs)


def with_more(*columns: Column) -> Signature:
    """With more columns in X."""
    return with_inputs(Tensor("X", "float32", (None, 1), (LENGTH, *columns)), C)


@pytest.mark.parametrize(
    ("after", "change"),
    [
        (with_inputs(X), "the input 'C' is gone"),
        (with_inputs(X, C, LABEL), "the input 'label' is new"),
        (
            with_inputs(Tensor("X", "float64", (None, 1), (LENGTH,)), C),
            "the input 'X' is of float64, no more of float32",
        ),
        (with_inputs(Tensor("X", "float32", (None, 2), (LENGTH,)), C), "the input 'X' has the shape [None, 2]"),
        (with_more(Column("width", "float32")), "the column 'width' is new"),
        (with_length(name="size"), "the column 'length' is gone"),
        (with_length(dtype="int32"), "the column 'length' is of int32, no more of float32"),
        (with_length(timezone="UTC"), "the column 'length' is of float32 in UTC, no more of float32"),
        (with_length(minimum=1.0), "the column 'length' has the minimum 1, not 0"),
        (with_length(maximum=9.5), "the column 'length' has the maximum 9.5, not 10"),
        (with_colour(max_bytes=3), "the column 'colour' may have 3 bytes, not none"),
        (with_colour(categories=("red",)), "the column 'colour' takes 'green' no more"),
        (with_outputs(LABEL), "the output 'scores' is gone"),
        (with_outputs(Tensor("label", "string", (None,)), SCORES), "the output 'label' is of string, no more of int64"),
        (with_outputs(LABEL, Tensor("scores", "float32", (None, 3))), "the output 'scores' has the shape [None, 3]"),
        (msgspec.structs.replace(BEFORE, labels=("yes", "no")), "the classes, or their order, have changed"),
        (msgspec.structs.replace(BEFORE, kind=Kind.TENSORS), "it is a model of tensors, no more of classification"),
        (msgspec.structs.replace(BEFORE, scores=None), "the outputs that hold the label and the scores have changed"),
        (msgspec.structs.replace(BEFORE, rows=False), "requests have rows and would have none"),
    ],
)
def test_a_change_that_callers_notice_is_named(after: Signature, change: str) -> None:
    found = breaking_changes(BEFORE, after)

    assert any(each.startswith(change) for each in found), found


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (with_length(nullable=True), BEFORE, "the column 'length' may be missing no more"),
        (with_length(optional=True), BEFORE, "the column 'length' may be left out no more"),
        (with_length(minimum=None), BEFORE, "the column 'length' has the minimum 0, not none"),
        (with_colour(categories=None), BEFORE, "the column 'colour' takes only its 2 categories"),
        (with_colour(other_categories=True), BEFORE, "the column 'colour' takes only its 2 categories"),
    ],
)
def test_what_was_allowed_and_is_no_more_is_named(before: Signature, after: Signature, change: str) -> None:
    assert breaking_changes(before, after) == [change]


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        with_length(minimum=None, maximum=11.0, nullable=True),
        with_length(optional=True),
        with_colour(categories=("blue", "green", "red")),
        with_colour(categories=("blue",), other_categories=True),
        with_colour(unit="name"),
        with_more(Column("width", "float32", optional=True)),
        with_outputs(SCORES, LABEL, Tensor("more", "float32", (None,))),
    ],
)
def test_a_change_that_only_allows_more_is_none(after: Signature) -> None:
    assert breaking_changes(BEFORE, after) == []


def test_columns_in_another_order_break_rows_without_names() -> None:
    width = Column("width", "float32")
    before, after = (
        with_inputs(Tensor("X", "float32", (None, 2), order), C) for order in ((LENGTH, width), (width, LENGTH))
    )

    (found,) = breaking_changes(before, after)

    assert found.startswith("the columns have another order, width, length")


def test_columns_that_change_with_their_tensor_are_named_once() -> None:
    column = msgspec.structs.replace(LENGTH, dtype="float64")
    after = with_inputs(Tensor("X", "float64", (None, 1), (column,)), C)

    assert breaking_changes(BEFORE, after) == ["the input 'X' is of float64, no more of float32"]
