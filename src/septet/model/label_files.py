"""Label files that lie beside a model: they may name its classes, and may not say otherwise than the model does.

A file contradicts a model where a class would be called by what is another class's own name or value, and where a class
that has a name of its own would get another one. A JSON object whose keys are the model's own names may give others: it
says itself what it renames. Names for classes that are mere numbers are what such a file is for.
"""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Final

from septet.errors import LabelsMismatch
from septet.model.labels import Labels, read_labels, spellings, with_labels
from septet.model.received import shown_names
from septet.model.signature import Kind, Scalar, Signature

LABEL_NAMES: Final = ("label.json", "labels.json", "label.txt", "labels.txt")
# Names that no model holds: Septet calls the two answers of an outlier detector so.
_GIVEN = ("outlier", "inlier")


def files_beside(folder: Path) -> list[Path]:
    """The label files in a folder, in the order in which they are looked for."""
    return [folder / name for name in LABEL_NAMES if (folder / name).is_file()]


def with_labels_beside(signature: Signature, folder: Path) -> Signature:
    """The signature with the names of the label file that lies in a folder; as it is where there is none.

    Raises:
        LabelsMismatch: a file does not fit the model, contradicts it, or says otherwise than another one.
    """
    found = signature
    files = files_beside(folder)
    for path in files:
        fitted = _agreeing(signature, read_labels(path), path)
        if path != files[0] and fitted.labels != found.labels:
            raise LabelsMismatch(
                f"{path}: says {shown_names(fitted.labels)}, and {files[0].name} beside it says "
                f"{shown_names(found.labels)}; "
                "remove one of them, or name the one to use with --labels"
            )
        found = fitted
    return found


def _agreeing(signature: Signature, labels: Labels, path: Path) -> Signature:
    fitted = with_labels(signature, labels, path, in_any_order=True)
    if _contradicts(signature, labels, fitted.labels):
        raise LabelsMismatch(
            f"{path}: calls the classes {shown_names(fitted.labels)}, and the model itself calls them "
            f"{shown_names(signature.labels)}; remove the file, or say --labels {path.name} to use its names all the "
            "same, or --labels none to use the model's"
        )
    return fitted


def _contradicts(signature: Signature, labels: Labels, given: tuple[str, ...]) -> bool:
    own = signature.labels
    if not own:
        return False
    raw = signature.classes or own
    known = [{name, *spellings(value)} for name, value in zip(own, raw, strict=False)]
    every = frozenset(chain.from_iterable(known))
    renames = isinstance(labels, Mapping) and all(any(key in labels for key in spellings(value)) for value in raw)
    for place, name in enumerate(given):
        if name == own[place] or (name in known[place] and not isinstance(raw[place], str)):
            continue
        if name in every:
            return True
        if not renames and _is_named(signature, own[place], raw[place]):
            return True
    return False


def _is_named(signature: Signature, name: str, value: Scalar) -> bool:
    """Whether a class has a name of its own, rather than a number or a truth value written as text."""
    if signature.kind is Kind.OUTLIERS and signature.labels == _GIVEN:
        return False
    if not isinstance(value, str):
        return name not in spellings(value)
    answers_texts = any(each.name == signature.label and each.dtype == "string" for each in signature.outputs)
    return answers_texts or not _is_plain(name)


def _is_plain(name: str) -> bool:
    if name.lower() in {"true", "false"}:
        return True
    try:
        float(name)
    except ValueError:
        return False
    return True
