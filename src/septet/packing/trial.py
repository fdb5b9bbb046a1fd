"""A trial of an estimator on its user's rows: its own methods and the native runtime must give the same outputs.

Theory of operation. The user's own rows go to the estimator's own methods: what these answer is right by definition.
Then the rows are turned into tensors and back by the native runtime, which must give the same answers. What only the
estimator declares of its columns (one may be missing, or is not read) goes into the signature where a call proves it.
"""

import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import msgspec
import numpy as np

from septet.errors import Invalid, SeptetError, UnsupportedModel
from septet.model.layout import MATRIX, arranged
from septet.model.signature import Column, Kind, Signature, Tensor
from septet.packing.column_inference import InferredColumns, facts_by_column, infer_columns, unread_names
from septet.packing.provenance import Statement
from septet.packing.signatures import declared_columns
from septet.packing.spellings import marked, spellings
from septet.packing.training_table import TrainingTable
from septet.packing.training_tensors import tensors_from
from septet.runtimes.base import LoadOptions, Runtime
from septet.runtimes.data_frames import narrow
from septet.runtimes.sklearn.sklearn_columns import reads_text
from septet.runtimes.sklearn.sklearn_names import feature_names, placed, require_names
from septet.runtimes.sklearn.sklearn_outputs import outputs_of
from septet.runtimes.sklearn.sklearn_rows import width_of
from septet.runtimes.sklearn.sklearn_runtime import runtime_of
from septet.types import Array, Tensors

_MOST_ROWS = 2000
_MISSING_ROWS = 5
_PROBED_ROWS = 8
_CLOSE = 1e-6


class TrialResult(msgspec.Struct, frozen=True, eq=False):
    """The native runtime of an estimator, which answers `rows` as the estimator itself, and remarks on them."""

    native: Runtime
    rows: TrainingTable
    notes: tuple[str, ...] = ()


class _EstimatorTrial(msgspec.Struct, frozen=True, eq=False):
    """The estimator, the rows and what it answers to those of them at `places`."""

    model: Any
    rows: TrainingTable
    source: str
    places: Array
    answers: Mapping[str, Array]


def try_estimator(model: Any, rows: TrainingTable, statement: Statement) -> TrialResult:
    """Try the estimator on the rows.

    Raises:
        Invalid: the rows do not fit the estimator: other names or widths, or missing values that it does not take.
        UnsupportedModel: it does not answer them, or not by their values alone.
        PackageInvalid: the statement names a column that there is not.
    """
    source = f"the {type(model).__name__}"
    rows, known, notes = _named(model, _shaped(model, rows))
    # Values that no request can carry are refused before the estimator is called.
    infer_columns(rows, facts_by_column(model, rows, known))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows, remark = marked(rows, facts_by_column(model, rows, known))
        rows, answers, spelled = _answered(model, rows, known)
        _require_known(model, rows, known)
        inferred = infer_columns(rows, facts_by_column(model, rows, known))
        if inferred.left_out:
            left = _list(inferred.left_out)
            notes.append(f"left out, as no request can carry them and the model does not read them: {left}")
        notes += [note for note in (spelled or remark,) if note]
        native = _proven(_EstimatorTrial(model, rows, source, _places(rows), answers), inferred, statement)
    return TrialResult(native, rows, tuple(notes))


def _answered(
    model: Any, rows: TrainingTable, known: Sequence[str] | None
) -> tuple[TrainingTable, Mapping[str, Array], str]:
    """What the estimator answers to the rows, the rows as it took them, and a remark where these are not as given.

    Raises:
        Invalid, UnsupportedModel: it does not answer them.
    """
    try:
        answers = _answers(model, _own_rows(rows, known, _places(rows)))
    except Exception as exc:
        for other, remark in spellings(rows, known):
            found = _quietly(model, _own_rows(other, known, _places(other)))
            if found is not None:
                _require_rows(found, len(_places(other)), model)
                return other, found, remark
        raise _refusal(model, rows, known, exc) from exc
    _require_rows(answers, len(_places(rows)), model)
    return rows, answers, ""


