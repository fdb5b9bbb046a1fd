"""From a path to a loaded, proven model: a package folder, or a bare file with a package derived in memory."""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from septet.errors import DamagedModel, GoldenMismatch, MissingExtra, PackageInvalid, StartupError
from septet.model.digest import DIGEST_PREFIX, DigestedFiles, combined_digest, identity_digest
from septet.model.golden import Golden, mismatches
from septet.model.label_files import LABEL_NAMES, with_labels_beside
from septet.model.labels import read_labels, with_labels
from septet.model.manifest import Manifest, name_from
from septet.model.package import MANIFEST_NAME, check_unlisted_labels, read_package
from septet.model.septet_toml import manifest_from_toml
from septet.model.signature import Column, Signature, Tensor
from septet.predictor.comparison import require_independence
from septet.preprocessing.preprocessed_runtime import PreprocessedRuntime
from septet.preprocessing.preprocessing_step import PreprocessingStep, read_preprocessing_code
from septet.runtimes.artefact_files import check_artefact_files
from septet.runtimes.base import LoadOptions, Runtime
from septet.runtimes.declared_inputs import with_declared_inputs
from septet.runtimes.engine_table import engine_for, load
from septet.runtimes.row_independent import RowIndependentRuntime
from septet.runtimes.versions import require_versions
from septet.settings import Model
from septet.types import Identity

NO_LABELS = "none"
_MOST_SHOWN = 5

_log = logging.getLogger("septet")


class OpenedModel(msgspec.Struct, frozen=True):
    """A model that is loaded and that reproduces its golden rows; `golden` is None for a bare file."""

    runtime: Runtime
    identity: Identity
    manifest: Manifest
    golden: Golden | None

    @property
    def signature(self) -> Signature:
        """What the model takes and gives."""
        return self.manifest.signature


def open_model(path: Path, settings: Model, *, threads: int) -> OpenedModel:
    """Load a model and prove it.

    Raises:
        StartupError: it is missing, damaged, untrusted, or not what it promises; each by its own class and message.
    """
    options = LoadOptions(threads, settings.trust)
    try:
        return _package(path, settings, options) if path.is_dir() else _file(path, settings, options)
    except OSError as error:
        raise DamagedModel(f"{path}: cannot be read: {error}") from error
    except ImportError as error:
        why = f"a library that it needs cannot be imported here (is it installed, and is there memory for it?): {error}"
        raise MissingExtra(f"{path}: {why}") from error
    except MemoryError as error:
        raise StartupError(f"{path}: there is not enough memory to load it") from error


def model_name(path: Path, settings: Model) -> str:
    """The name of a model that does not say one itself: the setting, or what its path is called."""
    return settings.name or name_from(path.stem)


def missing_name(path: Path, settings: Model) -> str:
    """The name of a model that cannot be loaded: its manifest's, where that can be read."""
    source = path / MANIFEST_NAME
    try:
        return settings.name or manifest_from_toml(source.read_bytes(), str(source)).name
    except (StartupError, OSError):
        return model_name(path, settings)


def _file(path: Path, settings: Model, options: LoadOptions) -> OpenedModel:
    engine = engine_for(path)
    digested = DigestedFiles()
    files = files_of(path, settings.labels, digested)
    runtime = engine.load(path, options)
    signature = _labelled(runtime.signature, path.parent, settings.labels)
    if settings.nullable:
        signature = _nullable(signature, texts=engine.null_texts)
    name = model_name(path, settings)
    digested.check_unchanged()
    manifest = Manifest(name, settings.version or "0", engine.key, path.name, signature, files)
    return OpenedModel(runtime, Identity(name, manifest.version, bare_digest(path, files)), manifest, None)


def files_of(path: Path, labels: str | None, digested: DigestedFiles) -> dict[str, str]:
    """The SHA-256 of a bare model file and of those that its answers depend on too, by name: weights and label files.

    `labels` is the setting. A file that the model misses is left out: loading it says so.

    Raises:
        OSError, DamagedModel: the file cannot be read.
    """
    files = {path.name: digested.digest(path)}
    files |= digested.digests(path.parent, engine_for(path).side_files(path))
    return files | _label_files(path.parent, labels, digested)


def bare_digest(path: Path, files: Mapping[str, str]) -> str:
    """The digest by which a bare model file is known, from those of its files."""
    others = {name: digest for name, digest in files.items() if name != path.name}
    return identity_digest(combined_digest(files[path.name], others))


def _label_files(folder: Path, labels: str | None, digested: DigestedFiles) -> dict[str, str]:
    if labels is None:
        return digested.digests(folder, LABEL_NAMES)
    return {} if labels == NO_LABELS else digested.digests(Path(labels).parent, (Path(labels).name,))


