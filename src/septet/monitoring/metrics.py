"""The page that Prometheus reads, from the metrics of all worker processes."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

import msgspec

from septet.monitoring.metrics_layout import ROWS_BOUNDS, SECONDS_BOUNDS
from septet.monitoring.shared_metrics import MetricsSnapshot, Numbers
from septet.types import Identity

if TYPE_CHECKING:
    from prometheus_client.core import Metric

STALENESS = {"fresh": 0, "warn": 1, "error": 2}


class ModelFacts(msgspec.Struct, frozen=True):
    """What the metrics say of the model.

    `data_age_days` is the age of its training data now and `freshness` what the policy makes of it; None: not known.
    """

    identity: Identity
    runtime: str
    kind: str
    data_age_days: float | None = None
    freshness: Literal["fresh", "warn", "error"] | None = None


def exposition(snapshot: MetricsSnapshot, model: ModelFacts, accept: str | None) -> tuple[bytes, str]:
    """The page and its content type: OpenMetrics where the `Accept` header asks for it, else Prometheus text."""
    # Imported at the first scrape: the library costs more start-up time than the whole server core.
    from prometheus_client import CollectorRegistry  # noqa: PLC0415
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(snapshot, model))
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type


class _Page:
    """A collector of prometheus_client that yields one snapshot."""

    def __init__(self, snapshot: MetricsSnapshot, model: ModelFacts) -> None:
        self._snapshot = snapshot
        self._model = model

    def collect(self) -> Iterator["Metric"]:
        """Yield every metric family."""
        yield from _requests(self._snapshot)
        yield from _sums(self._snapshot)
        yield from _processes(self._snapshot)
        yield from _model(self._model)


def _requests(snapshot: MetricsSnapshot) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily  # noqa: PLC0415

    requests = CounterMetricFamily("septet_requests", "Requests finished.", labels=("route", "code"))
    seconds = HistogramMetricFamily(
        "septet_request_seconds", "From the complete request to the complete answer.", labels=("route",)
    )
    for at, route in enumerate(snapshot.routes):
        for column, code in enumerate(snapshot.codes):
            # `ok` is there from the start, so that a rate has a beginning; the rest appear when they happen.
            if snapshot.requests[at, column] or code == "ok":
                requests.add_metric((route, code), float(snapshot.requests[at, column]))
        # A histogram is most of the page, and of the time to write it: only where there is something to tell.
        if snapshot.requests[at].any():
            buckets = _cumulative(SECONDS_BOUNDS, snapshot.seconds_buckets[at])
            seconds.add_metric((route,), buckets, float(snapshot.seconds_sums[at]))
    batches = HistogramMetricFamily("septet_batch_rows", "Rows of the model run that a request shared, per request.")
    batches.add_metric((), _cumulative(ROWS_BOUNDS, snapshot.batch_buckets), snapshot.batch_sum)
    yield from (requests, seconds, batches)


def _sums(snapshot: MetricsSnapshot) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415

    yield CounterMetricFamily(
        "septet_decode_seconds", "Time to read predictions' bodies.", value=snapshot.decode_seconds
    )
    yield CounterMetricFamily(
        "septet_queue_seconds", "Time requests waited for the model.", value=snapshot.queue_seconds
    )
    yield CounterMetricFamily(
        "septet_run_seconds", "Time of the model runs that requests shared, per request.", value=snapshot.run_seconds
    )
    yield CounterMetricFamily("septet_encode_seconds", "Time to write answers.", value=snapshot.encode_seconds)
    yield CounterMetricFamily("septet_rows", "Rows predicted.", value=snapshot.rows)
    yield CounterMetricFamily("septet_executions", "Runs of the model for requests.", value=snapshot.executions)
    yield CounterMetricFamily(
        "septet_worker_restarts", "Workers replaced after a crash or a hang.", value=snapshot.restarts
    )


def _processes(snapshot: MetricsSnapshot) -> Iterator["Metric"]:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    yield GaugeMetricFamily("septet_in_flight", "Requests not yet answered.", value=snapshot.in_flight)
    yield GaugeMetricFamily("septet_connections", "Connections open to `septet serve`.", value=snapshot.connections)
    yield GaugeMetricFamily("septet_workers", "Worker processes alive.", value=snapshot.workers)
    yield GaugeMetricFamily(
        "septet_model_load_seconds", "Loading the model, in the slowest worker.", value=snapshot.load_seconds
    )
    yield GaugeMetricFamily(
        "septet_startup_seconds", "From process start to ready, in the slowest worker.", value=snapshot.startup_seconds
    )


def _model(model: ModelFacts) -> Iterator["Metric"]:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    info = GaugeMetricFamily(
        "septet_model_info", "The model served.", labels=("name", "version", "digest", "runtime", "kind")
    )
    identity = model.identity
    info.add_metric((identity.name, identity.version, identity.digest, model.runtime, model.kind), 1.0)
    yield info
    if model.data_age_days is not None:
        yield GaugeMetricFamily(
            "septet_model_data_age_days", "Age of the newest training data.", value=model.data_age_days
        )
    if model.freshness is not None:
        yield GaugeMetricFamily(
            "septet_model_stale", "0 fresh, 1 older than recommended, 2 too old.", value=STALENESS[model.freshness]
        )


def _cumulative(bounds: Iterable[float], counts: Numbers) -> list[tuple[str, float]]:
    names = [*map(str, bounds), "+Inf"]
    return list(zip(names, map(float, counts.cumsum()), strict=True))