def _require_known(model: Any, rows: TrainingTable, known: Sequence[str] | None) -> None:
    """Refuse columns beside the model's own where its methods do; one that picks its columns by name does not.

    Raises:
        Invalid: they do.
    """
    if known is None or not rows.named:
        return
    names = [given.name for given in rows.columns]
    own = placed(names, known)
    extra = [place for place in range(len(names)) if place not in own]
    if not extra:
        return
    places = _places(rows)[:_PROBED_ROWS]
    beside = _own_rows(rows, known, places).reset_index(drop=True)
    beside = beside[list(known)].join(rows.take(places).iloc[:, extra].reset_index(drop=True))
    if _quietly(model, beside) is None:
        word = "column" if len(extra) == 1 else "columns"
        raise Invalid(
            f"the data has the {word} {_list([names[place] for place in extra])} which the model does not know: "
            f"the {type(model).__name__} answers no rows with more columns than it was trained on. Leave out what it "
            "was not trained on, such as the target"
        )


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")  # noqa: PLR2004


def _shaped(model: Any, rows: TrainingTable) -> TrainingTable:
    """Texts for a model that reads one a row; columns for any other."""
    texts = feature_names(model) is None and reads_text(model)
    column = rows.columns[0]
    if texts and not rows.flat and len(rows.columns) == 1 and column.column.dtype == "string":
        source = rows.source.iloc[:, 0].to_numpy(dtype=object) if rows.named else np.asarray(rows.source).reshape(-1)
        text = msgspec.structs.replace(column, column=msgspec.structs.replace(column.column, name="text"))
        return TrainingTable(source, (text,), named=False, flat=True)
    if rows.flat and not texts and not (column.column.dtype == "string" and width_of(model) is None):
        return TrainingTable(np.asarray(rows.source).reshape(-1, 1), rows.columns, named=False)
    return rows


def _named(model: Any, rows: TrainingTable) -> tuple[TrainingTable, list[str] | None, list[str]]:
    """The rows under the model's names, these names, and remarks.

    Raises:
        Invalid: the rows have other names, or another width.
    """
    known = feature_names(model)
    width = width_of(model) if known is None else len(known)
    if known is not None and rows.named:
        names = [given.name for given in rows.columns]
        require_names(names, known, unread_names(model, known))
        extra = [name for place, name in enumerate(names) if place not in placed(names, known)]
        return rows, known, [f"not the model's, and may be left out of requests: {_list(extra)}"] if extra else []
    if width is not None and width != len(rows.columns) and not rows.flat:
        raise Invalid(f"the data has {len(rows.columns)} columns and the model takes {width}")
    if known is not None:
        columns = tuple(
            msgspec.structs.replace(given, column=_framed(given.column, name, rows))
            for given, name in zip(rows.columns, known, strict=True)
        )
        note = f"the data has no column names: its columns were taken by position for {_list(known)}"
        return TrainingTable(rows.source, columns, named=False, flat=rows.flat), known, [note]
    if rows.named and width is not None:
        return rows, None, ["the model was fitted without column names: those of the data were taken by position"]
    return rows, None, []


def _framed(column: Column, name: str, rows: TrainingTable) -> Column:
    dtype = np.asarray(rows.source).dtype
    pandas_dtype = "object" if dtype.kind in "OUS" else str(dtype)
    own = "float64" if column.dtype == "float32" else column.dtype
    return msgspec.structs.replace(column, name=name, dtype=own, pandas_dtype=pandas_dtype)


def _places(rows: TrainingTable) -> Array:
    """Rows spread evenly over the data, and some with a missing value in each column that has one."""
    count = len(rows)
    chosen = [np.unique(np.linspace(0, count - 1, min(count, _MOST_ROWS)).astype(np.int64))]
    chosen += [np.flatnonzero(given.missing)[:_MISSING_ROWS] for given in rows.columns]
    return np.unique(np.concatenate(chosen))


def _own_rows(rows: TrainingTable, known: Sequence[str] | None, places: Array) -> Any:
    """Some rows as their user would give them to the estimator: its own columns, by name."""
    taken = rows.take(places)
    if known is None:
        return taken
    import pandas as pd

    if not rows.named:
        return pd.DataFrame(taken, columns=list(known))
    order = placed([given.name for given in rows.columns], known)
    if order == list(range(len(rows.columns))):
        return taken
    blank = np.full(len(places), None, dtype=object)
    return pd.DataFrame(
        {name: blank if place is None else taken.iloc[:, place].array for name, place in zip(known, order, strict=True)}
    )