def _package(path: Path, settings: Model, options: LoadOptions) -> OpenedModel:
    package = read_package(path)
    check_artefact_files(package)
    if unlisted := package.unlisted:
        shown = ", ".join(unlisted[:_MOST_SHOWN]) + (" ..." if len(unlisted) > _MOST_SHOWN else "")
        _log.info("%s: the manifest does not list %s, which nothing reads", path, shown)
    manifest = package.manifest
    require_versions(manifest)
    if manifest.prepare is None:
        rows = None if package.golden is None else package.golden.request
        options = msgspec.structs.replace(options, signature=manifest.signature, rows=rows)
    runtime = load(manifest.runtime, package.artefact, options)
    if manifest.prepare is not None:
        code = read_preprocessing_code(path / manifest.prepare, options)
        step = PreprocessingStep(code, manifest.signature.inputs, runtime.signature)
        runtime = PreprocessedRuntime(runtime, step, manifest.signature)
    else:
        runtime = with_declared_inputs(runtime, manifest.signature)
        _agree(path, manifest.signature, runtime.signature)
    digest = package.digest.removeprefix(DIGEST_PREFIX)
    if settings.labels is None:
        check_unlisted_labels(package)
    elif settings.labels != NO_LABELS:
        digest = combined_digest(digest, _label_files(path, settings.labels, package.digested))
        manifest = msgspec.structs.replace(manifest, signature=_labelled(manifest.signature, path, settings.labels))
    package.digested.check_unchanged()
    _prove(path, runtime, package.golden)
    if manifest.row_independent:
        runtime = _with_declared_independence(path, runtime, manifest.signature, package.golden)
    identity = Identity(settings.name or manifest.name, settings.version or manifest.version, identity_digest(digest))
    return OpenedModel(runtime, identity, manifest, package.golden)


def _labelled(signature: Signature, folder: Path, labels: str | None) -> Signature:
    """The signature with the labels of a file: the one that is named, else the one that lies beside the model."""
    if labels is None:
        return with_labels_beside(signature, folder)
    if labels == NO_LABELS:
        return signature
    return with_labels(signature, read_labels(Path(labels)), labels, in_any_order=True)


def _nullable(signature: Signature, *, texts: bool) -> Signature:
    """Every column that can hold a missing value takes null: floating point, and `texts` where the engine has such."""

    def column(each: Column) -> Column:
        able = (texts and each.dtype == "string") or each.dtype.startswith("float")
        return msgspec.structs.replace(each, nullable=able)

    inputs = tuple(
        msgspec.structs.replace(tensor, columns=tuple(column(each) for each in tensor.columns))
        for tensor in signature.inputs
    )
    return msgspec.structs.replace(signature, inputs=inputs)


def _agree(path: Path, declared: Signature, loaded: Signature) -> None:
    """Refuse a manifest that describes other tensors than the artefact has.

    Raises:
        PackageInvalid: it does.
    """

    def facts(tensors: tuple[Tensor, ...]) -> list[tuple[str, str, tuple[int | None, ...]]]:
        return [(tensor.name, tensor.dtype, tensor.shape) for tensor in tensors]

    for what, ours, theirs in (
        ("inputs", declared.inputs, loaded.inputs),
        ("outputs", declared.outputs, loaded.outputs),
    ):
        if facts(ours) != facts(theirs):
            raise PackageInvalid(
                f"{path}: the manifest's {what} are not the model's: {facts(ours)} against {facts(theirs)}. "
                "Pack the model again."
            )


def _with_declared_independence(path: Path, runtime: Runtime, signature: Signature, golden: Golden | None) -> Runtime:
    """The runtime as one of independent rows, where nothing but unknown code stands against that.

    Raises:
        PackageInvalid: there is no golden row to prove it by, or rows are none.
        GoldenMismatch: the rows depend on each other.
    """
    if golden is None or not signature.rows:
        raise PackageInvalid(
            f"{path}: the package says row_independent = true, and has no golden rows to prove it. Pack it with --data."
        )
    require_independence(path, runtime, signature, golden)
    proof = runtime.independence
    if not proof.proven and not proof.foreign:
        _log.warning("row_independent = true changes nothing for a graph: %s", proof.reason)
    return RowIndependentRuntime(runtime) if proof.foreign else runtime


def _prove(path: Path, runtime: Runtime, golden: Golden | None) -> None:
    if golden is None:
        return
    try:
        found = mismatches(golden, runtime.run(golden.request))
    except Exception as error:
        raise GoldenMismatch(f"{path}: the model fails on its golden rows: {error}") from error
    if found:
        lines = "\n  ".join(found)
        raise GoldenMismatch(f"{path}: the model does not give the answers that it gave when it was packed:\n  {lines}")
