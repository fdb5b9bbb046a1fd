"""The shipped models of examples/ answer as their own artefact does."""

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from septet.assembly import open_service
from septet.model.sample import sample
from septet.runtimes.base import LoadOptions
from septet.runtimes.engine_table import engine_for
from septet.settings import Settings
from septet.types import Array, Tensors
from tests.oracle.answers import OTHERS, answered, difference

ROOT = Path(__file__).parents[2] / "examples"
SHIPPED = ["iris", "bare/iris_svc.onnx"]
ASKED = 16


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