def _answers(model: Any, rows: Any) -> dict[str, Array]:
    outputs = outputs_of(model, copy(rows))
    inner = outputs.before(copy(rows))
    return {output.tensor.name: output.compute(copy(inner)) for output in outputs.each}


def _quietly(model: Any, rows: Any) -> dict[str, Array] | None:
    try:
        return _answers(model, rows)
    except Exception:  # noqa: BLE001 - as above
        return None


def _refusal(model: Any, rows: TrainingTable, known: Sequence[str] | None, cause: Exception) -> SeptetError:
    """Why the estimator does not answer: missing values if it answers without them, else its own reason."""
    kind = type(model).__name__
    reason = f"{type(cause).__name__}: {' '.join(str(cause).split())[:300]}"
    holes = {given.name: given.missing for given in rows.columns if given.missing.any()}
    whole = np.flatnonzero(~np.any(list(holes.values()), axis=0))[:_MISSING_ROWS] if holes else np.array([])
    if whole.size and _quietly(model, _own_rows(rows, known, whole)) is not None:
        guilty = [name for name, missing in holes.items() if not _takes(model, rows, known, missing, holes)]
        return Invalid(
            f"the {kind} does not take the missing values that the data have in {_list(guilty or list(holes))} "
            f"({reason}): give the rows that it was trained on, or train it with a step that fills them in"
        )
    return UnsupportedModel(
        f"the {kind} does not answer the given rows ({reason}): check that it is fitted, that it can predict new rows, "
        "and that the data are rows as it was trained on"
    )


def _takes(
    model: Any, rows: TrainingTable, known: Sequence[str] | None, missing: Array, holes: Mapping[str, Array]
) -> bool:
    others = [other for other in holes.values() if other is not missing]
    alone = np.flatnonzero(missing & ~np.any(others, axis=0)) if others else np.flatnonzero(missing)
    chosen = (alone if alone.size else np.flatnonzero(missing))[:_MISSING_ROWS]
    return _quietly(model, _own_rows(rows, known, chosen)) is not None


def _require_rows(answers: Mapping[str, Array], count: int, model: Any) -> None:
    for name, array in answers.items():
        if array.ndim == 0 or len(array) != count:
            raise UnsupportedModel(
                f"the {type(model).__name__} answers {count} rows with {name!r} of shape {list(array.shape)}: "
                "it must give one answer for each row"
            )


def _proven(trial: _EstimatorTrial, inferred: InferredColumns, statement: Statement) -> Runtime:
    """The native runtime for the columns; what a call does not prove of them is taken back.

    Raises:
        UnsupportedModel: it answers the given rows otherwise than the estimator.
    """
    if statement.nullable is not None:
        inferred = msgspec.structs.replace(inferred, unseen=())
    native, tensors = _native(trial, declared_columns(inferred.columns, statement))
    answers = native.run(tensors)
    if _differing(trial.answers, answers) and (strict := _as_given(inferred)) != inferred:
        # It tells 1 from 1.0, or an int8 from an int64: no value is taken that changes the dtype of a column.
        inferred = strict
        native, tensors = _native(trial, declared_columns(inferred.columns, statement))
        answers = native.run(tensors)
    _require_equal(trial, answers)
    columns = inferred.columns
    kept = [_kept(column, native, tensors, trial, inferred) for column in columns]
    if tuple(kept) == columns:
        return native
    native, tensors = _native(trial, declared_columns(tuple(kept), statement))
    _require_equal(trial, native.run(tensors))
    return native


def _as_given(inferred: InferredColumns) -> InferredColumns:
    """The columns without whole numbers that another dtype than that of the data would carry."""
    columns = []
    for column in inferred.columns:
        limits = narrow(column)
        made = column if limits is None else msgspec.structs.replace(column, minimum=limits[0], maximum=limits[1])
        if column.name in inferred.unseen and column.dtype in ("int64", "uint64"):
            made = msgspec.structs.replace(made, nullable=False)
        columns.append(made)
    return msgspec.structs.replace(inferred, columns=tuple(columns))


