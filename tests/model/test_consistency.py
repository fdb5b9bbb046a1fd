import math

import pytest

from septet.errors import LabelsMismatch, PackageInvalid
from septet.model.consistency import check_signature
from septet.model.signature import Column, Kind, Scalar, Signature, Tensor

X = Tensor("x", "float32", (None, 2), (Column("a", "float32"), Column("b", "float32")))
Y = Tensor("y", "float32", (None, 3))


def signature(*inputs: Tensor, label: str | None = None, labels: tuple[str, ...] = (), classes: int = 0) -> Signature:
    raw: tuple[Scalar, ...] = tuple(range(classes))
    return Signature(Kind.CLASSIFICATION, inputs, (Y,), label=label, scores="y", labels=labels, classes=raw)


def of_column(column: Column) -> Signature:
    return signature(Tensor("x", column.dtype, (None,), (column,)))


def test_a_sound_signature_passes() -> None:
    check_signature(signature(X, labels=("a", "b", "c"), classes=3), "septet.toml")
    check_signature(of_column(Column("a", "string", categories=("red", "blue"))), "septet.toml")


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (signature(), "signature.inputs is empty"),
        (signature(X, X), "signature.inputs has the name 'x' 2 times"),
        (signature(X, Tensor("z", "float32", (None,), (Column("a", "float32"),))), "has the name 'a' 2 times"),
        (signature(Tensor("x", "f32", (None,))), "signature.inputs[0].dtype is 'f32'; known are bool"),
        (
            signature(Tensor("x", "bool", (None,), (Column("a", "yes"),))),
            "signature.inputs[0].columns[0].dtype is 'yes'",
        ),
        (signature(Tensor("x", "bool", (None, -2))), "signature.inputs[0].shape is [None, -2]"),
        (
            signature(Tensor("x", "float32", (None, 3), X.columns)),
            "has 2 columns, which does not fit its shape [None, 3]",
        ),
        (signature(Tensor("x", "float32", (None, 2, 1), X.columns)), "has 2 columns, which does not fit"),
        (signature(X, label="z"), "signature.label is 'z', which is not the name of an output"),
        (of_column(Column("a", "int8", minimum=2, maximum=1)), "columns[0]: minimum 2 is above maximum 1"),
        (of_column(Column("a", "int8", minimum=math.inf)), "must be finite numbers"),
        (of_column(Column("a", "int8", categories=("x",))), "the category 'x' is not of the column's dtype int8"),
        (of_column(Column("a", "string", categories=(1,))), "the category 1 is not of the column's dtype string"),
        (of_column(Column("a", "string", categories=())), "categories is empty"),
        (of_column(Column("a", "bytes", categories=("YQ==",))), "bytes have no minimum, maximum or categories"),
        (of_column(Column("a", "bytes", maximum=3)), "bytes have no minimum, maximum or categories"),
        (of_column(Column("a", "bytes", max_bytes=-1)), "max_bytes is -1"),
        (of_column(Column("a", "string", max_bytes=1)), "max_bytes is 1"),
        (
            Signature(Kind.CLASSIFICATION, (X,), (Tensor("y", "bytes", (None,)),), label="y"),
            "signature.label is 'y', an output of bytes",
        ),
    ],
)
def test_a_signature_that_contradicts_itself_is_refused(faulty: Signature, words: str) -> None:
    with pytest.raises(PackageInvalid) as caught:
        check_signature(faulty, "septet.toml")
    assert caught.value.message.startswith("septet.toml: ")
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("faulty", "words"),
    [
        (signature(X, labels=("a", "b")), "holds 2 labels, and the model's output 'y' has 3 classes"),
        (signature(X, labels=("a", "b", "c"), classes=2), "holds 3 labels, and signature.classes 2"),
    ],
)
def test_labels_that_do_not_fit_are_refused(faulty: Signature, words: str) -> None:
    with pytest.raises(LabelsMismatch) as caught:
        check_signature(faulty, "septet.toml")
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("tensor", "column", "said"),
    [
        ("int64", Column("a", "int64", nullable=True), "has no missing value; carry it in float64"),
        ("bool", Column("a", "bool", nullable=True), "has no missing value"),
        ("float64", Column("a", "int64", optional=True), "is optional and not nullable"),
        ("float64", Column("a", "string"), "does not hold"),
        ("int64", Column("a", "float64"), "does not hold"),
        ("bool", Column("a", "int64"), "does not hold"),
        ("datetime64[s]", Column("a", "datetime64[us]"), "does not hold"),
        ("float64", Column("a", "float64", timezone="UTC"), "is no moment"),
    ],
)
def test_a_tensor_must_hold_what_its_column_takes(tensor: str, column: Column, said: str) -> None:
    inputs = (Tensor("a", tensor, (None, 1), (column,)),)
    outputs = (Tensor("prediction", "float64", (None,)),)
    with pytest.raises(PackageInvalid, match=said):
        check_signature(Signature(Kind.REGRESSION, inputs, outputs), "a test")


@pytest.mark.parametrize(
    ("tensor", "column"),
    [
        ("float64", Column("a", "int64", nullable=True)),
        ("float32", Column("a", "bool", nullable=True, optional=True)),
        ("datetime64[us]", Column("a", "datetime64[us]", nullable=True, timezone="Europe/Rome")),
        ("string", Column("a", "string", nullable=True)),
    ],
)
def test_floats_texts_and_moments_hold_missing_values(tensor: str, column: Column) -> None:
    inputs = (Tensor("a", tensor, (None, 1), (column,)),)
    outputs = (Tensor("prediction", "float64", (None,)),)
    check_signature(Signature(Kind.REGRESSION, inputs, outputs), "a test")
