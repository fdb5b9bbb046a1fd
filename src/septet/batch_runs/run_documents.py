"""What people and programs are shown of a run."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from septet.batch_runs.batch_run import BatchRun, RunStatus

_HOUR, _MINUTE = 3600, 60


class RunPace(msgspec.Struct, frozen=True):
    """How far a run is that runs here.

    Attributes:
        rows, bad_rows: read by now, those of unfinished units too.
        rows_total: how many there are to read; None where only reading them tells.
        rows_per_second: since this process has begun.
        left_seconds: until the end at this rate; None where it is not known.
    """

    rows: int
    bad_rows: int
    rows_total: int | None = None
    rows_per_second: float = 0.0
    left_seconds: float | None = None


def pace_line(pace: RunPace) -> str:
    """How far a run is, in a line for people."""
    rows = f"{pace.rows:,} rows"
    if pace.rows_total:
        rows = f"{pace.rows:,} of {pace.rows_total:,} rows, {100 * pace.rows // pace.rows_total} %"
    parts = [rows, f"{pace.rows_per_second:,.0f} a second"]
    if pace.left_seconds is not None:
        parts.append(f"{duration(pace.left_seconds)} left")
    if pace.bad_rows:
        parts.append(f"{pace.bad_rows:,} bad")
    return ", ".join(parts)


def run_json(run: BatchRun, pace: RunPace | None = None) -> bytes:
    """A run as JSON, with moments as ISO 8601 has them."""
    shown: dict[str, Any] = msgspec.to_builtins(run)
    for name in ("started_at", "ended_at", "deadline"):
        shown[name] = None if shown[name] is None else moment(shown[name])
    if pace is not None:
        shown.update(msgspec.to_builtins(pace))
    return msgspec.json.encode(shown)


def outcome_lines(run: BatchRun, errors: str) -> Sequence[str]:
    """What became of a run, for people; `errors` is where its bad rows stand."""
    seconds = (run.ended_at or run.started_at) - run.started_at
    good = run.rows - run.bad_rows
    lines = [f"run {run.id[:12]}: {run.status.value.replace('_', ' ')}"]
    if run.status in (RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_ERRORS):
        rate = f", {good / seconds:,.0f} rows a second" if seconds > 0 else ""
        lines.append(f"  {good:,} rows in {run.target} ({duration(seconds)}{rate})")
    else:
        lines.append(f"  {run.units_done:,} of {run.units:,} units done, {run.rows:,} rows")
    if run.bad_rows:
        lines.append(f"  {run.bad_rows:,} bad rows in {errors}")
    return lines


def duration(seconds: float) -> str:
    """So many seconds, as people say it."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min {seconds % _MINUTE:.0f} s"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:.0f} min"


def moment(seconds: float) -> str:
    """A moment in seconds since 1970 as ISO 8601 has it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
