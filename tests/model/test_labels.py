from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import LabelsMismatch
from septet.model.labels import Labels, label_map, read_labels, with_labels
from septet.model.signature import Kind, Signature, Tensor

NAMES = ("setosa", "versicolor", "virginica")
INPUTS = (Tensor("x", "float32", (None, 4)),)
CLASSIFIER = Signature(
    Kind.CLASSIFICATION,
    INPUTS,
    (Tensor("label", "int64", (None,)), Tensor("probabilities", "float32", (None, 3))),
    label="label",
    scores="probabilities",
    labels=("0", "1", "2"),
    classes=(0, 1, 2),
)
BARE = Signature(Kind.TENSORS, INPUTS, (Tensor("logits", "float32", (None, 3)),))


def classifier(
    labels: tuple[str, ...] = (), classes: tuple[str | int | float | bool, ...] = (), dtype: str = "int64"
) -> Signature:
    outputs = (Tensor("label", dtype, (None,)), Tensor("p", "float32", (None, 3)))
    return Signature(Kind.CLASSIFICATION, INPUTS, outputs, label="label", scores="p", labels=labels, classes=classes)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("label.json", '["setosa", "versicolor"]', ("setosa", "versicolor")),
        ("label.json", '{"0": "setosa", "1": "versicolor"}', {"0": "setosa", "1": "versicolor"}),
        ("label.json", '\ufeff["a", "b"]', ("a", "b")),
        ("LABELS.TXT", "setosa\r\nversicolor \n\n", ("setosa", "versicolor")),
    ],
)
def test_label_files_of_each_form_are_read(tmp_path: Path, name: str, text: str, labels: Labels) -> None:
    assert read_labels(written(tmp_path, name, text)) == labels


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("l.json", "[1, 2", "is not JSON"),
        ("l.json", "[" * 100_000, "is not JSON"),
        ("l.json", '"setosa"', "neither a list"),
        ("l.json", "[]", "holds no labels"),
        ("l.json", "{}", "holds no labels"),
        ("l.txt", "", "holds no labels"),
        ("l.txt", "a\n\nb", "label at 1 is empty"),
        ("l.json", '["a", " "]', "label at 1 is empty"),
        ("l.json", '["a", "b", "a"]', "'a' stands twice, at 0 and 2"),
        ("l.json", '{"0": "a", "1": "a"}', "'a' stands twice, at 0 and 1"),
        ("l.json", '{"0": "a", "0": "b"}', "key '0' stands twice"),
        ("l.json", '["a", 3]', "item 1 is 3, not a text in quotes"),
        ("l.json", '{"setosa": 0}', "key 'setosa' is 0, not a text in quotes"),
    ],
)
def test_unusable_label_files_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(LabelsMismatch) as caught:
        read_labels(path)
    assert words in caught.value.message
    assert str(path) in caught.value.message


def test_a_missing_label_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelsMismatch, match=r"none\.json: does not exist"):
        read_labels(tmp_path / "none.json")


def test_a_label_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelsMismatch, match="cannot be read as UTF-8"):
        read_labels(path)


def test_a_list_names_the_classes_in_order_and_keeps_their_raw_values() -> None:
    fitted = with_labels(CLASSIFIER, NAMES, "label.json")
    assert fitted.labels == NAMES
    assert fitted.classes == (0, 1, 2)
    assert label_map(fitted) == {"0": "setosa", "1": "versicolor", "2": "virginica"}


@pytest.mark.parametrize(
    ("signature", "labels", "expected", "classes"),
    [
        (classifier(classes=(3, 5, 7)), {"7": "c", "3": "a", "5": "b"}, ("a", "b", "c"), (3, 5, 7)),
        (classifier(classes=(3, 5, 7)), {"0": "a", "1": "b", "2": "c"}, ("a", "b", "c"), (3, 5, 7)),
        (classifier(classes=(1.0, 2.0, 2.5)), {"1": "a", "2.0": "b", "2.5": "c"}, ("a", "b", "c"), (1.0, 2.0, 2.5)),
        (
            classifier(labels=("x", "y", "z"), dtype="string"),
            {"z": "c", "y": "b", "x": "a"},
            ("a", "b", "c"),
            ("x", "y", "z"),
        ),
        (classifier(labels=NAMES, dtype="string"), NAMES, NAMES, ()),
        (classifier(dtype="string"), NAMES, NAMES, ()),
        (classifier(), {"0": "a", "1": "b", "2": "c"}, ("a", "b", "c"), (0, 1, 2)),
    ],
)
def test_keys_are_class_values_or_positions(
    signature: Signature, labels: Labels, expected: tuple[str, ...], classes: tuple[object, ...]
) -> None:
    fitted = with_labels(signature, labels, "label.json")
    assert (fitted.labels, fitted.classes) == (expected, classes)


def test_boolean_classes_are_named_by_true_and_false() -> None:
    outputs = (Tensor("label", "bool", (None,)),)
    signature = Signature(Kind.CLASSIFICATION, INPUTS, outputs, label="label", classes=(False, True))
    assert with_labels(signature, {"true": "ill", "False": "well"}, "l.json").labels == ("well", "ill")


def test_an_output_as_wide_as_the_labels_becomes_the_scores() -> None:
    fitted = with_labels(BARE, NAMES, "label.json")
    assert (fitted.kind, fitted.scores, fitted.label, fitted.classes) == (Kind.CLASSIFICATION, "logits", None, ())


