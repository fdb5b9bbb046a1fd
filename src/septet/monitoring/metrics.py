"""The page that Prometheus reads, from the metrics of all worker processes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from septet.monitoring.key_usage import KeyCount
from septet.monitoring.metrics_layout import ROWS_BOUNDS, SECONDS_BOUNDS
from septet.monitoring.shared_metrics import MetricsSnapshot, Numbers
from septet.printable import printable
from septet.types import Identity

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    # A server that accepts no jobs does without.
    from septet.monitoring.job_metrics import StoreReading

STALENESS = {"fresh": 0, "warn": 1, "error": 2}


class ModelFacts(msgspec.Struct, frozen=True):
    """The facts of a model that are exposed as gauges.

    `data_age_days` is the age of its training data now and `freshness` what the policy makes of it; None: not known.
    """

    identity: Identity
    runtime: str
    kind: str
    data_age_days: float | None = None
    freshness: Literal["fresh", "warn", "error"] | None = None


def exposition(
    snapshot: MetricsSnapshot,
    names: Sequence[str],
    models: Sequence[ModelFacts],
    accept: str | None,
    keys: Sequence[KeyCount] = (),
    jobs: "StoreReading | None" = None,
) -> tuple[bytes, str]:
    """The page and its content type: OpenMetrics where the `Accept` header asks for it, else Prometheus text.

    `names` are the models of the snapshot's first axis from place 1 on, `models` those that are served now; `keys` are
    the API keys that are good now; `jobs` is what the store of jobs says, where there is one.
    """
    # Imported at the first scrape: the library costs more start-up time than the whole server core.
    from prometheus_client import CollectorRegistry  # noqa: PLC0415
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

    # A model of another server has the name that it says there.
    names = [printable(name) for name in names]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(snapshot, names, models, keys, jobs))
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type


class _Page:
    """A collector of prometheus_client that yields one snapshot."""

    def __init__(
        self,
        snapshot: MetricsSnapshot,
        names: Sequence[str],
        models: Sequence[ModelFacts],
        keys: Sequence[KeyCount],
        jobs: "StoreReading | None",
    ) -> None:
        self._jobs = jobs
        self._keys = keys
        self._snapshot = snapshot
        self._names = names
        self._models = models

    def collect(self) -> Iterator["Metric"]:
        """Yield every metric family."""
        # Requests for no model have an empty label, which Prometheus takes for none.
        names = ["", *self._names]
        yield from _requests(self._snapshot, names)
        yield from _sums(self._snapshot, names)
        yield from _processes(self._snapshot)
        yield from _model(self._models)
        if self._keys:
            yield from _of_keys(self._keys)
        if self._jobs is not None:
            from septet.monitoring.job_metrics import job_metrics  # noqa: PLC0415 - as above

            yield from job_metrics(self._jobs)


def _requests(snapshot: MetricsSnapshot, names: Sequence[str]) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily  # noqa: PLC0415

    requests = CounterMetricFamily("septet_requests", "Requests finished.", labels=("model", "route", "code"))
    seconds = HistogramMetricFamily(
        "septet_request_seconds", "From the complete request to the complete answer.", labels=("model", "route")
    )
    batches = HistogramMetricFamily(
        "septet_batch_rows", "Rows of the model run that a request shared, per request.", labels=("model",)
    )
    for block, name in enumerate(names):
        for at, route in enumerate(snapshot.routes):
            counts = snapshot.requests[block, at]
            for code, count in zip(snapshot.codes, counts.tolist(), strict=True):
                # `ok` is there from the start, so that a rate has a beginning; the rest appear when they happen.
                if count or (code == "ok" and (route in snapshot.model_routes) == bool(block)):
                    requests.add_metric((name, route, code), count)
            # A histogram is most of the page, and of the time to write it: only where it has counts.
            if counts.any():
                buckets = _cumulative(SECONDS_BOUNDS, snapshot.seconds_buckets[block, at])
                seconds.add_metric((name, route), buckets, float(snapshot.seconds_sums[block, at]))
        if block:
            buckets = _cumulative(ROWS_BOUNDS, snapshot.batch_buckets[block])
            batches.add_metric((name,), buckets, float(snapshot.batch_sum[block]))
    yield from (requests, seconds, batches)


def _sums(snapshot: MetricsSnapshot, names: Sequence[str]) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415

    for name, text, values in (
        ("septet_decode_seconds", "Time to read predictions' bodies.", snapshot.decode_seconds),
        ("septet_queue_seconds", "Time requests waited for the model.", snapshot.queue_seconds),
        ("septet_run_seconds", "Time of the model runs that requests shared, per request.", snapshot.run_seconds),
        ("septet_encode_seconds", "Time to write answers.", snapshot.encode_seconds),
        ("septet_rows", "Rows predicted.", snapshot.rows),
        ("septet_executions", "Runs of the model for requests.", snapshot.executions),
    ):
        family = CounterMetricFamily(name, text, labels=("model",))
        for block, model in enumerate(names[1:], 1):
            family.add_metric((model,), float(values[block]))
        yield family
    yield CounterMetricFamily(
        "septet_worker_restarts", "Workers replaced after a crash or a hang.", value=snapshot.restarts
    )


def _processes(snapshot: MetricsSnapshot) -> Iterator["Metric"]:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    yield GaugeMetricFamily("septet_in_flight", "Requests not yet answered.", value=snapshot.in_flight)
    yield GaugeMetricFamily("septet_connections", "Connections open to `septet serve`.", value=snapshot.connections)
    yield GaugeMetricFamily("septet_workers", "Worker processes alive.", value=snapshot.workers)
    yield GaugeMetricFamily(
        "septet_workers_ready", "Worker processes that have loaded the models.", value=snapshot.workers_ready
    )
    yield GaugeMetricFamily(
        "septet_model_load_seconds", "Loading the model, in the slowest worker.", value=snapshot.load_seconds
    )
    yield GaugeMetricFamily(
        "septet_startup_seconds", "From process start to ready, in the slowest worker.", value=snapshot.startup_seconds
    )


def _model(models: Sequence[ModelFacts]) -> Iterator["Metric"]:
    from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

    info = GaugeMetricFamily(
        "septet_model_info", "The models served.", labels=("name", "version", "digest", "runtime", "kind")
    )
    age = GaugeMetricFamily("septet_model_data_age_days", "Age of the newest training data.", labels=("model",))
    stale = GaugeMetricFamily("septet_model_stale", "0 fresh, 1 older than recommended, 2 too old.", labels=("model",))
    for model in models:
        name, version, digest = map(printable, msgspec.structs.astuple(model.identity))
        info.add_metric((name, version, digest, model.runtime, model.kind), 1.0)
        if model.data_age_days is not None:
            age.add_metric((name,), model.data_age_days)
        if model.freshness is not None:
            stale.add_metric((name,), STALENESS[model.freshness])
    yield from (family for family in (info, age, stale) if family.samples)


def _of_keys(keys: Sequence[KeyCount]) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

    requests = CounterMetricFamily(
        "septet_key_requests", "Requests with an API key, let in or refused for its limits.", labels=("key", "outcome")
    )
    in_flight = GaugeMetricFamily(
        "septet_key_in_flight", "Requests with an API key that are not yet answered.", labels=("key",)
    )
    for each in keys:
        in_flight.add_metric((each.name,), each.in_flight)
        requests.add_metric((each.name, "admitted"), each.admitted)
        requests.add_metric((each.name, "limited"), each.limited)
    yield requests
    yield in_flight


def _cumulative(bounds: Iterable[float], counts: Numbers) -> list[tuple[str, float]]:
    names = [*map(str, bounds), "+Inf"]
    return list(zip(names, map(float, counts.cumsum()), strict=True))
