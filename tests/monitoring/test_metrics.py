import subprocess
import sys
from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from septet.events import Finished
from septet.monitoring.metrics import ModelFacts, exposition
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import MetricsSnapshot, SharedMetrics
from septet.types import Identity

MODEL = ModelFacts(Identity("iris", "1", "sha256:00"), runtime="onnx", kind="classifier")
DATED = ModelFacts(MODEL.identity, "onnx", "classifier", data_age_days=40.5, freshness="warn")


def counted() -> MetricsSnapshot:
    shared_metrics = SharedMetrics(
        MetricsLayout(["/predict", "/health"], ["ok", "invalid"], model_routes=["/predict"]), slots=2
    )
    for slot in range(2):
        counts = shared_metrics.claim(slot)
        counts.count_models(["iris"])
        counts.loaded(load_seconds=0.1 + slot, startup_seconds=0.2 + slot)
        counts.turned(1, ())
        counts.turned(1, ())
        counts.turned(
            0,
            [
                Finished(
                    "/predict", "id", "ok", 200, 4, 0.002, 0.125, 0.5, 0.25, 0.0625, batch_rows=8, model=MODEL.identity
                )
            ],
        )
    shared_metrics.restarted()
    return shared_metrics.snapshot()


def samples(families: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def page(model: ModelFacts = MODEL) -> dict[tuple[str, ...], float]:
    body, _ = exposition(counted(), ["iris"], [model], accept=None)
    return samples(text_string_to_metric_families(body.decode()))


def test_counters_and_gauges_of_all_workers_are_on_the_page() -> None:
    values = page()

    assert values["septet_requests_total", "ok", "iris", "/predict"] == 2
    assert values["septet_requests_total", "ok", "", "/health"] == 0
    assert values["septet_rows_total", "iris"] == 8
    assert values["septet_decode_seconds_total", "iris"] == 0.25
    assert values["septet_queue_seconds_total", "iris"] == 1
    assert values["septet_run_seconds_total", "iris"] == 0.5
    assert values["septet_encode_seconds_total", "iris"] == 0.125
    assert values["septet_executions_total", "iris"] == 1  # two workers' runs of 8 rows, of which 4 each were seen
    assert values["septet_in_flight",] == 2
    assert values["septet_workers",] == 2
    assert values["septet_workers_ready",] == 2
    assert values["septet_worker_restarts_total",] == 1
    assert values["septet_model_load_seconds",] == 1.1
    assert values["septet_startup_seconds",] == 1.2


def test_histograms_are_cumulative() -> None:
    values = page()

    assert values["septet_request_seconds_bucket", "0.001", "iris", "/predict"] == 0
    assert values["septet_request_seconds_bucket", "0.0025", "iris", "/predict"] == 2
    assert values["septet_request_seconds_bucket", "+Inf", "iris", "/predict"] == 2
    assert values["septet_request_seconds_count", "iris", "/predict"] == 2
    assert values["septet_request_seconds_sum", "iris", "/predict"] == 0.004
    assert values["septet_batch_rows_bucket", "4.0", "iris"] == 0
    assert values["septet_batch_rows_bucket", "8.0", "iris"] == 2
    assert values["septet_batch_rows_sum", "iris"] == 16


def test_codes_that_never_happened_are_left_out() -> None:
    assert ("septet_requests_total", "invalid", "iris", "/predict") not in page()


def test_routes_without_requests_have_no_histogram() -> None:
    assert ("septet_request_seconds_count", "/health") not in page()


def test_the_model_is_named() -> None:
    assert page()["septet_model_info", "sha256:00", "classifier", "iris", "onnx", "1"] == 1


def test_the_age_of_the_data_is_there_only_when_known() -> None:
    assert ("septet_model_data_age_days", "iris") not in page()
    assert ("septet_model_stale", "iris") not in page()

    assert page(DATED)["septet_model_data_age_days", "iris"] == 40.5
    assert page(DATED)["septet_model_stale", "iris"] == 1


def test_openmetrics_is_answered_where_it_is_asked_for() -> None:
    body, content_type = exposition(counted(), ["iris"], [DATED], accept="application/openmetrics-text; version=1.0.0")

    values = samples(openmetrics.text_string_to_metric_families(body.decode()))  # type: ignore[no-untyped-call]

    assert content_type.startswith("application/openmetrics-text")
    assert values["septet_requests_total", "ok", "iris", "/predict"] == 2


def test_the_metrics_library_is_not_imported_before_the_first_scrape() -> None:
    code = "import sys, septet.monitoring.metrics; sys.exit('prometheus_client' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
