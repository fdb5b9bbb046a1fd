"""Campaigns, reports and charts of measurements that are made up."""

import datetime as dt
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from septet.bench import chart
from septet.bench.campaign import Outcome, find_rate, run_all
from septet.bench.load import Load, LoadPlan, Payload, Target
from septet.bench.load_measurement import Measurement
from septet.bench.machine import machine
from septet.bench.objective import objectives
from septet.bench.report import Report, document, remarks, table
from septet.bench.sizing import sizing
from tests.bench.test_load_measurement import summed

NOW = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
CAPACITY = 700.0


def server(load: Load, *, limited_above: float = 1e9) -> Measurement:
    """A server that answers in 10 ms up to its capacity, and in a second beyond."""
    rate = CAPACITY if load.rate is None else load.rate
    late = rate > limited_above
    found = summed(*[1.0 if late or rate > CAPACITY else 0.01] * 10, lag=1.0 if late else 0.0)
    return msgspec.structs.replace(found, load=load, throughput=min(rate, CAPACITY))


def reported(outcome: Outcome, *wanted: str, for_rate: float | None = None) -> Report:
    return Report(
        server={"name": "iris", "url": "http://x"},
        machine=machine(),
        plan=LoadPlan(Target("x", 80, "x"), (Payload(b"", 3), Payload(b"", 5))),
        processes=1,
        outcome=outcome,
        wanted=objectives(wanted),
        suggestion=None if for_rate is None else sizing(for_rate, CAPACITY),
        notes=("a note",),
    )


def words(report: Report) -> str:
    return "\n".join(remarks(report))


def test_the_search_finds_the_capacity_from_a_probe_and_confirms_it() -> None:
    outcome = find_rate(Load(4, 10.0), server, objectives(["p99<20ms"]))
    assert outcome.verdict is not None
    assert outcome.verdict.rate is not None
    assert CAPACITY / 1.05 <= outcome.verdict.rate <= CAPACITY
    assert outcome.measurements[0].load == Load(4, 2.0)
    report = reported(outcome, "p99<20ms", for_rate=2000)
    assert report.ok
    assert "(confirmed)" in words(report)
    assert "5 servers like this one" in words(report)


def test_a_search_that_the_generator_ends_says_so() -> None:
    wanted = objectives(["p99<20ms"])
    outcome = find_rate(Load(4, 10.0, rate=100.0), lambda load: server(load, limited_above=300), wanted)
    report = reported(outcome, "p99<20ms")
    assert outcome.limited
    assert "the server may do more" in words(report)
    assert document(report, NOW)["client_limited"] is True


def test_a_search_without_a_result_is_not_well() -> None:
    report = reported(find_rate(Load(4, 10.0), server, objectives(["p99<1ms"])), "p99<1ms")
    assert not report.ok
    assert "no rate that meets p99<1ms" in words(report)


def test_a_load_within_its_objectives_is_well() -> None:
    report = reported(run_all([Load(4, 1.0, rate=500.0)], server, objectives(["p99<20ms"])), "p99<20ms")
    assert report.ok
    assert "met: p99<20ms, errors<0.1%" in words(report)


def test_a_load_beyond_them_is_not_and_is_named() -> None:
    report = reported(run_all([Load(4, 1.0, rate=900.0)], server, objectives(["p99<20ms"])), "p99<20ms")
    assert not report.ok
    assert "not met: 900/s: p99<20ms: 1000.000 ms" in words(report)


def test_the_table_has_both_times_of_an_open_loop_and_one_of_a_closed() -> None:
    rows = table([server(Load(4, 1.0)), server(Load(4, 1.0, rate=500.0)), summed(failed=1)])
    assert [row[0] for row in rows] == ["load", "4 connections", "500/s", "", "10/s", ""]
    assert [row[3] for row in rows[1:]] == ["response", "response", "service", "response", "service"]
    assert rows[4][4] == "-"


def test_errors_and_limits_are_told_with_an_example() -> None:
    report = reported(Outcome((summed(0.1, failed=2, cpu_share=0.99),)))
    assert "10/s: 2 x status 503, such as: busy 0" in words(report)
    assert "client-limited" in words(report)
    assert "a note" in words(report)


def test_the_document_is_json_and_names_what_figures_need() -> None:
    report = reported(run_all([Load(4, 1.0, rate=500.0)], server, ()), for_rate=10)
    found = json.loads(msgspec.json.encode(document(report, NOW)))
    assert found["taken"] == "2026-11-25T00:00:00+00:00"
    assert found["requests"] == {"different": 2, "body_bytes": {"least": 3, "most": 5}}
    assert found["machine"]["cpu"]
    assert found["machine"]["versions"]["septet"]
    assert found["measurements"][0]["response"]["percentiles"]["p99"] == 0.01
    assert found["suggestion"]["replicas"] == 1


def test_a_server_that_answers_nothing_is_not_sized() -> None:
    assert sizing(100, 0.0) is None


def test_the_machine_is_named_where_the_system_does_not_name_its_processor(tmp_path: Path) -> None:
    assert machine(tmp_path / "none").cpu


@pytest.mark.parametrize("rates", [[None], [5.0], [0.5, 7.0, 3000.0]])
def test_a_chart_is_well_formed_and_needs_nothing_from_elsewhere(rates: list[float | None]) -> None:
    drawing = chart.svg([server(Load(4, 1.0, rate=rate)) for rate in rates], "iris <&> co")
    root = ET.fromstring(drawing)
    lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == (3 if len(rates) > 1 else 1)
    assert "prefers-color-scheme:dark" in drawing
    assert drawing.count("http") == 1
    assert "<script" not in drawing
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = (float(each) for each in point.split(","))
            assert 0 <= x <= chart.WIDTH
            assert 0 <= y <= chart.HEIGHT


def test_a_chart_of_nothing_is_drawn_empty() -> None:
    assert ET.fromstring(chart.svg([summed()], "nothing")) is not None


def test_a_chart_from_seconds_to_microseconds_names_its_units() -> None:
    found = chart.svg([summed(2e-5, 0.02, 2.0)], "wide")
    assert all(unit in found for unit in ("10 us", "10 ms", "10 s"))


def test_a_chart_marks_what_the_client_limits() -> None:
    many = [server(Load(4, 1.0, rate=rate), limited_above=300) for rate in (100.0, 600.0)]
    drawing = chart.svg(many, "limited")
    assert drawing.count('class="h c') == 3
    assert "hollow: client-limited" in drawing
    assert "(client-limited)" in chart.svg(many[1:], "limited")


def test_a_page_holds_the_chart() -> None:
    page = chart.html("<svg/>", "a & b")
    assert "<svg/>" in page
    assert "<title>a &amp; b</title>" in page