def _native(trial: _EstimatorTrial, columns: tuple[Column, ...]) -> tuple[Runtime, Tensors]:
    wide = {given.name for given in trial.rows.columns if given.wide}
    if trial.rows.flat:
        inputs: tuple[Tensor, ...] = (Tensor(MATRIX, columns[0].dtype, (None,), columns),)
    else:
        inputs = arranged(columns, wide)
    signature = Signature(Kind.TENSORS, inputs, ())
    tensors = {name: array[trial.places] for name, array in tensors_from(trial.rows, signature).items()}
    return runtime_of(trial.model, LoadOptions(signature=signature, rows=tensors), source=trial.source), tensors


def _kept(
    column: Column, native: Runtime, tensors: Tensors, trial: _EstimatorTrial, inferred: InferredColumns
) -> Column:
    """The column with what a call proves: that it is not read, and that it may be missing."""
    if column.optional and not _is_unread(column, native, tensors, trial):
        given = next(given for given in trial.rows.columns if given.name == column.name)
        return msgspec.structs.replace(given.column, name=column.name)
    if column.name in inferred.unseen and not _runs_without(column, native, tensors):
        return msgspec.structs.replace(column, nullable=False)
    return column


def _is_unread(column: Column, native: Runtime, tensors: Tensors, trial: _EstimatorTrial) -> bool:
    gone = _without(column, native, {name: array[:_PROBED_ROWS] for name, array in tensors.items()})
    try:
        answers = native.run(gone)
    except Exception:  # noqa: BLE001 - whatever it is, the column was read
        return False
    return not _differing({name: array[:_PROBED_ROWS] for name, array in trial.answers.items()}, answers)


def _runs_without(column: Column, native: Runtime, tensors: Tensors) -> bool:
    try:
        native.run(_without(column, native, {name: array[:1] for name, array in tensors.items()}))
    except Exception:  # noqa: BLE001 - whatever it is, the missing value was not taken
        return False
    return True


def _without(column: Column, native: Runtime, tensors: Tensors) -> Tensors:
    """The tensors with nothing but missing values in a column."""
    made = dict(tensors)
    for tensor in native.signature.inputs:
        names = [each.name for each in tensor.columns]
        if column.name in names:
            array = made[tensor.name].copy()
            nothing: Any = {"O": None, "M": np.datetime64("NaT")}.get(array.dtype.kind, np.nan)
            array[(..., names.index(column.name)) if array.ndim > 1 else ...] = nothing
            made[tensor.name] = array
    return made


def _require_equal(trial: _EstimatorTrial, got: Tensors) -> None:
    differing = _differing(trial.answers, got)
    if differing and not _differing(trial.answers, _again(trial)):
        raise UnsupportedModel(
            f"{trial.source} answers the given rows otherwise when they are served ({differing}): it looks at more "
            "than names, types and values of its columns. Give the rows that it was trained on, as they were"
        )


def _again(trial: _EstimatorTrial) -> dict[str, Array]:
    """The estimator's own answers a second time: one that draws lots never gives the same."""
    known = feature_names(trial.model)
    return _quietly(trial.model, _own_rows(trial.rows, known, trial.places)) or {}


def _differing(wanted: Mapping[str, Array], got: Mapping[str, Array]) -> str:
    """Where answers differ, in words; floats may in their last digits, and then labels between two equal ones."""
    if wanted.keys() != got.keys():
        return f"outputs {', '.join(got)} instead of {', '.join(wanted)}"
    found = []
    for name, one in wanted.items():
        other = got[name]
        if one.shape != other.shape or one.dtype != other.dtype:
            found.append(f"output {name!r} is {other.dtype}{list(other.shape)} instead of {one.dtype}{list(one.shape)}")
        elif one.dtype.kind == "f":
            unequal = int(np.sum(~np.isclose(one, other, _CLOSE, _CLOSE, equal_nan=True)))
            found += [f"output {name!r} in {unequal} of {one.size} values"] if unequal else []
        elif not np.array_equal(one, other):
            found.append(f"output {name!r} in {int(np.sum(one != other))} of {one.size} values")
    return "; ".join(found)
