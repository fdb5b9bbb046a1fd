"""From a loaded model to a `Service`, and from a `Service` to the application that every transport drives."""

import datetime as dt
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from septet.assembly.opening import OpenedModel, open_model
from septet.assembly.server_routes import ServerRoutes
from septet.assembly.statistics import statistics
from septet.errors import GoldenMismatch
from septet.events import Observer
from septet.model.freshness import Freshness, freshness
from septet.model.golden import Golden
from septet.model.manifest import Manifest
from septet.model.sample import sample as sample_of
from septet.monitoring.key_usage import KeyCount
from septet.monitoring.metrics_layout import MetricsLayout
from septet.monitoring.shared_metrics import MetricsSnapshot
from septet.predictor.batcher import Batcher
from septet.predictor.latency_model import LatencyModel
from septet.predictor.model_runner import ModelRunner
from septet.predictor.warmup import WarmupResult, warm_up
from septet.protocols.http.app import App
from septet.protocols.http.error_bodies import STATUS
from septet.protocols.http.health_routes import HealthRoutes
from septet.protocols.http.request_factory import RequestFactory
from septet.protocols.http.routes import declared_routes
from septet.protocols.mlflow.invocations import InvocationsRoute
from septet.protocols.native.model_info import ModelInfo
from septet.protocols.native.model_list import ModelList
from septet.protocols.native.native_routes import NativeRoutes
from septet.protocols.openinference.infer_request import InferRequestReader
from septet.protocols.openinference.infer_routes import InferRoutes, InferServer
from septet.protocols.openinference.model_statistics import Statistics
from septet.protocols.rpc.paths import INFER, STREAM_INFER
from septet.protocols.tfserving.v1_routes import V1Models, V1Routes
from septet.registry import ServedModel
from septet.runtimes.quota import threads_for
from septet.server.freed_memory import return_freed_memory
from septet.service import Merging, Service
from septet.settings import Model, Settings
from septet.tensors import plain
from septet.types import Tensors

if TYPE_CHECKING:
    # A server that accepts no jobs does without.
    from septet.assembly.job_serving import JobIntake

logger = logging.getLogger("septet")

_ADVICE_TO_DECLARE = (
    ". If it computes each row by itself, pack the model with row_independent, and requests that wait are run together"
)
_EXPORT = ". Where every operator works row by row, requests that wait are run together"
_COLD = "no row was known that the model answers; it learns from the first request that it does"


def open_service(path: Path, settings: Settings) -> Service:
    """Load a model, prove it, warm it up, and put its predictor together.

    Raises:
        StartupError: it cannot be served; the message says why.
    """
    begun = time.perf_counter()
    opened = open_model(path, settings.model, threads=threads_for(settings.server.workers, settings.model.threads))
    loaded = time.perf_counter()
    warmup, sample = _warm(path, opened)
    warm = time.perf_counter()
    runner = ModelRunner(opened.runtime, opened.signature, sample)
    latency = None if warmup is None else warmup.latency
    merging = _MergingStatus(
        Merging(merged=False, reason=_COLD) if warmup is None else warmup.merging, settings, opened
    )
    batch_rows = merging.rows
    batcher = Batcher(
        runner,
        opened.identity,
        latency,
        max_batch_rows=batch_rows,
        max_pending=settings.limits.max_pending,
        learn=partial(_learn, opened, runner, merging) if warmup is None else None,
    )
    if opened.runtime.open_ended is not None:
        logger.info("runs are made beside the event loop: %s", opened.runtime.open_ended)
    facts = {"load_seconds": loaded - begun, "warmup_seconds": warm - loaded}
    return Service(
        identity=opened.identity,
        signature=opened.signature,
        predictor=batcher,
        manifest=opened.manifest,
        sample=sample,
        answer=None if warmup is None else warmup.answer,
        expected=_promise(opened, warmup),
        facts=facts if latency is None else {**facts, "run_seconds": latency.seconds(1)},
        freshness=partial(age_of, opened.manifest, settings.model),
        close=partial(_close, batcher),
        batch_rows=batch_rows,
        merging=merging,
        stuck=batcher.stuck,
        watch=batcher.watch,
        gate=batcher.gate,
    )


def _close(batcher: Batcher) -> None:
    batcher.close()
    return_freed_memory()


def age_of(manifest: Manifest, limits: Model) -> Freshness:
    """How old the model's training data is now, and what the settings make of that."""
    now = dt.datetime.now(dt.UTC)
    return freshness(manifest, now, warn_days=limits.stale_warn_days, error_days=limits.stale_error_days)


def _promise(opened: OpenedModel, warmup: WarmupResult | None) -> Golden | None:
    """The first golden row.

    Where rows depend on each other, one alone has another answer than among the rest: the one that it was given just
    after all of them were proven together.
    """
    golden = opened.golden
    if golden is None or warmup is None:
        return None
    alone = opened.signature.rows and not warmup.merging.merged
    answer = warmup.answer if alone else _first_row(golden.answer, opened)
    return msgspec.structs.replace(golden, request=_first_row(golden.request, opened), answer=answer)


def _first_row(tensors: Tensors, opened: OpenedModel) -> Tensors:
    return {name: array[:1] for name, array in tensors.items()} if opened.signature.rows else tensors


