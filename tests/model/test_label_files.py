"""A label file beside a model names its classes and may not contradict it."""

import json
from pathlib import Path
from typing import Any

import pytest

from septet.errors import LabelsMismatch
from septet.model.label_files import with_labels_beside
from septet.model.signature import Kind, Signature, Tensor

INPUTS = (Tensor("x", "float32", (None, 4)),)


def signature(
    labels: tuple[str, ...], classes: tuple[Any, ...] = (), dtype: str = "int64", kind: Kind = Kind.CLASSIFICATION
) -> Signature:
    return Signature(kind, INPUTS, (Tensor("label", dtype, (None,)),), label="label", labels=labels, classes=classes)


TEXTS = signature(("cat", "dog"), dtype="string")
DIGITS = signature(("0", "1"), dtype="string")
NUMBERS = signature(("0", "1"), (0, 1))
TRUTH = signature(("False", "True"), (False, True), "bool")
NAMED_NUMBERS = signature(("cat", "dog"), (0, 1))
RENAMED = signature(("Katze", "Hund"), ("cat", "dog"), "string")
OUTLIERS = signature(("outlier", "inlier"), (-1, 1), kind=Kind.OUTLIERS)
SCORES = Signature(Kind.CLASSIFICATION, INPUTS, (Tensor("p", "float32", (None, 2)),), scores="p", labels=("cat", "dog"))
SEVERAL = Signature(Kind.MULTILABEL, INPUTS, (Tensor("on", "int64", (None, 2)),), label="on", labels=("0", "1"))


def beside(folder: Path, model: Signature, content: Any, name: str = "label.json") -> Signature:
    (folder / name).write_text("\n".join(content) if name.endswith(".txt") else json.dumps(content))
    return with_labels_beside(model, folder)


@pytest.mark.parametrize(
    ("model", "content", "labels"),
    [
        (NUMBERS, ["cat", "dog"], ("cat", "dog")),
        (NUMBERS, {"0": "cat", "1": "dog"}, ("cat", "dog")),
        (NUMBERS, {"1": "dog", "0": "cat"}, ("cat", "dog")),
        (NUMBERS, ["0", "1"], ("0", "1")),
        (TRUTH, ["no", "yes"], ("no", "yes")),
        (TRUTH, ["false", "true"], ("false", "true")),
        (TEXTS, ["cat", "dog"], ("cat", "dog")),
        (TEXTS, {"0": "cat", "1": "dog"}, ("cat", "dog")),
        (TEXTS, {"dog": "Hund", "cat": "Katze"}, ("Katze", "Hund")),
        (DIGITS, {"0": "cat", "1": "dog"}, ("cat", "dog")),
        (NAMED_NUMBERS, ["cat", "dog"], ("cat", "dog")),
        (OUTLIERS, ["odd", "usual"], ("odd", "usual")),
        (OUTLIERS, {"1": "usual", "-1": "odd"}, ("odd", "usual")),
        (SEVERAL, ["red", "blue"], ("red", "blue")),
    ],
)
def test_classes_without_names_get_them_and_those_with_names_keep_them(
    tmp_path: Path, model: Signature, content: Any, labels: tuple[str, ...]
) -> None:
    assert beside(tmp_path, model, content).labels == labels


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (TEXTS, ["dog", "cat"]),
        (TEXTS, ["Cat", "Dog"]),
        (TEXTS, ["cat", "bird"]),
        (TEXTS, {"0": "dog", "1": "cat"}),
        (TEXTS, {"cat": "dog", "dog": "cat"}),
        (TEXTS, {"cat": "dog", "dog": "bird"}),
        (DIGITS, ["1", "0"]),
        (DIGITS, ["no", "yes"]),
        (NUMBERS, ["1", "0"]),
        (NUMBERS, ["1", "2"]),
        (NUMBERS, {"0": "1", "1": "0"}),
        (TRUTH, ["true", "false"]),
        (NAMED_NUMBERS, ["dog", "cat"]),
        (NAMED_NUMBERS, ["a", "b"]),
        (RENAMED, ["cat", "dog"]),
        (OUTLIERS, ["inlier", "outlier"]),
        (SCORES, ["a", "b"]),
        (SCORES, ["dog", "cat"]),
        (SEVERAL, ["1", "0"]),
    ],
)
@pytest.mark.parametrize("name", ["label.json", "labels.json", "label.txt", "labels.txt"])
def test_a_file_that_contradicts_the_model_is_refused(
    tmp_path: Path, model: Signature, content: Any, name: str
) -> None:
    name = "label.json" if isinstance(content, dict) else name
    with pytest.raises(LabelsMismatch) as caught:
        beside(tmp_path, model, content, name)
    for words in (str(tmp_path / name), f"--labels {name}", "--labels none"):
        assert words in caught.value.message


def test_a_folder_without_label_files_changes_nothing(tmp_path: Path) -> None:
    assert with_labels_beside(TEXTS, tmp_path) is TEXTS


def test_two_files_may_not_differ(tmp_path: Path) -> None:
    beside(tmp_path, NUMBERS, ["cat", "dog"])
    assert beside(tmp_path, NUMBERS, ["cat", "dog"], "labels.txt").labels == ("cat", "dog")
    with pytest.raises(LabelsMismatch, match=r"label\.json beside it says"):
        beside(tmp_path, NUMBERS, ["dog", "cat"], "labels.txt")
