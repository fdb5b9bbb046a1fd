"""What the leader of a run and its workers tell each other: a line of JSON for each message, over pipes."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from septet.batch_runs.batch_plan import BatchPlan
from septet.batch_runs.batch_run import UnitResult
from septet.identity import Identity
from septet.model.signature import Signature


class LoadModel(msgspec.Struct, frozen=True, tag=True):
    """Load this model; `settings` by their keys, lists for those that have several values."""

    model: str
    settings: Mapping[str, str | int | float | bool | tuple[str, ...] | None]


class ModelLoaded(msgspec.Struct, frozen=True, tag=True):
    """The model is loaded. `together` says whether rows share runs, `reason` why, or why not."""

    identity: Identity
    signature: Signature
    together: bool
    reason: str


class BeginRun(msgspec.Struct, frozen=True, tag=True):
    """Units of this plan will come."""

    plan: BatchPlan
    run: str


class DoUnit(msgspec.Struct, frozen=True, tag=True):
    """Do this unit of the plan."""

    unit: int


class RowsRead(msgspec.Struct, frozen=True, tag=True):
    """So many rows were read since, of which so many are bad."""

    rows: int
    bad_rows: int


class UnitDone(msgspec.Struct, frozen=True, tag=True):
    """The unit is done."""

    result: UnitResult


class WorkFailed(msgspec.Struct, frozen=True, tag=True):
    """The model cannot be loaded (`unit` None), or a unit cannot be done, however often it is tried."""

    unit: int | None
    message: str


ToBatchWorker: TypeAlias = LoadModel | BeginRun | DoUnit
FromBatchWorker: TypeAlias = ModelLoaded | RowsRead | UnitDone | WorkFailed


def encoded(message: ToBatchWorker | FromBatchWorker) -> bytes:
    """A message as a line."""
    return msgspec.json.encode(message) + b"\n"
