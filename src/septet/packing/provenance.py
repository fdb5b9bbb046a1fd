"""Where a model comes from: what its trainer states, and what can be read from the estimator and the machine."""

import datetime as dt
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from septet.model.manifest import Data, Training
from septet.packing.training_table import TrainingTable
from septet.packing.training_tensors import data_digest, plain_values
from septet.runtimes.onnx.onnx_engine import ONNX
from septet.runtimes.sklearn.sklearn_engine import SKLEARN
from septet.types import Array

_LONGEST = 500
_GIT_SECONDS = 10
_MOST_HELD = 100
_DEEPEST = 10
_CONVERTERS = ("skl2onnx", "onnx")


class About(TypedDict, total=False):
    """What a trainer may say of a model; the attributes of `Statement`, as keyword arguments."""

    labels: Sequence[str] | Mapping[Any, str]
    dataset: str
    window: tuple[dt.date | str | None, dt.date | str | None]
    metrics: Mapping[str, float]
    valid_for_days: int
    description: str
    owner: str
    nullable: Sequence[str]
    ranges: Mapping[str, tuple[float | None, float | None]]
    prepare: str | Path
    row_independent: bool
    measurement_seconds: float
    clock: Callable[[], dt.datetime]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A trainer's statement about a model.

    Attributes:
        labels: the names of the classes, in the order of `classes_`, or by class.
        dataset: the name of the training data.
        window: the first and last day that the training data covers; dates, ISO texts, or None where unknown.
        metrics: measured quality, by name.
        valid_for_days: how long after the window's end (else after training) the model is good.
        description, owner: for people.
        nullable: the columns that may be missing; None: as the estimator declares.
        ranges: the lowest and highest value accepted, by column; either may be None.
        prepare: a file of preprocessing code (see `septet.preprocessing.preprocessing_step`).
        row_independent: that the model's own code answers each row by itself; proven at every start.
        measurement_seconds: for how long each engine is run with 1, 64 and 10,000 rows, to tell which costs less.
        clock: the current time, in UTC.
    """

    labels: Sequence[str] | Mapping[Any, str] | None = None
    dataset: str | None = None
    window: tuple[dt.date | str | None, dt.date | str | None] = (None, None)
    metrics: Mapping[str, float] = {}
    valid_for_days: int | None = None
    description: str | None = None
    owner: str | None = None
    nullable: Sequence[str] | None = None
    ranges: Mapping[str, tuple[float | None, float | None]] = {}
    prepare: str | Path | None = None
    row_independent: bool = False
    measurement_seconds: float = 0.1
    clock: Callable[[], dt.datetime] = _now


def training(statement: Statement, model: Any, rows: TrainingTable | None, target: Array | None) -> Training:
    """The training record; `model` is None for a file whose estimator is not at hand, `rows` where there are none."""
    return Training(
        trained_at=None if model is None else statement.clock().astimezone(dt.UTC).replace(microsecond=0),
        data=_data(statement, rows, target),
        algorithm=None if model is None else _algorithm(model),
        parameters={} if model is None else _parameters(final_step(model)),
        metrics={name: float(value) for name, value in statement.metrics.items()},
        code_revision=code_revision(Path.cwd()),
        libraries=_libraries(model),
        owner=statement.owner,
    )


def code_revision(folder: Path) -> str | None:
    """The git commit checked out in `folder`, with `+dirty` where files differ from it; None outside of git."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return f"{head}+dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
        ["git", *arguments],  # noqa: S607 - the user's own git
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=_GIT_SECONDS,
    )
    return done.stdout.strip()


def _data(statement: Statement, rows: TrainingTable | None, target: Array | None) -> Data:
    since, until = map(date_of, statement.window)
    if rows is None:
        return Data(name=statement.dataset, since=since, until=until)
    columns = {given.name: plain_values(given, rows) for given in rows.columns}
    return Data(statement.dataset, len(rows), data_digest(columns, target), since, until)


def date_of(day: dt.date | str | None) -> dt.date | None:
    """A day as a date.

    Raises:
        ValueError: a text is not as ISO 8601 writes dates.
    """
    if isinstance(day, str):
        return dt.date.fromisoformat(day)
    return day.date() if isinstance(day, dt.datetime) else day


def final_step(model: Any) -> Any:
    """The estimator that gives the answer: the last step of a pipeline, or the estimator itself."""
    while hasattr(model, "steps") and model.steps:
        model = model.steps[-1][1]
    return model


def _algorithm(model: Any) -> str:
    final = type(final_step(model)).__name__
    whole = " ".join(repr(model).split())
    if whole.startswith(final) and len(whole) <= _LONGEST:
        return whole
    return f"{final} in {whole}"[:_LONGEST]


def _parameters(model: Any) -> dict[str, Any]:
    """The parameters that TOML can hold; others, such as nested estimators, stand in `algorithm`."""
    if not hasattr(model, "get_params"):
        return {}
    found = model.get_params(deep=False)
    return {name: value for name, value in sorted(found.items()) if isinstance(value, (str, int, float, bool))}


def _libraries(model: Any) -> dict[str, str]:
    found = {"python": platform.python_version()}
    used = _modules(model)
    foreign = [name for module, names in SKLEARN.foreign.items() if module in used for name in names]
    for name in ("numpy", *SKLEARN.libraries, *_CONVERTERS, *ONNX.libraries, "septet", *foreign):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _modules(model: Any, depth: int = 0) -> set[str]:
    """The top-level modules of the classes of an estimator and of those that it holds."""
    if isinstance(model, (list, tuple)):
        return {module for each in model[:_MOST_HELD] for module in _modules(each, depth)}
    if isinstance(model, dict):
        return _modules(list(model.values()), depth)
    module = type(model).__module__.partition(".")[0]
    if depth > _DEEPEST or not hasattr(model, "get_params"):
        return {module}
    inner = (_modules(each, depth + 1) for each in vars(model).values())
    return {module}.union(*inner)
