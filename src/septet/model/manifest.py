"""The manifest of a package: the records written to and read from `septet.toml`."""

import datetime as dt
import re
from typing import Any

import msgspec

from septet.model.signature import Signature

_LONGEST_NAME = 128


class Data(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The training data: its name, rows, digest, and the window of time it covers (`since` to `until`)."""

    name: str | None = None
    rows: int | None = None
    digest: str | None = None
    since: dt.date | None = None
    until: dt.date | None = None


class Training(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the model comes from."""

    trained_at: dt.datetime | None = None
    data: Data = Data()
    algorithm: str | None = None
    parameters: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    code_revision: str | None = None
    libraries: dict[str, str] = {}
    owner: str | None = None


class Parity(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How closely the compiled model reproduced the native one when it was saved.

    `rows` were compared: those given, and those made up to find a difference. Labels had to be equal, numbers within
    the tolerances; of a column of an output whose values spread over less than 1, `absolute_tolerance` is that share
    of the spread. `largest_difference` is absolute, over all outputs of floating point, on the rows given.
    """

    rows: int
    absolute_tolerance: float
    relative_tolerance: float
    largest_difference: float


class EngineCost(msgspec.Struct, frozen=True):
    """What one request of `rows` rows costs: seconds, and bytes by which the process grows at its peak."""

    rows: int
    seconds: float
    bytes: int


class EngineLibrary(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which engine was chosen when a native model was saved, and why.

    Attributes:
        chosen: the key of the runtime, `onnx` or `sklearn`.
        reason: in words.
        onnx, native: what each cost on the machine of the saving; empty where the model was not compiled.
    """

    chosen: str
    reason: str
    onnx: tuple[EngineCost, ...] = ()
    native: tuple[EngineCost, ...] = ()


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The manifest of a package.

    Attributes:
        name, version: the model's.
        runtime: the key of the runtime that loads `artefact` (`onnx`, `sklearn`).
        artefact: the model file, relative to the package.
        signature: what it takes and gives.
        files: the SHA-256 (64 hexadecimal digits) of every other file of the package, by relative POSIX path.
        training: where it comes from.
        valid_for_days: how long after `training.data.until` (else `trained_at`) the model is good; None: by policy.
        parity: measured when a native model was compiled; None otherwise.
        engine: the choice between the compiled and the native model; None where there was none.
        prepare: the file of preprocessing code, relative to the package, or None.
        description: for people.
        row_independent: whether its code, which Septet does not know, answers each row by itself. Golden rows must
            prove it at every start.
        fallback: what is answered for each row where the model cannot answer, by output; None for an error.
    """

    name: str
    version: str
    runtime: str
    artefact: str
    signature: Signature
    files: dict[str, str] = {}
    training: Training = Training()
    valid_for_days: int | None = None
    parity: Parity | None = None
    engine: EngineLibrary | None = None
    prepare: str | None = None
    description: str | None = None
    row_independent: bool = False
    fallback: dict[str, Any] | None = None
    format: int = 1


def name_from(stem: str) -> str:
    """The name of a model that says none itself, from what its file or folder is called."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:_LONGEST_NAME] or "model"
