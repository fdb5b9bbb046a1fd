"""What a worker looks at every second: that its loop turns, whether runs end, and whether they are to be watched."""

import logging

from septet.predictor.run_watch import RunWatch
from septet.registry import Models, ServedModel
from septet.server.worker_context import WorkerContext

logger = logging.getLogger("septet")


class RunOversight:
    """Over the runs of a process, for its parent; a run may take `longest` seconds to end when it was told to."""

    def __init__(self, context: WorkerContext, longest: float) -> None:
        self._context = context
        self._longest = longest
        self._watch = RunWatch(context.run_record, context.slot)
        self._watching = False
        # Those that are served, and those that were replaced while they still ran.
        self._running: list[ServedModel] = []
        self._told: list[ServedModel] = []

    def beat(self, models: Models) -> None:
        """Show that the event loop is alive, and look at the runs of all models."""
        self._context.beat()
        served = list(models)
        replaced = [each for each in self._running if each not in served and (each.in_flight or each.service.stuck())]
        self._running = [*served, *replaced]
        self._look_for_stuck_runs()
        watching = self._watch.on
        if watching or self._watching:
            # Those that came meanwhile, too.
            for model in served:
                model.service.watch(self._watch.around if watching else None)
        self._watching = watching

    def _look_for_stuck_runs(self) -> None:
        """Ask to be replaced where a run does not end, though nobody waits for it: again, until it is so."""
        stuck = [each for each in self._running if each.service.stuck() > self._longest]
        for model in stuck:
            if model not in self._told:
                name, seconds = model.service.identity.name, model.service.stuck()
                logger.error("the model %s has a run that has not ended for %.0f s since it was to stop", name, seconds)
            self._context.stuck()
        self._told = stuck
