"""`septet worker`: from paths and settings to the parent of the processes that answer jobs."""

import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from septet.assembly.composition import job_templates, layout
from septet.assembly.job_process import JobProcess
from septet.assembly.job_serving import store_address
from septet.assembly.loading import ModelLoader
from septet.assembly.served_files import WatchedFiles
from septet.assembly.serving_plan import Addresses, Announce, ServingPlan
from septet.errors import SettingsInvalid
from septet.monitoring.log import configure
from septet.server.supervisor import SupervisionPolicy, supervise
from septet.server.worker_context import WorkerContext
from septet.settings import Settings
from septet.types import Middleware

logger = logging.getLogger("septet")


def work(
    paths: Sequence[Path], settings: Settings, *, announce: Announce, middleware: Sequence[Middleware] = ()
) -> int:
    """Answer jobs for models until a signal comes, and return the exit code; `announce` is called once.

    Raises:
        SettingsInvalid: no store of jobs is named, or no worker is wanted.
        StartupError: a model, or the store, cannot be used.
    """
    begun = time.perf_counter()
    configure(style=settings.logs.format, level=settings.logs.level)
    jobs, server = settings.jobs, settings.server
    if jobs.store is None:
        raise SettingsInvalid("septet worker needs --jobs: where its jobs are stored, as the server has it")
    if not jobs.workers:
        raise SettingsInvalid("septet worker needs --job-workers of 1 or more")
    address = store_address(jobs)
    loader = ModelLoader(paths, settings, middleware)
    files = WatchedFiles(loader, watch=server.watch)
    addresses = Addresses(address.shown)
    plan = ServingPlan(loader, settings, begun, addresses, announce, None, None, http=0, grpc=0, serving=0)
    if jobs.workers > 1:
        loader.share()
    grace = server.drain_delay_seconds + server.grace_seconds
    # A job may hold the interpreter for as long as it may run.
    patience = max(server.hang_seconds, jobs.run_seconds)
    policy = SupervisionPolicy(jobs.workers, grace, patience, server.poison_seconds)
    return supervise(
        partial(_start, plan),
        lambda: None,
        sockets=(),
        layout=layout(loader.count, job_templates()),
        policy=policy,
        files=files,
    )


def _start(plan: ServingPlan, context: WorkerContext) -> int:
    return JobProcess(plan).start(context)
