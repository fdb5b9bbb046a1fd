"""What a fitted scikit-learn estimator accepts in each of its columns.

Theory of operation: the estimator is walked from its input on. Each step declares for each column what values it takes
(a `ColumnFact`) and what becomes of a missing value there: refused, filled in (`STOPS`), or handed on to the next step.
A column is nullable if no step on its way refuses.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

import msgspec
import numpy as np

from septet.model.signature import Column, Scalar

_TEXT = ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer")
_ENCODERS = ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder")
_IMPUTERS = ("SimpleImputer", "KNNImputer", "IterativeImputer", "MissingIndicator")
_STRUCTURED = (*_TEXT, *_ENCODERS, *_IMPUTERS, "Pipeline", "ColumnTransformer", "FeatureUnion")
# Where estimators that wrap others keep them once fitted. A histogram model keeps the encoder of its categorical
# columns as a preprocessor.
_WRAPPED = ("best_estimator_", "regressor_", "estimator_", "estimator", "_preprocessor")
_WRAPPED_LISTS = ("calibrated_classifiers_", "estimators_")


# Where two estimators read a column, each with a spelling of its own, None is what one of them does not take for NaN.
_SPELLINGS = ("", "object[nan]", "object[NA]", "object")


class MissingValues(Enum):
    """What an estimator does with a missing value."""

    REFUSED = "refused"
    STOPS = "stops"
    PASSES = "passes"


class ColumnFact(msgspec.Struct, frozen=True):
    """What one column may hold.

    `spelling` is how the estimator that reads the column knows a missing text, as a `pandas_dtype` writes it
    (`object` for None, `object[nan]`, `object[NA]`), or empty where it does not say; `used` is False where no estimator
    reads the column.
    """

    dtype: str = "float64"
    missing: MissingValues = MissingValues.REFUSED
    categories: tuple[Scalar, ...] | None = None
    other_categories: bool = False
    spelling: str = ""
    used: bool = True

    @property
    def none(self) -> bool:
        """Whether a missing text was None, rather than NaN, in training."""
        return self.spelling == "object"

    def column(self, name: str) -> Column:
        """The signature's column of this fact."""
        nullable = self.missing is not MissingValues.REFUSED or not self.used
        return Column(
            name,
            self.dtype,
            nullable,
            categories=self.categories,
            other_categories=self.other_categories,
            optional=not self.used,
        )


def reads_text(model: Any) -> bool:
    """Whether the estimator takes one text a row rather than columns: its first step is a text vectorizer."""
    first = first_step(model)
    if type(first).__name__ == "FeatureUnion":
        return all(reads_text(part) for _, part in first.transformer_list)
    return type(first).__name__ in _TEXT


def first_step(model: Any) -> Any:
    """The estimator that sees the input first, inside Pipelines and wrappers."""
    if type(model).__name__ == "Pipeline":
        steps = _steps(model)
        return first_step(steps[0]) if steps else model
    inner = inner_estimators(model)
    return first_step(inner[0]) if inner else model


def inner_estimators(model: Any) -> list[Any]:
    """The fitted estimators that a meta-estimator hands its own input to; none where they say no more than it does."""
    found = [getattr(model, name, None) for name in _WRAPPED]
    for name in _WRAPPED_LISTS:
        several = getattr(model, name, None)
        if isinstance(several, (list, tuple)):
            found += [
                getattr(each, "estimator", each) if name == "calibrated_classifiers_" else each for each in several
            ]
    inner = [each for each in found if _is_fitted(each)]
    # A plain estimator inside adds nothing: the wrapper's own tag says whether missing values may pass.
    return inner if any(type(each).__name__ in _STRUCTURED or inner_estimators(each) for each in inner) else []


def _is_fitted(estimator: Any) -> bool:
    able = hasattr(estimator, "transform") or hasattr(estimator, "predict")
    return able and not isinstance(estimator, type) and _looks_fitted(estimator)


def _looks_fitted(estimator: Any) -> bool:
    """Whether it, or its first step, has learned something: the template of a wrapper has not."""
    if type(estimator).__name__ == "Pipeline":
        return any(_looks_fitted(step) for step in _steps(estimator))
    if type(estimator).__name__ == "ColumnTransformer":
        return hasattr(estimator, "transformers_")
    return any(name.endswith("_") and not name.startswith("_") for name in vars(estimator)) or bool(
        inner_estimators(estimator)
    )


def facts_of(model: Any, names: Sequence[str]) -> list[ColumnFact]:
    """What `model`, fitted on columns of these `names`, accepts in each."""
    facts = read_facts(model, names)
    strings = any(fact.dtype == "string" for fact in facts if fact.used)
    if not strings:
        # Numbers alone travel as one matrix, so integer categories take the dtype of the rest.
        facts = [msgspec.structs.replace(fact, dtype="float64") for fact in facts]
    # A dropped column accepts anything that fits its neighbours: text beside text, else a number.
    dropped = "string" if strings else "float64"
    return [fact if fact.used else msgspec.structs.replace(fact, dtype=dropped) for fact in facts]


