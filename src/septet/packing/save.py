"""`septet.save`: a package from a fitted scikit-learn estimator, compiled to ONNX where that reproduces its answers."""

import logging
import tempfile
from pathlib import Path
from typing import Any, Unpack

import msgspec
import numpy as np

from septet.errors import MissingExtra
from septet.model.manifest import Manifest
from septet.model.package import Package, write_package
from septet.packing.artefact import Trained, artefact_of, trusting
from septet.packing.evidence import golden_of, profile_of_data, with_hard_rows
from septet.packing.provenance import About, Statement, training
from septet.packing.rows import tensors_of
from septet.packing.signatures import declared, finished, raw_inputs
from septet.runtimes.base import LoadOptions, Runtime
from septet.runtimes.prepared import Prepared, Steps, prepared_tensors, read_steps
from septet.types import Tensors

_log = logging.getLogger(__name__)

PREPARE_NAME = "prepare.py"


class Saved(msgspec.Struct, frozen=True):
    """What `save` and `pack` made.

    Attributes:
        package: the package, as read back.
        fallback: why the model was not compiled to ONNX, or None where it was (or was given as it is).
        trust: the digests that must be trusted to serve it, `sha256:` and 64 digits each; usually none.
    """

    package: Package
    fallback: str | None = None
    trust: tuple[str, ...] = ()


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
    folder's unless given.

    Raises:
        UnsupportedModel: the estimator cannot answer new rows, or cannot be stored.
        Invalid: `data` does not fit the estimator.
        LabelsMismatch: the labels do not fit its classes.
        PackageInvalid: the folder exists (and `replace` is False), or `about` names unknown columns.
        MissingExtra: scikit-learn's extra is not installed.
        TypeError: `about` has an unknown name.
    """
    statement = Statement(**about)
    root = Path(path)
    native = _native(model)
    steps = _steps(statement)
    signature = declared(native.signature, statement) if steps is None else native.signature
    raw = signature if steps is None else msgspec.structs.replace(signature, inputs=raw_inputs(data))
    rows = tensors_of(data, raw)
    inner = rows if steps is None else prepared_tensors(steps, rows, raw, native.signature)
    with tempfile.TemporaryDirectory(prefix="septet-") as folder:
        trained = Trained(model, native, signature, inner, strict=statement.nullable is not None)
        artefact = artefact_of(trained, Path(folder))
        if artefact.fallback is not None:
            _log.warning("%s keeps the native model as %s: %s", root, artefact.path.name, artefact.fallback)
        else:
            _log.info("%s has the model compiled as %s: %s", root, artefact.path.name, artefact.engine.reason)
        served = artefact.signature
        runtime = artefact.runtime
        if steps is not None:
            served = msgspec.structs.replace(served, inputs=raw.inputs)
            runtime = Prepared(runtime, steps, served)
            served = declared(finished(served, runtime.run(_head(rows))), statement)
        answers = None if target is None else np.asarray(target)
        manifest = Manifest(
            name=name or root.resolve().name,
            version=version,
            runtime=artefact.key,
            artefact=artefact.path.name,
            signature=served,
            training=training(statement, model, data, answers),
            valid_for_days=statement.valid_for_days,
            parity=artefact.parity,
            engine=artefact.engine,
            prepare=None if steps is None else PREPARE_NAME,
            description=statement.description,
        )
        files: dict[str, bytes | Path] = {artefact.path.name: artefact.path.read_bytes()}
        if statement.prepare is not None:
            files[PREPARE_NAME] = Path(statement.prepare).read_bytes()
        golden = golden_of(runtime, served, tensors_of(data, served))
        if artefact.hard is not None and steps is None and served.rows:
            golden = with_hard_rows(golden, runtime, artefact.hard)
        profile = profile_of_data(data, served, answers)
        package = write_package(root, manifest, files, golden=golden, profile=profile, replace=replace)
    return Saved(package, artefact.fallback, trust_needed(package))


def trust_needed(package: Package) -> tuple[str, ...]:
    """The digests of the package's files that run code when it is served."""
    needed = []
    manifest = package.manifest
    if manifest.runtime == "sklearn" and not _is_safe(package.artefact):
        needed.append(f"sha256:{manifest.files[manifest.artefact]}")
    if manifest.prepare is not None:
        needed.append(f"sha256:{manifest.files[manifest.prepare]}")
    return tuple(needed)


def _is_safe(path: Path) -> bool:
    import skops.io

    return path.suffix == ".skops" and not skops.io.get_untrusted_types(file=path)


def _native(model: Any) -> Runtime:
    try:
        from septet.runtimes.sklearn import runtime_of

        return runtime_of(model, LoadOptions(), source=f"the {type(model).__name__}")
    except ModuleNotFoundError as exc:
        raise MissingExtra(f"saving needs {exc.name!r}: pip install 'septet[sklearn]'") from exc


def _steps(statement: Statement) -> Steps | None:
    if statement.prepare is None:
        return None
    source = Path(statement.prepare)
    return read_steps(source, trusting(source))


def _head(rows: Tensors) -> Tensors:
    return {name: array[:2] for name, array in rows.items()}
