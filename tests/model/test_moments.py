"""Moments as texts: every day and fraction there and back, and nothing that has two meanings."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.model.moments import NAT, as_texts, counted, written
from septet.model.signature import DTYPES, Column

UNITS = [name for name in DTYPES if name.startswith("datetime64")]
LOCAL = {name: Column("t", name) for name in UNITS}
ZONED = {name: Column("t", name, timezone="Europe/Berlin") for name in UNITS}
DATE = Column("t", "datetime64[s]", pandas_dtype="date")
WITHIN_NS = st.datetimes(dt.datetime.fromisoformat("1678-01-01"), dt.datetime.fromisoformat("2262-01-01"))


@given(st.sampled_from(UNITS), WITHIN_NS)
@settings(deadline=None)
def test_what_is_written_is_read_as_the_same_moment(name: str, moment: dt.datetime) -> None:
    held = np.datetime64(moment, "us").astype(DTYPES[name])
    for column in (LOCAL[name], ZONED[name]):
        text = written(held, column)
        assert text is not None
        assert counted(text, column) == int(held.astype(np.int64))
        assert text.endswith("Z") == (column.timezone is not None)


@given(WITHIN_NS, st.integers(-23 * 60 - 59, 23 * 60 + 59))
@settings(deadline=None)
def test_an_offset_is_counted_as_the_standard_library_counts_it(moment: dt.datetime, minutes: int) -> None:
    aware = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    expected = np.datetime64(aware.astimezone(dt.UTC).replace(tzinfo=None), "us")
    assert counted(aware.isoformat(), ZONED["datetime64[us]"]) == int(expected.astype(np.int64))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-01T00:01", 60),
        ("1970-01-01 00:00:07", 7),
        ("1970-01-01t00:00:07", 7),
        ("1970-01-01T00:00:07.000", 7),
        ("1969-12-31T23:59:59", -1),
        ("0001-01-01", -62_135_596_800),
        ("9999-12-31T23:59:59", 253_402_300_799),
    ],
)
def test_a_moment_without_a_zone_is_counted_from_1970(text: str, seconds: int) -> None:
    assert counted(text, LOCAL["datetime64[s]"]) == seconds


@pytest.mark.parametrize("text", ["1970-01-01T01:00:00+01:00", "1970-01-01 01:00+0100", "1969-12-31T19:00:00-05:00"])
def test_an_offset_may_be_written_with_or_without_its_colon(text: str) -> None:
    assert counted(text, ZONED["datetime64[s]"]) == 0


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("2026-01-31T12:00:00Z", LOCAL["datetime64[s]"], "without an offset"),
        ("2026-01-31T12:00:00", ZONED["datetime64[s]"], "with its offset"),
        ("2026-01-31", ZONED["datetime64[s]"], "with its offset"),
        ("2026-02-29", LOCAL["datetime64[s]"], "there is no such day"),
        ("2026-13-01", LOCAL["datetime64[s]"], "there is no such day"),
        ("0000-01-01", LOCAL["datetime64[s]"], "there is no such day"),
        ("2026-01-31T24:00:00", LOCAL["datetime64[s]"], "there is no such time"),
        ("2026-01-31T23:59:60", LOCAL["datetime64[s]"], "there is no such time"),
        ("2026-01-31T23:60", LOCAL["datetime64[s]"], "there is no such time"),
        ("2026-01-31T12:00:00+24:00", ZONED["datetime64[s]"], "there is no such time"),
        ("2026-01-31T12:00:00.5", LOCAL["datetime64[s]"], "no finer than a unit of s"),
        ("2026-01-31T12:00:00.0001", LOCAL["datetime64[ms]"], "no finer than a unit of ms"),
        ("2026-01-31T12:00:00.0000000001", LOCAL["datetime64[ns]"], "no finer than a unit of ns"),
        ("2300-01-01", LOCAL["datetime64[ns]"], "1677-09-22 to 2262-04-11"),
        ("1600-01-01", LOCAL["datetime64[ns]"], "1677-09-22 to 2262-04-11"),
        ("2026-01-31T12:00:00", DATE, "a date as ISO 8601 has it, such as 2026-01-31, without a time of day"),
        ("31.01.2026", LOCAL["datetime64[s]"], "ISO 8601"),
        ("01/02/2026", LOCAL["datetime64[s]"], "ISO 8601"),
        ("20260131", LOCAL["datetime64[s]"], "ISO 8601"),
        ("2026-W05-6", LOCAL["datetime64[s]"], "ISO 8601"),
        ("2026-01", LOCAL["datetime64[s]"], "ISO 8601"),
        ("2026-01-31T12", LOCAL["datetime64[s]"], "ISO 8601"),
        ("2026-01-31\n", LOCAL["datetime64[s]"], "ISO 8601"),
        ("٢٠٢٦-01-31", LOCAL["datetime64[s]"], "ISO 8601"),
        ("now", LOCAL["datetime64[s]"], "ISO 8601"),
        ("", LOCAL["datetime64[s]"], "ISO 8601"),
    ],
)
def test_a_text_with_two_meanings_or_none_is_refused(text: str, column: Column, message: str) -> None:
    with pytest.raises(ValueError, match=r"ISO 8601|datetime64") as caught:
        counted(text, column)
    assert message in str(caught.value)


def test_a_date_is_written_without_a_time_and_a_missing_moment_as_none() -> None:
    moments = np.array(["2026-01-31", "NaT"], "datetime64[s]")
    assert as_texts(moments, (DATE,)).tolist() == ["2026-01-31", None]
    assert as_texts(moments, (LOCAL["datetime64[s]"],)).tolist() == ["2026-01-31T00:00:00", None]
    assert written(np.datetime64("2026-01-31T12:00:00.250000000"), ZONED["datetime64[ns]"]) == "2026-01-31T12:00:00.25Z"
    assert np.datetime64("NaT", "s").astype(np.int64) == NAT