def read_facts(model: Any, names: Sequence[str]) -> list[ColumnFact]:
    """The same, with the dtypes that the estimators' own categories have: one fact for each of `names`."""
    reader = _readers().get(type(model).__name__)
    if reader is not None:
        return reader(model, names)
    inner = inner_estimators(model)
    if inner:
        each = [_of_inner(model, place, one, names) for place, one in enumerate(inner)]
        if getattr(model, "passthrough", False):
            # A stacking model hands its input to the last estimator, too.
            each.append(_plain(getattr(model, "final_estimator_", model), names))
        return _united(each)
    return _plain(model, names)


def _plain(model: Any, names: Sequence[str]) -> list[ColumnFact]:
    return [ColumnFact(missing=MissingValues.PASSES if _allows_nan(model) else MissingValues.REFUSED)] * len(names)


def _of_inner(model: Any, place: int, inner: Any, names: Sequence[str]) -> list[ColumnFact]:
    """What one of several inner estimators accepts in each column of the outer one."""
    subsets = getattr(model, "estimators_features_", None)
    if subsets is not None and place < len(subsets):
        chosen = [int(each) for each in subsets[place]]
        facts = [ColumnFact(missing=MissingValues.STOPS, used=False)] * len(names)
        for at, fact in zip(chosen, read_facts(inner, [names[at] for at in chosen]), strict=True):
            facts[at] = fact
        return facts
    width = _width(inner)
    if width is None or width == len(names):
        return read_facts(inner, names)
    if width < len(names):
        # It sees a selection that is not known here.
        return _plain(model, names)
    # A chain hands on its own answers behind the columns.
    return read_facts(inner, [*names, *(f"answer {extra}" for extra in range(width - len(names)))])[: len(names)]


def _united(each: Sequence[list[ColumnFact]]) -> list[ColumnFact]:
    united = each[0]
    for other in each[1:]:
        united = [_both(a, b) for a, b in zip(united, other, strict=True)]
    return united


def _readers() -> dict[str, Callable[[Any, Sequence[str]], list[ColumnFact]]]:
    return {
        "Pipeline": lambda model, names: _of_steps(_steps(model), names),
        "ColumnTransformer": _of_column_transformer,
        "FeatureUnion": _of_feature_union,
        **dict.fromkeys(_ENCODERS, _of_encoder),
        **dict.fromkeys(_IMPUTERS, _of_imputer),
        **dict.fromkeys(_TEXT, lambda _, names: [ColumnFact("string")] * len(names)),
    }


def _of_steps(steps: Sequence[Any], names: Sequence[str]) -> list[ColumnFact]:
    if not steps:
        return [ColumnFact(missing=MissingValues.PASSES)] * len(names)
    first, rest = steps[0], steps[1:]
    facts = read_facts(first, names)
    if not rest:
        return facts
    if type(first).__name__ in _IMPUTERS and _width(rest[0]) == len(names):
        # An imputer keeps the columns in place, so an encoder after it knows their categories.
        later = _of_steps(rest, names)
        # A missing value that it knows is one that the imputer did not take for missing in training.
        return [
            msgspec.structs.replace(b, missing=a.missing, spelling=b.spelling or a.spelling)
            for a, b in zip(facts, later, strict=True)
        ]
    after = all(_allows_nan(step) for step in _until_imputer(rest))
    return facts if after else [_refusing(fact) for fact in facts]


def _until_imputer(steps: Sequence[Any]) -> list[Any]:
    stop = next((i for i, step in enumerate(steps) if type(step).__name__ in _IMPUTERS), len(steps))
    return list(steps[:stop])


def _refusing(fact: ColumnFact) -> ColumnFact:
    return (
        msgspec.structs.replace(fact, missing=MissingValues.REFUSED) if fact.missing is MissingValues.PASSES else fact
    )


def _of_column_transformer(model: Any, names: Sequence[str]) -> list[ColumnFact]:
    facts: list[ColumnFact | None] = [None] * len(names)
    for _, step, selected in model.transformers_:
        chosen = places(selected, names)
        if isinstance(step, str) and step == "drop":
            continue
        here = (
            [ColumnFact(missing=MissingValues.PASSES)] * len(chosen)
            if isinstance(step, str)
            else read_facts(step, [names[place] for place in chosen])
        )
        for place, fact in zip(chosen, here, strict=True):
            before = facts[place]
            facts[place] = fact if before is None else _both(before, fact)
    return [ColumnFact(missing=MissingValues.STOPS, used=False) if fact is None else fact for fact in facts]


def places(selected: Any, names: Sequence[str]) -> list[int]:
    """The places that a ColumnTransformer's selection means among columns of these names."""
    if isinstance(selected, str):
        return [names.index(selected)]
    if isinstance(selected, (int, np.integer)):
        return [int(selected) % max(len(names), 1)]
    if isinstance(selected, slice):
        if isinstance(selected.start, str) or isinstance(selected.stop, str):
            first = 0 if selected.start is None else names.index(selected.start)
            last = len(names) if selected.stop is None else names.index(selected.stop) + 1
            return list(range(first, last))
        return list(range(len(names)))[selected]
    chosen = list(selected)
    if chosen and all(isinstance(item, (bool, np.bool_)) for item in chosen):
        return [place for place, item in enumerate(chosen) if item]
    return [names.index(item) if isinstance(item, str) else int(item) % max(len(names), 1) for item in chosen]