def _warm(path: Path, opened: OpenedModel) -> tuple[WarmupResult | None, Tensors | None]:
    """Warm the model up on its first golden row, or on a made-up row; None where it does not answer that one."""
    golden = opened.golden
    sample = sample_of(opened.signature) if golden is None else _first_row(golden.request, opened)
    try:
        return warm_up(opened.runtime, opened.signature, sample), sample
    except Exception as error:
        if golden is not None:
            raise GoldenMismatch(f"{path}: the model fails on its first golden row: {error}") from error
        logger.warning("no made-up row suits this model, so it has no self-test and starts cold (%s)", error)
        return None, None


class _MergingStatus:
    """Whether requests share a run: logged, and given by `/metadata`; a cold model learns it later."""

    def __init__(self, merging: Merging, settings: Settings, opened: OpenedModel) -> None:
        self._most = settings.model.max_batch_rows
        foreign = opened.runtime.independence.foreign
        self._advice = _ADVICE_TO_DECLARE if foreign else _EXPORT if opened.signature.rows else ""
        self._level = logging.WARNING if foreign else logging.INFO
        self.learned(merging)

    def learned(self, merging: Merging) -> None:
        if merging.merged and self._most == 1:
            merging = Merging(merged=False, reason="max_batch_rows is 1")
        self._merging = merging
        if not merging.merged:
            advice = self._advice if self._most > 1 else ""
            logger.log(self._level, "requests are run one by one: %s%s", merging.reason, advice)
            return
        how = "to the bit" if merging.exact else f"within {merging.relative_tolerance:g} of a row's largest number"
        logger.info("requests that wait are run together, with the same answers %s: %s", how, merging.reason)

    @property
    def rows(self) -> int:
        """The most rows of a run."""
        return self._most if self._merging.merged else 1

    def __call__(self) -> Merging:
        return self._merging


def _learn(
    opened: OpenedModel, runner: ModelRunner, merging: _MergingStatus, tensors: Tensors
) -> tuple[LatencyModel, int]:
    """Warm a cold model up on the first row of a request that it has answered."""
    # Copies: a decoder's arrays may be views of a large body.
    row = {name: array.copy() for name, array in _first_row(plain(tensors), opened).items()}
    warmup = warm_up(opened.runtime, opened.signature, row)
    runner.sample = row
    merging.learned(warmup.merging)
    return warmup.latency, merging.rows


def layout(models: int, more_templates: Sequence[str] = ()) -> MetricsLayout:
    """The closed lists that metrics count by, for so many models; `more_templates` are of routes beside the usual."""
    server, model = _templates(SERVER_OWNERS), _templates(MODEL_OWNERS)
    predicting = tuple(path for path in more_templates if path in (INFER, STREAM_INFER))
    routes = (*model, *server, *more_templates)
    return MetricsLayout(routes, ("ok", *STATUS), models, model_routes=(*model, *predicting))


def job_templates() -> tuple[str, ...]:
    """The paths of the routes that accept jobs and tell of them, by which metrics count."""
    from septet.jobs.async_routes import AsyncRoutes
    from septet.jobs.job_routes import JobRoutes

    return _templates((AsyncRoutes, JobRoutes))


def _templates(owners: Iterable[type]) -> tuple[str, ...]:
    return tuple(route.template for owner in owners for route in declared_routes(owner))


#: Whose routes belong to the server, and whose to each model.
SERVER_OWNERS = (HealthRoutes, ModelList, InferServer, V1Models, ServerRoutes)
MODEL_OWNERS = (NativeRoutes, ModelInfo, InferRequestReader, InferRoutes, V1Routes, InvocationsRoute)
_PREDICTING = frozenset(
    (
        INFER,
        STREAM_INFER,
        *(each.template for owner in MODEL_OWNERS for each in declared_routes(owner) if each.predicts),
    )
)


def application(
    app: App,
    settings: Settings,
    observer: Observer,
    snapshot: Callable[[], MetricsSnapshot],
    names: Sequence[str],
    key_counts: Callable[[], Sequence[KeyCount]] = tuple,
    intake: "JobIntake | None" = None,
) -> None:
    """Let an application answer every protocol over HTTP, for the models that it has and those that come.

    `snapshot` adds up what all processes have counted, of the models with these names in this order, and `key_counts`
    what they have counted of API keys. `intake` takes jobs.
    """
    limits = settings.limits
    described = None if intake is None else intake.described

    def counted(name: str) -> Statistics:
        if name not in names:  # installed since the start: it has no counters of its own
            return Statistics()
        return statistics(snapshot(), names.index(name) + 1, _PREDICTING)

    def bind(model: ServedModel) -> Sequence[object]:
        infer = RequestFactory(model, limits, "/v2")
        native = NativeRoutes(RequestFactory(model, limits, "/predict"))
        return (
            native,
            *(() if intake is None else (intake.async_routes(native),)),
            ModelInfo(model.service, limits=limits, work_thread=app.work_thread, jobs=described),
            InferRequestReader(infer),
            InferRoutes(infer, counted, app.state),
            V1Routes(RequestFactory(model, limits, "/v1"), app.state),
            InvocationsRoute(RequestFactory(model, limits, "/invocations")),
        )

    owners = (
        ModelList(app.models),
        InferServer(app.models, counted),
        V1Models(app.models),
        ServerRoutes(
            app.models, app.operations, settings, snapshot, names, key_counts, None if intake is None else intake.read
        ),
        *(() if intake is None else (intake.routes,)),
    )
    app.install(bind, owners, observer, limits, None if intake is None else intake.submitter)
