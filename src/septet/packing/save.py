"""`septet.save`: a package from a fitted scikit-learn estimator, compiled to ONNX where that reproduces its answers."""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import msgspec
import numpy as np

from septet.errors import Invalid, MissingExtra, SeptetError, UnsupportedModel
from septet.model.consistency import check_signature
from septet.model.manifest import Manifest, name_from
from septet.model.package import Package
from septet.model.package_writing import write_package
from septet.model.signature import Signature, Tensor
from septet.packing.artefact import Artefact, Trained, artefact_of, trusting
from septet.packing.evidence import golden_of, profile_of_rows, with_hard_rows
from septet.packing.provenance import About, Statement, training
from septet.packing.signatures import declared, finished, named, raw_inputs
from septet.packing.sources import sources_of, sources_text
from septet.packing.statement_check import check_identity, check_statement
from septet.packing.training_table import TrainingTable, rows_of
from septet.packing.training_tensors import tensors_from
from septet.packing.trial import try_estimator
from septet.predictor.comparison import require_independence
from septet.preprocessing.preprocessed_runtime import PreprocessedRuntime
from septet.preprocessing.preprocessing_step import PreprocessingCode, PreprocessingStep, read_preprocessing_code
from septet.runtimes.base import InputRejected, LoadOptions, Runtime
from septet.runtimes.engine_table import ENGINES
from septet.runtimes.sklearn.sklearn_engine import SKLEARN
from septet.types import Array, Tensors

_log = logging.getLogger(__name__)

PREPARE_NAME = "prepare.py"


class Saved(msgspec.Struct, frozen=True):
    """What `save` and `pack` made; its text names the chosen runtime, the reason, and the source of each part.

    Attributes:
        package: the package, as read back.
        fallback: why the model was not compiled to ONNX, or None where it was (or was given as it is).
        trust: the digests that must be trusted to serve it, `sha256:` and 64 digits each; usually none.
        sources: where the parts of the package were taken from, such as `{"columns": "data"}`: the name of an
            argument, of a file, or the model.
        notes: what was taken otherwise than named, or left out, one sentence each; usually none.
    """

    package: Package
    fallback: str | None = None
    trust: tuple[str, ...] = ()
    sources: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        manifest = self.package.manifest
        chosen = manifest.artefact if manifest.engine is None else f"{manifest.artefact}: {manifest.engine.reason}"
        lines = (
            f"{manifest.name}, version {manifest.version}, in {self.package.root}",
            chosen,
            sources_text(self.sources),
        )
        trust = (f"whoever serves it must trust {digest}" for digest in self.trust)
        return "\n  ".join((*lines, *self.notes, *trust))


def save(
    model: Any,
    path: str | Path,
    *,
    data: Any,
    target: Any = None,
    name: str | None = None,
    version: str = "1",
    replace: bool = False,
    **about: Unpack[About],
) -> Saved:
    """Write the package of a fitted scikit-learn estimator to the folder `path`.

    `data` are the rows it was trained on: a DataFrame, an array [N, columns], or N texts; `target` the answers it
    learned, [N]. Everything in `about` is optional; see `septet.packing.provenance.Statement`. The name is the
    folder's unless given, without the characters that no name has.

    Raises:
        UnsupportedModel: the estimator cannot answer new rows, or cannot be stored.
        Invalid: `data` does not fit the estimator; the message names the column.
        LabelsMismatch: the labels do not fit its classes.
        GoldenMismatch: `about` says that rows are independent, and they are not.
        PackageInvalid: the folder exists (and `replace` is False), or `about` names unknown columns or says what cannot
            be.
        MissingExtra: scikit-learn's extra is not installed.
        TypeError: `about` has an unknown name.
    """
    statement = Statement(**about)
    check_statement(statement)
    check_identity(name, version)
    identity = name or name_from(Path(path).resolve().name), version
    try:
        return _saved(model, Path(path), (data, target), identity, statement, replace=replace)
    except ModuleNotFoundError as exc:
        raise MissingExtra(f"saving needs {exc.name!r}: pip install 'septet[sklearn]'") from exc
    except InputRejected as exc:
        raise Invalid(f"the {type(model).__name__} does not take some of the given rows: {exc}") from exc
    except (SeptetError, OSError):
        raise
    except Exception as exc:
        # An error of a model, a library or preprocessing code does not tell where it was called.
        raise UnsupportedModel(
            f"the {type(model).__name__} cannot be saved with these rows ({type(exc).__name__}: {exc})"
        ) from exc