def _of_feature_union(model: Any, names: Sequence[str]) -> list[ColumnFact]:
    each = [read_facts(part, names) for _, part in model.transformer_list if not isinstance(part, str)]
    if any(part == "passthrough" for _, part in model.transformer_list if isinstance(part, str)):
        each.append([ColumnFact(missing=MissingValues.PASSES)] * len(names))
    return _united(each) if each else [ColumnFact(missing=MissingValues.PASSES)] * len(names)


def _both(a: ColumnFact, b: ColumnFact) -> ColumnFact:
    """What two estimators accept that read the same column."""
    if not (a.used and b.used):
        return a if a.used else b
    main, other = (a, b) if a.dtype == "string" or b.dtype != "string" else (b, a)
    order = (MissingValues.REFUSED, MissingValues.PASSES, MissingValues.STOPS)
    missing = min(a.missing, b.missing, key=order.index)
    spelling = max(a.spelling, b.spelling, key=_SPELLINGS.index)
    if main.categories is None and other.categories is not None:
        return msgspec.structs.replace(other, missing=missing, spelling=spelling)
    categories, others = main.categories, main.other_categories
    if categories is not None and other.categories is not None:
        categories, others = _shared(main, other), main.other_categories and other.other_categories
    return msgspec.structs.replace(
        main, missing=missing, categories=categories, other_categories=others, spelling=spelling
    )


def _shared(a: ColumnFact, b: ColumnFact) -> tuple[Scalar, ...]:
    """The values known to both, or to the one that takes no others; all where both take others."""
    first, second = a.categories or (), b.categories or ()
    if a.other_categories and b.other_categories:
        return (*first, *(value for value in second if value not in first))
    if a.other_categories or b.other_categories:
        return second if a.other_categories else first
    return tuple(value for value in first if value in second)


def _of_encoder(model: Any, names: Sequence[str]) -> list[ColumnFact]:
    known = getattr(model, "categories_", None)
    if known is None or len(known) != len(names):
        return [ColumnFact()] * len(names)
    others = type(model).__name__ == "TargetEncoder" or model.handle_unknown != "error"
    return [_of_categories(np.asarray(values), others=others) for values in known]


def _of_categories(values: np.ndarray[Any, Any], *, others: bool) -> ColumnFact:
    raw = values.tolist()
    present = [value for value in raw if not (value is None or value != value)]  # noqa: PLR0124 - NaN is what differs from itself
    missing = MissingValues.STOPS if len(present) < len(raw) else MissingValues.REFUSED
    gone = [value for value in raw if value is None or value != value]  # noqa: PLR0124 - as above
    spelling = spelled(gone[0]) if gone else ""
    if all(isinstance(value, str) for value in present):
        return ColumnFact("string", missing, tuple(present), others, spelling)
    if all(isinstance(value, bool) for value in present):
        return ColumnFact("bool", missing, tuple(present), others, spelling)
    if all(isinstance(value, int) for value in present):
        return ColumnFact("int64", missing, tuple(present), others, spelling)
    return ColumnFact("float64", missing, tuple(present), others, spelling)


def _of_imputer(model: Any, names: Sequence[str]) -> list[ColumnFact]:
    width = len(names)
    spelling = spelled(getattr(model, "missing_values", np.nan))
    fills = np.asarray(getattr(model, "statistics_", np.zeros(width)), dtype=object).ravel().tolist()
    if len(fills) != width:
        fills = [0.0] * width
    return [
        ColumnFact("string" if isinstance(fill, str) else "float64", MissingValues.STOPS, spelling=spelling)
        for fill in fills
    ]


def spelled(marker: Any) -> str:
    """How a `pandas_dtype` writes that a missing value is this one; empty where it is a value like others."""
    if marker is None:
        return "object"
    if type(marker).__name__ == "NAType":
        return "object[NA]"
    return "object[nan]" if isinstance(marker, (float, np.floating)) and np.isnan(marker) else ""


def _steps(pipeline: Any) -> list[Any]:
    return [step for _, step in pipeline.steps if step is not None and not isinstance(step, str)]


def _width(model: Any) -> int | None:
    width = getattr(model, "n_features_in_", None)
    return None if width is None else int(width)


def _allows_nan(model: Any) -> bool:
    from sklearn.utils import get_tags

    if type(model).__name__ == "Pipeline":
        return all(_allows_nan(step) for step in _until_imputer(_steps(model)))
    try:
        return bool(get_tags(model).input_tags.allow_nan)
    except Exception:  # noqa: BLE001 - what is no estimator of scikit-learn's declares nothing
        return False
