"""What a campaign showed, for people and for programs."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from septet.bench.campaign import Outcome, name
from septet.bench.load import LoadPlan
from septet.bench.load_measurement import DEFINITION, PERCENTILES, Measurement
from septet.bench.machine import Machine
from septet.bench.objective import Objective
from septet.bench.sizing import Sizing

FORMAT = 1
_HEADS = ("load", "answers/s", "errors", "times", *PERCENTILES, "")


class Report(msgspec.Struct, frozen=True, eq=False):
    """Everything of one campaign.

    Attributes:
        server: what is known of the measured server.
        processes: of the load generator.
        wanted: objectives; empty where none were given.
        suggestion: for a wished rate, or None.
        notes: what else a reader must know.
    """

    server: dict[str, Any]
    machine: Machine
    plan: LoadPlan
    processes: int
    outcome: Outcome
    wanted: Sequence[Objective]
    suggestion: Sizing | None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether all that was demanded was met; also where nothing was."""
        verdict = self.outcome.verdict
        if verdict is not None:
            return verdict.rate is not None and verdict.confirmed
        return not self.outcome.shortcomings


def document(report: Report, now: dt.datetime) -> dict[str, Any]:
    """Write the report as JSON values; times are in seconds."""
    outcome = report.outcome
    bodies = [payload.body_bytes for payload in report.plan.payloads]
    # A search goes beyond what the generator can do where the server can do more; what counts is where it ended.
    limited = outcome.limited if outcome.verdict else any(each.client_limits for each in outcome.measurements)
    return {
        "format": FORMAT,
        "taken": now.isoformat(),
        "ok": report.ok,
        "client_limited": limited,
        "server": report.server,
        "machine": msgspec.to_builtins(report.machine),
        "client": {"name": "septet bench", "processes": report.processes},
        "requests": {"different": len(bodies), "body_bytes": {"least": min(bodies), "most": max(bodies)}},
        "percentiles": DEFINITION,
        "objectives": [each.text for each in report.wanted],
        "shortcomings": list(outcome.shortcomings),
        "found": msgspec.to_builtins(outcome.verdict),
        "suggestion": msgspec.to_builtins(report.suggestion),
        "notes": list(report.notes),
        "measurements": [
            {**msgspec.to_builtins(each), "error_share": each.error_share} for each in outcome.measurements
        ],
    }


def table(measurements: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """Write a row of figures for each load, below a row of heads; times in milliseconds."""
    rows: list[tuple[str, ...]] = [_HEADS]
    for each in measurements:
        mark = "client-limited" if each.client_limits else ""
        rate, errors = f"{each.throughput:.1f}", f"{each.error_share:.2%}" if each.failed else "0"
        rows.append((name(each.load), rate, errors, "response", *_times(each.response.percentiles), mark))
        if each.load.rate is not None:
            rows.append(("", "", "", "service", *_times(each.service.percentiles), ""))
        if each.refused.count:
            rows.append(("", "", "", "refused", *_times(each.refused.percentiles), ""))
    return rows


def remarks(report: Report) -> Iterator[str]:
    """Say in sentences what the table cannot."""
    outcome = report.outcome
    for each in outcome.measurements:
        for kind, count in each.errors.items():
            yield f"{name(each.load)}: {count} x {kind}, such as: {each.examples[kind]}"
        # A search goes to where the generator ends: the table marks it, and the verdict says it.
        if outcome.verdict is None:
            yield from (f"{name(each.load)} is client-limited: {limit}" for limit in each.client_limits)
    yield from report.notes
    if outcome.verdict is not None:
        yield _found(outcome, report.wanted)
    elif report.wanted and report.ok:
        yield f"met: {', '.join(each.text for each in report.wanted)}"
    for text in outcome.shortcomings:
        yield f"not met: {text}"
    suggestion = report.suggestion
    if suggestion is not None:
        yield (
            f"for {suggestion.rate:g} requests/s: {suggestion.replicas} servers like this one, "
            f"each used to {suggestion.used_share:.0%} of {suggestion.capacity:.0f} requests/s"
        )


def _found(outcome: Outcome, wanted: Sequence[Objective]) -> str:
    verdict, texts = outcome.verdict, ", ".join(each.text for each in wanted)
    if verdict is None or verdict.rate is None:
        return f"found: no rate that meets {texts}"
    confirmed = "confirmed" if verdict.confirmed else "not confirmed: the figures vary too much, so measure longer"
    limited = "; client-limited: the server may do more" if outcome.limited else ""
    return f"found: {verdict.rate:.1f} requests/s meets {texts} ({confirmed}{limited})"


def _times(percentiles: Any) -> Iterator[str]:
    return ("-" if percentiles[each] is None else f"{percentiles[each] * 1000:.3f}" for each in PERCENTILES)