def test_labels_of_a_model_that_names_no_classes_may_bring_the_values() -> None:
    outputs = (Tensor("cluster", "int64", (None,)),)
    clusters = Signature(Kind.CLUSTERING, INPUTS, outputs, label="cluster")
    fitted = with_labels(clusters, {"1": "inlier", "-1": "outlier"}, "l.json")
    assert (fitted.labels, fitted.classes) == (("outlier", "inlier"), (-1, 1))
    assert with_labels(clusters, ("a", "b"), "l.json").classes == (0, 1)
    with pytest.raises(LabelsMismatch, match="keys must be the whole numbers"):
        with_labels(clusters, {"red": "a"}, "l.json")


def test_labels_of_an_unknown_string_output_take_its_values_as_keys() -> None:
    outputs = (Tensor("label", "string", (None,)),)
    fitted = with_labels(Signature(Kind.CLASSIFICATION, INPUTS, outputs, label="label"), {"x": "a", "y": "b"}, "l.json")
    assert (fitted.labels, fitted.classes) == (("a", "b"), ("x", "y"))


def test_each_label_of_a_multilabel_model_is_named() -> None:
    outputs = (Tensor("label", "int64", (None, 2)),)
    signature = Signature(Kind.MULTILABEL, INPUTS, outputs, label="label")
    fitted = with_labels(signature, ("a", "b"), "l.json")
    assert (fitted.labels, fitted.classes) == (("a", "b"), ())
    with pytest.raises(LabelsMismatch, match="'label' has 2 classes"):
        with_labels(signature, NAMES, "l.json")


@pytest.mark.parametrize(
    ("signature", "labels", "words"),
    [
        (CLASSIFIER, ("a", "b"), "label.json: holds 2 labels, and the model's output 'probabilities' has 3 classes"),
        (
            Signature(Kind.CLASSIFICATION, INPUTS, (Tensor("label", "int64", (None,)),), label="label", classes=(0, 1)),
            NAMES,
            "holds 3 labels, and the model's list of classes has 2",
        ),
        (
            BARE,
            ("a", "b"),
            "holds 2 labels, and the model has no output to name: a tensors model with 'logits' float32[any, 3]",
        ),
        (Signature(Kind.REGRESSION, INPUTS, (Tensor("y", "float32", (None, 1)),)), ("a",), "must have 2 columns"),
        (Signature(Kind.REGRESSION, INPUTS, (Tensor("y", "float32", (None,)),)), ("a", "b"), "'y' float32[any]"),
        (
            Signature(Kind.TENSORS, INPUTS, (Tensor("a", "float32", (None, 3)), Tensor("b", "float32", (None, 3)))),
            NAMES,
            "just one output of floats",
        ),
        (CLASSIFIER, {"0": "a", "1": "b", "3": "c"}, "no label for 2; the keys must be the class values 0, 1, 2 or"),
        (classifier(labels=NAMES, dtype="string"), NAMES[::-1], "the model's own classes in another order"),
    ],
)
def test_labels_that_do_not_fit_are_refused(signature: Signature, labels: Labels, words: str) -> None:
    with pytest.raises(LabelsMismatch) as caught:
        with_labels(signature, labels, "label.json")
    assert words in caught.value.message


@given(st.permutations(range(3)))
def test_the_order_of_keys_in_a_label_file_does_not_matter(order: list[int]) -> None:
    assert with_labels(CLASSIFIER, {str(at): NAMES[at] for at in order}, "l.json").labels == NAMES


def test_labels_by_value_are_found_in_any_order() -> None:
    count = 20_000
    outputs = (Tensor("label", "int64", (None,)), Tensor("p", "float32", (None, count)))
    bare = Signature(
        Kind.CLASSIFICATION, INPUTS, outputs, label="label", scores="p", classes=tuple(range(7, count + 7))
    )
    labels = {str(value): f"name {value}" for value in reversed(range(7, count + 7))}
    assert with_labels(bare, labels, "labels.json").labels == tuple(f"name {at}" for at in range(7, count + 7))


def test_of_two_spellings_of_a_class_the_first_in_the_file_counts() -> None:
    bare = classifier(("1.0", "2.0", "3.0"), (1.0, 2.0, 3.0), "float32")
    labels = {"1": "a", "1.0": "b", "2.0": "c", "3": "d"}
    signature = msgspec.structs.replace(bare, outputs=(bare.outputs[0], Tensor("p", "float32", (None, 4))))
    with pytest.raises(LabelsMismatch):
        with_labels(bare, labels, "labels.json")
    assert with_labels(signature, labels, "labels.json").labels == ("a", "c", "d")


def test_a_refusal_names_ten_of_many_classes() -> None:
    count = 5_000
    outputs = (Tensor("label", "string", (None,)), Tensor("p", "float32", (None, count)))
    names = tuple(f"class {at}" for at in range(count))
    own = Signature(Kind.CLASSIFICATION, INPUTS, outputs, label="label", scores="p", labels=names, classes=names)
    for labels in (names[::-1], dict.fromkeys(map(str, range(1, count + 1)), "a")):
        with pytest.raises(LabelsMismatch) as caught:
            with_labels(own, labels, "labels.json")
        assert len(caught.value.message) < 1000
