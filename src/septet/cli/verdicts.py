"""Every check of a model or package, each with its verdict.

The checks that need the model to run are those that a server makes when it starts: opening the service raises the
error of the first one that fails, and the error's class says which one that is.
"""

import platform
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from septet.assembly.composition import age_of, open_service
from septet.cli.data_file import read_tensors
from septet.cli.model_summary import golden_rows
from septet.cli.overview import age_text, short_digest
from septet.errors import (
    DigestMismatch,
    GoldenMismatch,
    LabelsMismatch,
    PackageInvalid,
    StartupError,
    VersionsMismatch,
)
from septet.model.manifest import Manifest
from septet.model.package import Package, read_package
from septet.packing.parity import Unequal
from septet.packing.recheck import recheck_parity
from septet.runtimes.artefact_files import check_artefact_files
from septet.runtimes.engine_table import engine_named
from septet.settings import Settings

State = Literal["ok", "warn", "FAIL", "skip"]

_NAMES = ("manifest", "digests", "libraries", "labels", "loads", "golden rows", "native", "freshness")
_FAILED_BY: dict[type[StartupError], str] = {
    PackageInvalid: "manifest",
    DigestMismatch: "digests",
    VersionsMismatch: "libraries",
    LabelsMismatch: "labels",
    GoldenMismatch: "golden rows",
}


class Verdict(msgspec.Struct, frozen=True):
    """The outcome of one check. `counts` says whether it makes the command fail."""

    check: str
    state: State
    detail: str
    counts: bool


def verdicts(
    path: Path, settings: Settings, native: Path | None = None, data: Path | None = None
) -> tuple[Verdict, ...]:
    """Make every check that can be made; one that depends on a failed one is skipped.

    `native` is the file of the estimator that was compiled, and `data` one of real rows.
    """
    found: dict[str, Verdict] = {}
    if path.is_dir():
        package = _read(path, found)
        manifest = None if package is None else package.manifest
    else:
        package = None
        manifest = None
        _note(found, "manifest", "skip", "a model file has none; `septet pack` makes a package of it")
    if manifest is not None or not path.is_dir():
        manifest = _open(path, package, settings, found) or manifest
    if manifest is not None:
        _judge_age(manifest, settings, found)
    if native is not None:
        _compare(package, settings, native, data, found)
    names = [name for name in _NAMES if name != "native" or native is not None]
    rest = Verdict("", "skip", "not checked, because of what failed", counts=False)
    return tuple(found.get(name, msgspec.structs.replace(rest, check=name)) for name in names)


def _note(found: dict[str, Verdict], check: str, state: State, detail: str) -> None:
    found.setdefault(check, Verdict(check, state, detail, counts=state == "FAIL"))


def _fail(found: dict[str, Verdict], exc: StartupError) -> None:
    # What was noted before is no longer so: a file that was as packed may have been changed since.
    check = _FAILED_BY.get(type(exc), "loads")
    found[check] = Verdict(check, "FAIL", exc.message, counts=True)


def _read(path: Path, found: dict[str, Verdict]) -> Package | None:
    try:
        package = read_package(path)
        check_artefact_files(package)
    except StartupError as exc:
        _fail(found, exc)
        return None
    count = len(package.manifest.files)
    _note(found, "manifest", "ok", f"{package.manifest.name}, version {package.manifest.version}")
    others = f"; not listed, and not read: {', '.join(package.unlisted)}" if package.unlisted else ""
    _note(found, "digests", "ok", f"{count} file{'s are' if count != 1 else ' is'} as packed{others}")
    return package


def _open(path: Path, package: Package | None, settings: Settings, found: dict[str, Verdict]) -> Manifest | None:
    """Start the service as a server would, and note what that proves; the age is judged apart."""
    stale = msgspec.structs.replace(settings.model, allow_stale=True)
    try:
        service = open_service(path, msgspec.structs.replace(settings, model=stale))
    except StartupError as exc:
        _fail(found, exc)
        return None
    if package is None:
        _note(found, "digests", "ok", f"{path.name} is {short_digest(service.identity.digest)}")
        _note(found, "golden rows", "skip", "a model file has none")
        _note(found, "libraries", "skip", "a model file does not say which it was trained with")
    else:
        _note_libraries(package.manifest, found)
        count = golden_rows(package)
        if count:
            _note(found, "golden rows", "ok", f"{count} answered as when packed")
        else:
            _note(found, "golden rows", "warn", "the package has none: pack it with --data")
    labels = len(service.signature.labels)
    _note(found, "labels", "ok", f"{labels}, which fit the output" if labels else "the model has none")
    proof = "and answers" if service.answer is not None else "but answers no made-up row: pack it with --data to try it"
    _note(found, "loads", "ok", f"with {service.manifest.runtime}, {proof}")
    return service.manifest


def _compare(
    package: Package | None, settings: Settings, native: Path, data: Path | None, found: dict[str, Verdict]
) -> None:
    """Put the compiled model through the gate again, where the package could be opened."""
    if package is None:
        _note(found, "native", "FAIL", "only a package is compared with a native model")
        return
    if found.get("loads", Verdict("", "FAIL", "", counts=True)).state == "FAIL":
        return
    try:
        rows = None if data is None else read_tensors(data, package.manifest.signature)
        verdict = recheck_parity(package, native, settings.model.trust, rows)
    except StartupError as exc:
        _note(found, "native", "FAIL", exc.message)
        return
    if isinstance(verdict, Unequal):
        _note(found, "native", "FAIL", verdict.reason)
    else:
        _note(found, "native", "ok", f"equal on {verdict.rows} rows, numbers within {verdict.relative_tolerance:g}")


def _note_libraries(manifest: Manifest, found: dict[str, Verdict]) -> None:
    trained = manifest.training.libraries
    if not engine_named(manifest.runtime, Path(manifest.artefact)).compared:
        _note(found, "libraries", "ok", f"none that it was trained with is needed ({manifest.runtime})")
        return
    differ = [
        f"{name} {_installed(name) or 'is not installed'} here, {version} when trained"
        for name, version in trained.items()
        if _installed(name) != version
    ]
    if differ:
        _note(found, "libraries", "warn", "; ".join(differ))
    else:
        _note(found, "libraries", "ok", f"{len(trained)} as when trained" if trained else "the package names none")


def _installed(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _judge_age(manifest: Manifest, settings: Settings, found: dict[str, Verdict]) -> None:
    fresh = age_of(manifest, settings.model)
    old = fresh.state in ("warn", "error")
    state: State = "FAIL" if fresh.state == "error" else "warn" if fresh.state == "warn" else "ok"
    if old and settings.model.allow_stale:
        state = "warn"
    if fresh.state == "unknown":
        state = "skip"
    found["freshness"] = Verdict("freshness", state, age_text(fresh), counts=old and not settings.model.allow_stale)
