"""The engine that is served is the cheaper one."""

from pathlib import Path

import numpy as np
import pytest

from septet.model.manifest import EngineCost
from septet.packing.measurement import cheaper
from tests.packing.saving import save

pytest.importorskip("skl2onnx")

from sklearn.neighbors import KNeighborsRegressor

GIBIBYTE = 1 << 30


def costs(one: float, some: float, large: float, memory: int = 0) -> tuple[EngineCost, ...]:
    return EngineCost(1, one, 0), EngineCost(64, some, 0), EngineCost(10_000, large, memory)


@pytest.mark.parametrize(
    ("onnx", "native", "chosen"),
    [
        # A small model.
        (costs(1e-5, 3e-5, 1e-3), costs(5e-4, 6e-4, 1e-2), "onnx"),
        # Equal, and a little dearer.
        (costs(1e-3, 1e-3, 1e-3), costs(1e-3, 1e-3, 1e-3), "onnx"),
        (costs(1.4e-3, 1.4e-3, 1.4e-3), costs(1e-3, 1e-3, 1e-3), "onnx"),
        (costs(1.6e-3, 1.6e-3, 1.6e-3), costs(1e-3, 1e-3, 1e-3), "sklearn"),
        # Neighbours among many rows.
        (costs(0.574, 6.0, 900.0), costs(7e-4, 5e-3, 0.5), "sklearn"),
        (costs(0.574, 0.6, 20.0), costs(7e-4, 5e-3, 0.5), "sklearn"),
        # One row is far cheaper, a large request dearer: an encoder of 20,000 categories.
        (costs(2.1e-4, 8e-3, 1.21, int(1.4 * GIBIBYTE)), costs(31e-3, 31e-3, 38e-3), "onnx"),
        # One row is a little cheaper, a large request far dearer.
        (costs(5e-4, 2e-2, 5.0), costs(1e-3, 2e-3, 0.1), "sklearn"),
        # The native model is the slow one in large requests.
        (costs(2e-3, 1e-2, 0.1), costs(1e-3, 1e-2, 9.0), "onnx"),
        # Bounds that no mean outweighs, unless both engines are beyond them.
        (costs(1e-5, 1e-4, 31.0), costs(31e-3, 31e-3, 29.0), "sklearn"),
        (costs(1e-5, 1e-4, 31.0), costs(31e-3, 31e-3, 60.0), "onnx"),
        (costs(1e-5, 1e-4, 0.1, 5 * GIBIBYTE), costs(1e-3, 1e-3, 0.1), "sklearn"),
        (costs(1e-5, 1e-4, 0.1, 5 * GIBIBYTE), costs(1e-3, 1e-3, 0.1, 9 * GIBIBYTE), "onnx"),
    ],
)
def test_the_mean_of_three_sizes_decides_within_bounds(
    onnx: tuple[EngineCost, ...], native: tuple[EngineCost, ...], chosen: str
) -> None:
    assert cheaper(onnx, native)[0] == chosen


def test_the_reason_names_the_figures() -> None:
    assert cheaper(costs(1e-5, 1e-4, 1e-3), costs(2e-5, 2e-4, 2e-3))[1] == (
        "1, 64 and 10000 rows take 10 us, 100 us and 1 ms with ONNX and 20 us, 200 us and 2 ms natively, "
        "0.5 times as long in the mean"
    )
    assert cheaper(costs(1e-5, 1e-4, 31.0), costs(1e-3, 1e-3, 0.1))[1] == (
        "10000 rows take about 100 ms natively and 31 s with ONNX"
    )
    assert cheaper(costs(1e-5, 1e-4, 0.1, 5 * GIBIBYTE), costs(1e-3, 1e-3, 0.1, GIBIBYTE))[1] == (
        "10000 rows take about 1024 MiB natively and 5120 MiB with ONNX"
    )


def test_what_was_measured_of_fewer_rows_counts_for_as_many() -> None:
    few = (EngineCost(1, 1e-5, 0), EngineCost(64, 0.3, 0))
    assert cheaper(few, costs(1e-3, 1e-3, 1.0))[0] == "sklearn"


def test_neighbours_among_many_rows_stay_native(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40_000, 4))
    model = KNeighborsRegressor(3).fit(rows, rows[:, 0])
    saved = save(model, tmp_path / "near", data=rows[:200])
    engine = saved.package.manifest.engine
    assert engine is not None
    assert (saved.package.manifest.runtime, engine.chosen) == ("sklearn", "sklearn")
    assert engine.onnx[0].seconds > engine.native[0].seconds
    assert saved.fallback == engine.reason


def test_a_dear_model_is_better_than_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise TypeError("nothing of this kind")

    import joblib
    import skops.io

    monkeypatch.setattr(skops.io, "dump", refused)
    monkeypatch.setattr(joblib, "dump", refused)
    rows = np.random.default_rng(0).normal(size=(4_000, 2))
    model = KNeighborsRegressor(1).fit(rows, np.zeros(4_000))
    saved = save(model, tmp_path / "near", data=rows[:50])
    engine = saved.package.manifest.engine
    assert engine is not None
    assert (saved.package.manifest.runtime, engine.chosen) == ("onnx", "onnx")
    assert "cannot be stored" in engine.reason
