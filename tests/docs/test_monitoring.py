"""The table of metrics is what a server exposes, and the table of log fields is what a log line may have."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

import septet
from septet.monitoring.job_metrics import StoreReading
from septet.monitoring.log import FIELDS
from septet.monitoring.metrics import ModelFacts, exposition
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics
from septet.queues.memory_store import MemoryStore
from septet.types import Identity

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "monitoring.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")]
METRICS = {row[0].strip("`"): (row[1], set(re.findall(r"\w+", row[2]))) for row in ROWS if "septet_" in row[0]}
#: Metrics of a model whose package states the age of its training data.
DATED = {"septet_model_data_age_days", "septet_model_stale"}
#: Metrics of a server that accepts jobs.
OF_JOBS = {name for name in METRICS if name.startswith("septet_job")}
KEY = "key-of-the-reader-1"


def exposed(page: str) -> dict[str, tuple[str, set[str]]]:
    """Every metric of a page with its type and the labels that its samples have, those of the format left out."""
    return {name_of(family): (family.type, labels_of(family)) for family in text_string_to_metric_families(page)}


def name_of(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def labels_of(family: Metric) -> set[str]:
    return {name for sample in family.samples for name in sample.labels if name != "le"}


async def scraped() -> str:
    transport = httpx.ASGITransport(app=septet.asgi(ROOT / "examples" / "iris", api_keys=[f"reader={KEY}"]))
    headers = {"x-api-key": KEY}
    async with httpx.AsyncClient(transport=transport, base_url="http://septet", headers=headers) as client:
        answer = await client.post("/predict", json={"data": [[5.1, 3.5, 1.4, 0.2]]})
        assert answer.status_code == 200
        await asyncio.sleep(0)  # requests are counted at the end of the event loop's turn
        return (await client.get("/metrics")).text


def test_the_table_has_every_metric_of_a_server_with_its_type_and_labels() -> None:
    page = exposed(asyncio.run(scraped()))
    assert {name: METRICS.get(name) for name in page} == page
    assert METRICS.keys() - page.keys() <= DATED | OF_JOBS


@pytest.mark.parametrize("name", sorted(DATED))
def test_the_metrics_of_dated_training_data_are_in_the_table(name: str) -> None:
    facts = ModelFacts(Identity("iris", "1", "sha256:0"), "onnx", "classifier", data_age_days=40.0, freshness="warn")
    page, _ = exposition(SharedMetrics(MetricsLayout([], [])).snapshot(), ["iris"], [facts], None)
    assert exposed(page.decode())[name] == METRICS[name]


def test_the_metrics_of_jobs_are_in_the_table() -> None:
    snapshot = SharedMetrics(MetricsLayout([], [])).snapshot()
    reading = StoreReading(MemoryStore().stats(0.0), 0.0)
    page = exposed(exposition(snapshot, ["iris"], [], None, jobs=reading)[0].decode())
    assert {name: page[name] for name in page if name.startswith("septet_job")} == {
        name: METRICS[name] for name in OF_JOBS
    }


def test_the_table_of_log_fields_has_every_field() -> None:
    table = TEXT.partition("| field |")[2].partition("\n\n")[0]
    names = [name for line in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split(" | ")[0])]
    assert sorted(names) == sorted(FIELDS)
