"""A chart of a report as SVG: no scripts, no fonts and no files from elsewhere, readable in light and dark."""

import math
from collections.abc import Sequence
from html import escape

import msgspec

from septet.bench.campaign import name
from septet.bench.load_measurement import Measurement

WIDTH, HEIGHT = 760, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 40, 56, 60
_SHOWN = ("p50", "p95", "p99")
_STYLE = """
svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#222}
.h{fill:#fff}.grid{stroke:#ddd}.axis{stroke:#888}.s{fill:none;stroke-width:2}
.c0{stroke:#1b6ac9}.c1{stroke:#b45f06}.c2{stroke:#b3203a}.t0{fill:#1b6ac9}.t1{fill:#b45f06}.t2{fill:#b3203a}
@media(prefers-color-scheme:dark){svg{background:#16181c}text{fill:#e6e6e6}.h{fill:#16181c}.grid{stroke:#333a44}.axis{stroke:#7b8794}
.c0{stroke:#6cb0ff}.c1{stroke:#f0a657}.c2{stroke:#ff7f8f}.t0{fill:#6cb0ff}.t1{fill:#f0a657}.t2{fill:#ff7f8f}}
"""


class Series(msgspec.Struct, frozen=True):
    """A line: its name, and its points as (x, seconds)."""

    name: str
    points: tuple[tuple[float, float], ...]


def svg(measurements: Sequence[Measurement], title: str) -> str:
    """Draw response times against the rate; of a single load, against the share of requests that took no longer."""
    open_loops = sorted((each for each in measurements if each.load.rate is not None), key=_rate)
    if len(open_loops) > 1:
        lines = tuple(_against_rate(open_loops, shown) for shown in _SHOWN)
        top = max(_rate(each) for each in open_loops)
        marks = [(value, f"{value:g}") for value in _steps(top)]
        limited = frozenset(_rate(each) for each in open_loops if each.client_limits)
        note = " (hollow: client-limited)" if limited else ""
        return _drawn(lines, marks, (title, f"requests per second that were due{note}"), limited)
    each = measurements[-1]
    line = Series(f"response time, {name(each.load)}", tuple(_distribution(each)))
    shares = (0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999)
    marks = [(_nines(share), f"{share:.5g}") for share in shares if _nines(share) <= _most(line, 0) + 1]
    note = " (client-limited)" if each.client_limits else ""
    return _drawn((line,), marks, (title, f"share of requests that took no longer{note}"))


def html(drawing: str, title: str) -> str:
    """Put a drawing on a page."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="color-scheme" content="light dark">'
        f"<style>body{{margin:2rem;max-width:60rem}}svg{{width:100%;height:auto}}</style>{drawing}</html>\n"
    )


def _against_rate(measurements: Sequence[Measurement], shown: str) -> Series:
    times = ((_rate(each), each.response.percentiles[shown]) for each in measurements)
    return Series(shown, tuple((rate, seconds) for rate, seconds in times if seconds))


def _distribution(measurement: Measurement) -> list[tuple[float, float]]:
    total, below, points = measurement.response.count, 0, []
    for bound, count in measurement.histogram:
        points.append((_nines(below / total), bound))
        below += count
        points.append((_nines(min(below, total - 0.5) / total), bound))
    return points


def _nines(share: float) -> float:
    """Place a share where each nine of it (0.9, 0.99, ...) takes the same room."""
    return -math.log10(1 - share)


def _rate(measurement: Measurement) -> float:
    return measurement.load.rate or 0.0


def _most(line: Series, axis: int) -> float:
    return max((point[axis] for point in line.points), default=1.0)


def _drawn(
    lines: Sequence[Series],
    marks: Sequence[tuple[float, str]],
    texts: tuple[str, str],
    hollow: frozenset[float] = frozenset(),
) -> str:
    title, along = texts
    seconds = [point[1] for line in lines for point in line.points] or [1e-3]
    low, high = math.floor(math.log10(min(seconds))), math.ceil(math.log10(max(seconds)))
    high = max(high, low + 1)
    right = max([*(_most(line, 0) for line in lines), *(value for value, _ in marks)]) or 1.0

    def across(value: float) -> str:
        return f"{_LEFT + value / right * (WIDTH - _LEFT - _RIGHT):.1f}"

    def up(value: float) -> str:
        return f"{HEIGHT - _BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        y = up(10.0**power)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y}" dy="4" text-anchor="end">{_duration(power)}</text>')
    for value, text in marks:
        x, foot = across(value), HEIGHT - _BOTTOM
        parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{foot}" y2="{foot + 5}"/>')
        parts.append(f'<text x="{x}" y="{foot + 20}" text-anchor="middle">{escape(text)}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(along)}</text>')
    for at, line in enumerate(lines):
        points = " ".join(f"{across(x)},{up(y)}" for x, y in line.points)
        parts.append(f'<polyline class="s c{at}" points="{points}"/>')
        if len(line.points) and len(lines) > 1:
            parts += [
                f'<circle class="{f"h c{at}" if x in hollow else f"t{at}"}" cx="{across(x)}" cy="{up(y)}" r="3.5"/>'
                for x, y in line.points
            ]
        parts.append(f'<text class="t{at}" x="{_LEFT + 90 * at}" y="42">{escape(line.name)}</text>')
    return "".join([*parts, "</svg>\n"])


def _duration(power: int) -> str:
    value = 10.0**power
    if value >= 1:
        return f"{value:g} s"
    return f"{value * 1000:g} ms" if value >= 1e-3 else f"{value * 1e6:g} us"  # noqa: PLR2004 - a millisecond


def _steps(top: float) -> list[float]:
    size = 10.0 ** math.floor(math.log10(top))
    size = next(size * part for part in (0.1, 0.2, 0.5, 1.0, 2.0) if top / (size * part) <= 8)  # noqa: PLR2004 - fits
    return [size * at for at in range(int(top / size) + 1)]
