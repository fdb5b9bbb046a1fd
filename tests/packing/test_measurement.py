"""The engine that is served is the cheaper one."""

from pathlib import Path

import numpy as np
import pytest

from septet.model.manifest import Cost
from septet.packing.measurement import cheaper
from septet.packing.save import save

pytest.importorskip("skl2onnx")

from sklearn.neighbors import KNeighborsRegressor

MEBIBYTE = 1 << 20


def costs(one: float, large: float = 1e-3, memory: int = 0) -> tuple[Cost, ...]:
    return Cost(1, one, 0), Cost(64, one, 0), Cost(10_000, large, memory)


def test_a_row_decides_and_ties_go_to_onnx() -> None:
    assert cheaper(costs(1e-5), costs(5e-4))[0] == "onnx"
    assert cheaper(costs(1e-3), costs(9e-4))[0] == "onnx"
    chosen, reason = cheaper(costs(5e-1), costs(7e-4))
    assert chosen == "sklearn"
    assert reason == "one row takes 700 us natively and 500 ms with ONNX"


def test_a_large_request_overrules_where_time_or_memory_explodes() -> None:
    chosen, reason = cheaper(costs(1e-5, 20.0), costs(1e-3, 0.1))
    assert (chosen, reason) == ("sklearn", "10000 rows take about 100 ms natively and 20 s with ONNX")
    assert cheaper(costs(1e-5, 0.9), costs(1e-3, 1e-3))[0] == "onnx"
    chosen, reason = cheaper(costs(1e-5, memory=4096 * MEBIBYTE), costs(1e-3, memory=64 * MEBIBYTE))
    assert (chosen, reason) == ("sklearn", "10000 rows take about 64 MiB natively and 4096 MiB with ONNX")


def test_what_was_measured_of_fewer_rows_counts_for_as_many() -> None:
    few = (Cost(1, 1e-5, 0), Cost(64, 0.1, 200 * MEBIBYTE))
    assert cheaper(few, costs(1e-3))[0] == "sklearn"


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
    rows = np.random.default_rng(0).normal(size=(40_000, 2))
    model = KNeighborsRegressor(1).fit(rows, np.zeros(40_000))
    saved = save(model, tmp_path / "near", data=rows[:50])
    engine = saved.package.manifest.engine
    assert engine is not None
    assert (saved.package.manifest.runtime, engine.chosen) == ("onnx", "onnx")
    assert "cannot be stored" in engine.reason
