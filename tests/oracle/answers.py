"""What a served model answers, held against what the model itself answers to the same rows."""

import asyncio
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from septet.assembly import open_service
from septet.errors import SeptetError
from septet.protocols.codecs.json_body import JsonBody
from septet.service import Service
from septet.settings import Model, Settings
from septet.types import Array, Request, Response, Tensors
from tests.oracle.estimators import Fitted
from tests.packing.saving import save

#: How closely a compiled model, or a run that others share, reproduces the native answer; labels are equal.
ABSOLUTE, RELATIVE = 1e-5, 1e-4
OTHERS = 63
# How the data's dtypes begin, by how a column's does; a category is of any.
_TYPES = {
    "int": ("int", "category"),
    "uin": ("uint", "category"),
    "flo": ("float", "category"),
    "boo": ("bool", "category"),
    "str": ("object", "str", "category"),
    "dat": ("datetime",),
}


class Finding(NamedTuple):
    """One thing that is not as it must be."""

    kind: str
    what: str


Natives = dict[str, Callable[[Any], Any]]


def natives(model: Any) -> Natives:
    """By the name of an output, how the model itself computes it."""
    if not hasattr(model, "predict"):
        return {"transformed": model.transform}
    found: Natives = dict.fromkeys(("label", "prediction"), model.predict)
    for name, verb in (("probabilities", "predict_proba"), ("scores", "decision_function")):
        if hasattr(model, verb):
            found[name] = getattr(model, verb)
    return found


def wanted(model: Any, name: str, rows: Any) -> Array:
    """The native answer for one output."""
    verb, _, place = name.partition("_")
    if place.isdigit() and verb in ("label", "probabilities"):
        answer = natives(model)[verb](rows)
        return np.asarray(answer)[:, int(place)] if verb == "label" else np.asarray(answer[int(place)])
    answer = natives(model)[name](rows)
    if name == "probabilities" and isinstance(answer, list):
        answer = np.stack([_of_one(part) for part in answer], axis=1)
    if hasattr(answer, "toarray"):
        answer = answer.toarray()
    return np.asarray(answer)


def _of_one(part: Array) -> Array:
    return part[:, 1] if part.shape[1] > 1 else np.zeros(len(part))


