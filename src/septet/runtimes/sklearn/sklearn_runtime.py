"""The scikit-learn runtime: a fitted estimator behind `Runtime`, for models that have no ONNX form."""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from septet.errors import UnsupportedModel
from septet.model.signature import Signature
from septet.runtimes.base import Independence, InputRejected, LoadOptions
from septet.runtimes.sklearn.sklearn_engine import SKLEARN
from septet.runtimes.sklearn.sklearn_file import read_estimator
from septet.runtimes.sklearn.sklearn_independence import independence
from septet.runtimes.sklearn.sklearn_outputs import EstimatorOutput, EstimatorOutputs, outputs_of
from septet.runtimes.sklearn.sklearn_rows import EstimatorRows
from septet.types import Tensors

_log = logging.getLogger(__name__)


class SklearnRuntime:
    """A fitted estimator, its threads confined and its warnings silenced while it runs.

    Attributes:
        signature: read from the estimator.
        independence: known by the classes of the estimator and of all that it holds.
        open_ended: of estimators whose classes are not all known: their code may do anything with a value.
        facts: `engine`, `engine_version`, `estimator`.
    """

    def __init__(
        self,
        rows: EstimatorRows,
        outputs: EstimatorOutputs,
        confined: Callable[[], Any],
        independence: Independence,
        facts: Mapping[str, Any],
    ) -> None:
        self._native = rows.native
        self.independence = independence
        self.open_ended = independence.reason if independence.foreign else None
        self._before = outputs.before
        self._each: dict[str, EstimatorOutput] = {output.tensor.name: output for output in outputs.each}
        self._confined = confined
        self.facts = facts
        self.signature = Signature(
            kind=outputs.kind,
            inputs=rows.inputs,
            outputs=tuple(output.tensor for output in outputs.each),
            label=outputs.label,
            scores=outputs.scores,
            labels=outputs.labels,
            classes=outputs.classes,
        )

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs; see `septet.runtimes.base.Runtime`."""
        wanted = self._each if outputs is None else outputs
        with self._confined():
            try:
                # A step with `copy=False` writes into its rows, which the next output needs as they were.
                rows = self._before(self._native(tensors).copy())
                return {name: self._each[name].compute(copy(rows)) for name in wanted}
            except ValueError as exc:
                raise InputRejected(str(exc)) from exc

    def native_rows(self, tensors: Tensors) -> Any:
        """The rows as the estimator takes them: a DataFrame, an array, or texts."""
        return self._native(tensors)

    def close(self) -> None:
        """Forget the estimator."""
        self._each = {}


def load(path: Path, options: LoadOptions) -> SklearnRuntime:
    """Load a fitted estimator from a `.skops`, `.joblib`, `.pkl` or `.pickle` file.

    Raises:
        DamagedModel: the file cannot be read.
        Untrusted: reading it would execute code that `options.trust` does not name.
        VersionsMismatch: the libraries here are not those which wrote it.
        UnsupportedModel: it holds no estimator that answers new rows.
        MissingExtra: scikit-learn, skops or pandas is not installed.
    """
    model = read_model(path, options)
    _limit_jobs(model, options.threads)
    if options.signature is None:
        _log.warning("%s has no data with it: %s", path, SKLEARN.unknown)
    return runtime_of(model, options, source=str(path))


def read_model(path: Path, options: LoadOptions) -> Any:
    """The fitted estimator in a file; raises as `load`."""
    return read_estimator(path, options.trust)[0]


def runs_code(path: Path) -> bool:
    """Whether loading a file runs code: a pickle does, and a skops file with types that skops does not know."""
    import skops.io

    return path.suffix != ".skops" or bool(skops.io.get_untrusted_types(file=path))


def runtime_of(model: Any, options: LoadOptions, *, source: str) -> SklearnRuntime:
    """The runtime of a fitted estimator in memory; `source` names it in errors.

    Raises:
        UnsupportedModel: it does not answer new rows.
        MissingExtra: pandas is not installed and the estimator was trained on a DataFrame.
    """
    import sklearn
    from threadpoolctl import ThreadpoolController

    rows = EstimatorRows(model, source, None if options.signature is None else options.signature.inputs)
    limits = ThreadpoolController()
    quiet = _Quiet()

    @contextmanager
    def confined() -> Iterator[None]:
        with quiet.warnings(), limits.limit(limits=options.threads):
            yield

    with confined():
        outputs = _probed(model, rows, options, source)
    facts = {"engine": "scikit-learn", "engine_version": sklearn.__version__, "estimator": type(model).__name__}
    return SklearnRuntime(rows, outputs, confined, independence(model), facts)


def _probed(model: Any, rows: EstimatorRows, options: LoadOptions, source: str) -> EstimatorOutputs:
    if options.rows is not None:
        return _asked(model, [rows.native(options.rows)], source)
    return _asked(model, [rows.native(rows.sample(value)) for value in (0.0, 1.0, 0.5)], source)


def _asked(model: Any, samples: Sequence[Any], source: str) -> EstimatorOutputs:
    failure: Exception | None = None
    for sample in samples:
        try:
            return outputs_of(model, sample)
        except Exception as exc:  # noqa: BLE001 - an estimator may hold anyone's code, which may raise anything
            failure = exc
    kind = type(model).__name__
    message = (
        f"{source}: {kind} does not answer a plain row of numbers ({type(failure).__name__}: {failure}): "
        "check that it is fitted, that it can predict new rows, and that its columns are known"
    )
    raise UnsupportedModel(message) from failure


def _limit_jobs(model: Any, threads: int) -> None:
    """Estimators that start jobs of their own must keep to the same number of threads."""
    if not hasattr(model, "get_params"):
        return
    for name, value in model.get_params(deep=True).items():
        if name.rsplit("__", 1)[-1] == "n_jobs" and value not in (None, threads):
            model.set_params(**{name: threads})


class _Quiet:
    """Silences warnings while any thread predicts.

    `warnings.catch_warnings` changes the whole process and is not safe between threads, so the first thread in
    enters it and the last one out leaves.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._stack = ExitStack()

    @contextmanager
    def warnings(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._stack.close()
