"""What processes have counted, as the model's statistics."""

from septet.assembly.statistics import statistics
from septet.events import Finished
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import SharedMetrics


def test_only_routes_that_predict_count() -> None:
    shared_metrics = SharedMetrics(MetricsLayout(("/predict", "/health"), ("ok", "invalid")), slots=2)
    first, second = shared_metrics.claim(0), shared_metrics.claim(1)
    for counts in (first, second):
        for event in (
            Finished("/predict", "a", "ok", 200, 3, 0.5, 0.01, 0.02, 0.03, 0.04, batch_rows=6),
            Finished("/predict", "b", "invalid", 422, 0, 0.25),
            Finished("/health", "c", "ok", 200, 0, 9.0),
            Finished("/health", "d", "invalid", 422, 0, 9.0),
        ):
            counts.turned(1, ())
            counts.turned(0, [event])
    found = statistics(shared_metrics.snapshot(), 0, {"/predict"})
    assert (found.succeeded, found.failed, found.rows, found.runs) == (2, 2, 6, 1)
    assert (found.succeeded_seconds, found.failed_seconds) == (1.0, 0.5)
    assert (found.decode_seconds, found.queue_seconds, found.run_seconds, found.encode_seconds) == (
        *(0.02, 0.04, 0.06),
        0.08,
    )
    assert found.last > 1_700_000_000


def test_nothing_counted_is_nothing_told() -> None:
    found = statistics(SharedMetrics(MetricsLayout(("/predict",), ("ok",))).snapshot(), 0, {"/predict"})
    assert (found.succeeded, found.failed, found.last, found.failed_seconds) == (0, 0, 0.0, 0.0)