def _saved(
    model: Any, root: Path, data: tuple[Any, Any], identity: tuple[str, str], statement: Statement, *, replace: bool
) -> Saved:
    rows = rows_of(data[0])
    answers = _target(data[1], len(rows))
    ready = _ready(model, rows, statement)
    with tempfile.TemporaryDirectory(prefix="septet-") as folder:
        trained = Trained(
            model,
            ready.native,
            ready.signature,
            ready.inner,
            statement.measurement_seconds,
            strict=statement.nullable is not None,
        )
        artefact = artefact_of(trained, Path(folder))
        for note in ready.notes:
            _log.warning("%s: %s", root, note)
        if artefact.fallback is not None:
            _log.warning("%s keeps the native model as %s: %s", root, artefact.path.name, artefact.fallback)
        else:
            _log.info("%s has the model compiled as %s: %s", root, artefact.path.name, artefact.engine.reason)
        served, runtime = _served(artefact, ready, statement)
        manifest = Manifest(
            name=identity[0],
            version=identity[1],
            runtime=artefact.key,
            artefact=artefact.path.name,
            signature=served,
            training=training(statement, model, rows, answers),
            valid_for_days=statement.valid_for_days,
            parity=artefact.parity,
            engine=artefact.engine,
            prepare=None if ready.code is None else PREPARE_NAME,
            description=statement.description,
            row_independent=statement.row_independent,
        )
        check_signature(served, str(root))
        files: dict[str, bytes | Path] = {artefact.path.name: artefact.path.read_bytes()}
        if ready.code is not None:
            files[PREPARE_NAME] = ready.code.content
        golden = golden_of(runtime, served, tensors_from(rows, served))
        if artefact.hard is not None and ready.code is None and served.rows:
            golden = with_hard_rows(golden, runtime, artefact.hard)
        if statement.row_independent:
            require_independence(root, runtime, served, golden)
        profile = profile_of_rows(rows, served, answers)
        package = write_package(root, manifest, files, golden=golden, profile=profile, replace=replace)
    taken = sources_of(served, statement, *data, columns="data", labels="the model's classes")
    _log.info("%s: %s", root, sources_text(taken))
    return Saved(package, artefact.fallback, trust_needed(package), taken, ready.notes)


def _target(target: Any, count: int) -> Array | None:
    if target is None:
        return None
    answers = np.asarray(target)
    if answers.ndim == 0 or len(answers) != count:
        raise Invalid(f"the target has {answers.shape[0] if answers.ndim else 'no'} rows and the data {count}")
    return answers


class _Ready(msgspec.Struct, frozen=True, eq=False):
    """A model and its rows, ready to be compiled.

    Attributes:
        native: the estimator's runtime.
        signature: the one that it declares.
        inner: the rows as its tensors.
        raw: the rows as tensors of `signature`, or of the columns that `code` takes.
        inputs: the signature's inputs, or those that `code` takes.
    """

    native: Runtime
    signature: Signature
    inner: Tensors
    raw: Tensors
    inputs: tuple[Tensor, ...]
    code: PreprocessingCode | None = None
    notes: tuple[str, ...] = ()


def _ready(model: Any, rows: TrainingTable, statement: Statement) -> _Ready:
    if not SKLEARN.takes(model):
        raise UnsupportedModel(f"the {type(model).__name__} has no method predict or transform that answers new rows")
    code = _code(statement)
    if code is None:
        found = try_estimator(model, rows, statement)
        signature = named(found.native.signature, statement)
        tensors = tensors_from(found.rows, signature)
        return _Ready(found.native, signature, tensors, tensors, signature.inputs, notes=found.notes)
    native = SKLEARN.runtime_of(model, LoadOptions(), source=f"the {type(model).__name__}")
    raw = msgspec.structs.replace(native.signature, inputs=raw_inputs(rows))
    tensors = tensors_from(rows, raw)
    inner = PreprocessingStep(code, raw.inputs, native.signature).prepared(tensors)
    return _Ready(native, native.signature, inner, tensors, raw.inputs, code)


def _served(artefact: Artefact, ready: _Ready, statement: Statement) -> tuple[Signature, Runtime]:
    """What the package promises, and the runtime that will keep it."""
    served, runtime = artefact.signature, artefact.runtime
    if ready.code is None:
        return served, runtime
    served = msgspec.structs.replace(served, inputs=ready.inputs)
    step = PreprocessingStep(ready.code, ready.inputs, runtime.signature)
    prepared = PreprocessedRuntime(runtime, step, served)
    return declared(finished(served, prepared.run(_head(ready.raw))), statement), prepared


def trust_needed(package: Package) -> tuple[str, ...]:
    """The digests of the package's files that run code when it is served."""
    needed = []
    manifest = package.manifest
    engine = ENGINES.get(manifest.runtime)
    if engine is not None and engine.runs_code(package.artefact):
        needed.append(f"sha256:{manifest.files[manifest.artefact]}")
    if manifest.prepare is not None:
        needed.append(f"sha256:{manifest.files[manifest.prepare]}")
    return tuple(needed)


def _code(statement: Statement) -> PreprocessingCode | None:
    if statement.prepare is None:
        return None
    source = Path(statement.prepare)
    return read_preprocessing_code(source, trusting(source))


def _head(rows: Tensors) -> Tensors:
    return {name: array[:2] for name, array in rows.items()}