def difference(got: Array, native: Array, *, exact: bool) -> str | None:
    """What differs between an answer and the native one; None where nothing does."""
    if got.shape != native.shape:
        return f"shape {got.shape} instead of {native.shape}"
    if native.dtype.kind in "fc" and got.dtype.kind == "f":
        mine, theirs = got.astype(np.float64), native.astype(np.float64)
        same = (
            (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
            if exact
            else np.isclose(mine, theirs, RELATIVE, ABSOLUTE, equal_nan=True)
        )
        if same.all():
            return None
        at = tuple(int(each[0]) for each in np.nonzero(~same))
        return f"{mine[at]!r} instead of {theirs[at]!r} at {at}"
    pairs = zip(got.ravel().tolist(), native.ravel().tolist(), strict=True)
    wrong = [pair for pair in pairs if pair[0] != pair[1] and str(pair[0]) != str(pair[1])]
    return f"{wrong[0][0]!r} instead of {wrong[0][1]!r}" if wrong else None


class Asked(NamedTuple):
    """One row: as the model takes it, as JSON has it, and what the model itself answers to it alone."""

    at: int
    row: Any
    cells: list[Any]
    native: dict[str, Array] | Exception


def cells_of(rows: Any, at: int) -> list[Any]:
    """A row as JSON values."""
    if isinstance(rows, list):
        return [rows[at]]
    # Column by column: a row of a frame would have one dtype for all.
    values = [rows[name].iloc[at] for name in rows] if isinstance(rows, pd.DataFrame) else rows[at].tolist()
    return [json_value(value) for value in values]


def json_value(value: Any) -> Any:
    """A cell as a caller writes it in JSON."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def part(rows: Any, at: int) -> Any:
    """One row by itself, of the same make as all."""
    return rows.iloc[[at]] if isinstance(rows, pd.DataFrame) else rows[at : at + 1]


def examined(made: Fitted, seed: int = 0) -> list[Finding]:
    """Save the model, serve it, ask it, and say what is not as the model itself has it."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            saved = save(made.model, Path(folder) / "m", data=made.frame.fitted)
        except SeptetError as error:
            if "cannot be stored as skops" in str(error):
                return []  # a stated limit: neither format can hold it
            return [Finding("save refuses", f"{type(error).__name__}: {error}")]
        except Exception as error:  # noqa: BLE001 - no foreign error may leave `save`
            return [Finding("save fails", f"{type(error).__module__}.{type(error).__name__}: {error}")]
        try:
            service = open_service(Path(folder) / "m", Settings(model=Model(trust=saved.trust)))
        except Exception as error:  # noqa: BLE001
            return [Finding("does not start", f"{type(error).__name__}: {error}")]
        return [*columns(made, service), *compared(made, service, seed)]


def columns(made: Fitted, service: Service) -> list[Finding]:
    """Hold the signature's columns against those of the rows that were given."""
    rows = made.frame.fitted
    if not isinstance(rows, pd.DataFrame):
        return []
    known = service.signature.columns
    if [each.name for each in known] != list(rows.columns):
        return [Finding("columns", f"{[each.name for each in known]} instead of {list(rows.columns)}")]
    found = []
    for each in known:
        given = rows[each.name].dtype.name.lower()
        if not given.startswith(_TYPES.get(each.dtype[:3], "")):
            found.append(Finding("column type", f"{each.name!r} is {each.dtype} and {given} in the data"))
        if rows[each.name].isna().any() and not each.nullable:
            found.append(Finding("nullability", f"{each.name!r} takes no missing value, which training had"))
    return found


def compared(made: Fitted, service: Service, seed: int) -> list[Finding]:
    """Ask each row alone, all in one request, and each among others in one turn of the loop."""
    names = [each.name for each in service.signature.outputs]
    rows = made.frame.asked
    asked = []
    for at in range(len(rows)):
        one = part(rows, at)
        try:
            native: dict[str, Array] | Exception = {name: wanted(made.model, name, one) for name in names}
        except Exception as error:  # noqa: BLE001 - what the model refuses, the server must refuse
            native = error
        asked.append(Asked(at, one, cells_of(rows, at), native))
    again = [
        {name: wanted(made.model, name, each.row) for name in names} for each in asked if isinstance(each.native, dict)
    ]
    firsts = [each.native for each in asked if isinstance(each.native, dict)]
    if any(difference(a[name], b[name], exact=True) for a, b in zip(again, firsts, strict=True) for name in names):
        return []  # the model itself answers at random
    return asyncio.run(_story(made, service, asked, random.Random(seed)))


async def _story(made: Fitted, service: Service, asked: Sequence[Asked], rng: random.Random) -> list[Finding]:
    decode = JsonBody(service.signature, max_rows=1000)
    compiled = service.manifest.runtime == "onnx"
    found: list[Finding] = []
    ready: list[tuple[Asked, Any]] = []
    for each in asked:
        try:
            body = decode(msgspec.json.encode({"data": [each.cells]}))
        except SeptetError as error:
            if isinstance(each.native, dict):
                found.append(Finding("refused", f"row {each.at} {each.cells}: {error}"))
            continue
        ready.append((each, body))
    for each, body in ready:
        got = await answered(service, body.tensors, body.rows)
        found += _judged("alone", each, got, exact=not compiled)
    for _ in range(2):
        crowd = [rng.choice(ready) for _ in range(OTHERS + 1)] if ready else []
        rng.shuffle(crowd)
        answers = await asyncio.gather(*(answered(service, body.tensors, body.rows) for _, body in crowd))
        for (each, _), got in zip(crowd, answers, strict=True):
            found += _judged("among others", each, got, exact=False)
    good = [each for each, _ in ready if isinstance(each.native, dict)]
    if good:
        found += await _together(made, service, decode, good, exact=not compiled)
    return list({finding.kind + finding.what: finding for finding in found}.values())


async def _together(
    made: Fitted, service: Service, decode: JsonBody, good: Sequence[Asked], *, exact: bool
) -> list[Finding]:
    rows = made.frame.asked
    places = [each.at for each in good]
    chosen = (
        rows.iloc[places]
        if isinstance(rows, pd.DataFrame)
        else [rows[at] for at in places]
        if isinstance(rows, list)
        else rows[places]
    )
    body = decode(msgspec.json.encode({"data": [each.cells for each in good]}))
    got = await answered(service, body.tensors, body.rows)
    try:
        native: Any = {each.name: wanted(made.model, each.name, chosen) for each in service.signature.outputs}
    except Exception as error:  # noqa: BLE001
        native = error
    return _judged("together", Asked(-1, chosen, [], native), got, exact=exact)


def _judged(kind: str, asked: Asked, got: Any, *, exact: bool) -> list[Finding]:
    place = f"row {asked.at} {asked.cells}"
    if isinstance(got, Exception):
        if isinstance(asked.native, Exception):
            return []
        return [Finding(f"{kind}: refused", f"{place}: {type(got).__name__}: {got}")]
    if isinstance(asked.native, Exception):
        return [Finding(f"{kind}: answered what the model refuses", f"{place}: {str(asked.native)[:200]}")]
    found = []
    for name, native in asked.native.items():
        differs = difference(got[name], native, exact=exact)
        if differs is not None:
            found.append(Finding(kind, f"{place}: {name}: {differs}"))
    return found


async def answered(service: Service, tensors: Tensors, rows: int) -> Any:
    """A request by callback, as the transports make them; all of one turn may share a run."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(outcome: Response | Exception) -> None:
        if not future.done():
            future.set_result(outcome)

    service.predictor.submit(Request(tensors, rows, "x", None, time.monotonic() + 60.0), done)
    outcome = await future
    return outcome if isinstance(outcome, Exception) else dict(outcome.tensors.items())
