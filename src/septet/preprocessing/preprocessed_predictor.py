"""A preprocessing step before any predictor, such as one that calls another server."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from septet.errors import DeadlineExceeded, Invalid, ModelFailed, Problem, SeptetError, invalid
from septet.model.signature import Signature
from septet.model.validation import Checker
from septet.preprocessing.preprocessing_step import PreprocessingStep
from septet.runtimes.base import InputRejected
from septet.runtimes.run_progress import reporting
from septet.tensors import plain
from septet.types import Done, Pending, Predictor, Request, Response, Tensors, adapt

logger = logging.getLogger("septet.preprocessing")

_Made = TypeVar("_Made")


class PreprocessedPredictor(Predictor):
    """Checks and prepares each request, asks another predictor, and finishes what it answers.

    The code runs in one thread, since nothing is known of how long it takes. Everything else of a response is the
    other predictor's: identity, timings and flags.
    """

    def __init__(self, predictor: Predictor, step: PreprocessingStep, signature: Signature) -> None:
        """Take requests under `signature`, whose inputs are the step's."""
        self._predictor = predictor
        self._step = step
        self._check = Checker(signature)
        self._what = "column" if signature.columns else "input"
        self._thread = ThreadPoolExecutor(1, "septet-preprocessing")
        self._adapted = adapt(self._answer)

    def submit(self, request: Request, done: Done) -> Pending:
        """Begin to answer a request.

        `done` gets `Invalid` where a value is refused, by its column or by the code; `ModelFailed` where the code
        fails; `DeadlineExceeded` where the deadline passes before the code runs; else the error of the other predictor.
        """
        return self._adapted.submit(request, done)

    def close(self) -> None:
        """End the thread, when no request is under way."""
        self._thread.shutdown(wait=False)

    async def _answer(self, request: Request) -> Response:
        step = self._step
        tensors = await self._in_thread(request, lambda: self._prepared(request))
        wanted = step.wanted(request.outputs)
        outputs = None if wanted is None else tuple(wanted)
        response = await self._predictor.predict(msgspec.structs.replace(request, tensors=tensors, outputs=outputs))
        if not step.finishes:
            return response
        finished = await self._in_thread(
            request, lambda: step.finished(plain(response.tensors), request.rows, request.outputs)
        )
        return msgspec.structs.replace(response, tensors=finished)

    def _prepared(self, request: Request) -> Tensors:
        if request.deadline is not None and request.deadline <= time.monotonic():
            raise DeadlineExceeded("The answer was not ready before the request's deadline.")
        tensors = plain(request.tensors)
        problems = self._check(tensors)
        if problems:
            raise invalid(problems, self._what)
        return self._step.prepared(tensors)

    async def _in_thread(self, request: Request, work: Callable[[], _Made]) -> _Made:
        """Do a part of the step in its thread.

        Raises:
            SeptetError: it cannot be done.
        """

        def reported() -> _Made:
            with reporting((request,)):
                return work()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, reported)
        except SeptetError:
            raise
        except InputRejected as error:
            reason = str(error)
            problem = Problem(None, None, "values that the model accepts", reason)
            raise Invalid(f"The model cannot compute these values: {reason}", (problem,)) from error
        except Exception as error:
            logger.exception("The preprocessing failed on a request", extra={"id": request.id})
            raise ModelFailed("The model failed on these values. The log has the reason under this id.") from error
