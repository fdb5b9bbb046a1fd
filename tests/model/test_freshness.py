import datetime as dt

import pytest

from septet.model.freshness import freshness
from septet.model.manifest import Data, Manifest, Training
from septet.model.signature import Kind, Signature

NOW = dt.datetime(2026, 6, 30, 12, tzinfo=dt.UTC)


def manifest(
    until: dt.date | None = None, trained_at: dt.datetime | None = None, valid_for_days: int | None = None
) -> Manifest:
    training = Training(trained_at=trained_at, data=Data(until=until))
    signature = Signature(Kind.TENSORS, (), ())
    return Manifest("m", "1", "onnx", "m.onnx", signature, training=training, valid_for_days=valid_for_days)


@pytest.mark.parametrize(
    ("days", "state"), [(0, "fresh"), (31, "fresh"), (32, "warn"), (90, "warn"), (91, "error"), (-1, "fresh")]
)
def test_age_counts_from_the_end_of_the_data(days: int, state: str) -> None:
    verdict = freshness(manifest(until=NOW.date() - dt.timedelta(days=days), trained_at=NOW), NOW)
    assert (verdict.state, verdict.age_days) == (state, max(days, 0))


def test_age_counts_from_training_where_the_window_is_not_known() -> None:
    evening = dt.datetime(2026, 5, 20, 23, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    verdict = freshness(manifest(trained_at=evening), NOW)
    assert (verdict.state, verdict.age_days) == ("warn", 40)
    assert verdict.message == (
        "the model was trained on 2026-05-21, 40 days ago; more than 31 days is old: plan to train it again"
    )


def test_times_without_a_zone_and_dates_are_taken_as_utc() -> None:
    naive = dt.datetime(2026, 6, 29, 23)  # noqa: DTZ001 - TOML may hold it
    assert freshness(manifest(trained_at=naive), dt.date(2026, 6, 30)).message.endswith("1 day ago")


def test_validity_takes_the_place_of_the_limits() -> None:
    until = NOW.date() - dt.timedelta(days=40)
    assert freshness(manifest(until=until, valid_for_days=39), NOW).state == "error"
    verdict = freshness(manifest(until=until, valid_for_days=40), NOW)
    assert verdict.state == "fresh"
    assert "valid for 40 days" in verdict.message


def test_limits_can_be_given() -> None:
    model = manifest(until=NOW.date() - dt.timedelta(days=5))
    assert freshness(model, NOW, warn_days=4).state == "warn"
    assert freshness(model, NOW, warn_days=1, error_days=4).state == "error"


def test_a_window_in_the_future_is_a_warning() -> None:
    verdict = freshness(manifest(until=dt.date(2027, 1, 1)), NOW)
    assert verdict.state == "warn"
    assert "in the future" in verdict.message


def test_a_model_without_dates_is_of_unknown_age() -> None:
    verdict = freshness(manifest(), NOW)
    assert (verdict.state, verdict.age_days) == ("unknown", None)
