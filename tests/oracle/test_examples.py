"""The models of examples/ answer as they do in Python, and those that are shipped as their own artefact does."""

import asyncio
import os
import random
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import septet
from septet.assembly import open_service
from septet.model.sample import sample
from septet.runtimes.base import LoadOptions
from septet.runtimes.engine_table import engine_for
from septet.settings import Settings
from septet.types import Array, Tensors
from tests.oracle.answers import OTHERS, answered, difference, examined
from tests.oracle.estimators import Fitted
from tests.oracle.frames import Frame
from tests.packing.saving import save

ROOT = Path(__file__).parents[2] / "examples"
TRAINED = ["breast_cancer", "diabetes", "iris", "mixed", "wine"]
if "ORACLE_TURNS" in os.environ:  # it takes long to train
    TRAINED.append("digits")
SHIPPED = ["iris", "bare/iris_svc.onnx"]
ASKED = 16


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What an example gives to `septet.save`."""
    caught = SimpleNamespace()

    def caught_save(model: Any, path: Any, *, data: Any, **more: Any) -> Any:
        caught.model, caught.data = model, data
        return save(model, path, data=data, **more)

    monkeypatch.setattr(septet, "save", caught_save)
    monkeypatch.syspath_prepend(str(ROOT))
    return caught


@pytest.mark.parametrize("name", TRAINED)
def test_an_example_answers_as_its_model_does(name: str, given: SimpleNamespace, tmp_path: Path) -> None:
    import_module(name).train(tmp_path / name)
    rows = given.data
    asked = rows.iloc[-ASKED:].reset_index(drop=True) if hasattr(rows, "iloc") else rows[-ASKED:]
    found = examined(Fitted(name, given.model, Frame("example", rows, asked), name))
    assert not found, "\n".join(f"{finding.kind}: {finding.what[:500]}" for finding in found)


def varied(tensors: Tensors, rows: int) -> list[Tensors]:
    """Rows like a sample, some of them extreme."""
    rng = np.random.default_rng(0)
    scales = [1.0, 1e-3, 1e6, -1e6, *rng.normal(size=rows - 4) * 4]
    return [{name: (array * scale).astype(array.dtype) for name, array in tensors.items()} for scale in scales]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_answers_as_its_artefact_by_itself(name: str) -> None:
    path = ROOT / name
    service = open_service(path, Settings())
    artefact = path if path.is_file() else path / service.manifest.artefact
    runtime = engine_for(artefact).load(artefact, LoadOptions())
    rows = varied(service.sample or sample(service.signature), ASKED)
    alone = [runtime.run(row) for row in rows]

    async def story() -> list[tuple[int, dict[str, Array]]]:
        rng = random.Random(0)
        places = [rng.randrange(ASKED) for _ in range(OTHERS + 1)]
        answers = await asyncio.gather(*(answered(service, rows[place], 1) for place in places))
        return list(zip(places, answers, strict=True))

    for place, got in asyncio.run(story()):
        for output, native in alone[place].items():
            assert difference(got[output], native, exact=False) is None, (place, output)
