"""Several requests as one run of the model: check values, merge rows, run, check the answer, split it."""

import logging
from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import TypeAlias

from septet.errors import DeadlineExceeded, Invalid, ModelFailed, Problem, SeptetError, invalid
from septet.model.signature import Signature
from septet.model.validation import Checker
from septet.predictor.run_size import UNKNOWN_SIZES, run_sizes
from septet.runtimes.base import InputRejected, Runtime
from septet.runtimes.run_control import RunStopped, is_stopped
from septet.runtimes.run_progress import reporting
from septet.tensors import Outputs, Part, joined, plain
from septet.types import Request, Tensors

logger = logging.getLogger("septet.predictor")

Outcome: TypeAlias = Tensors | SeptetError


class ModelRunner:
    """A runtime behind its signature. Thread-safe; knows neither time nor the event loop.

    Attributes:
        sample: a request's tensors which the model is known to answer: where a run fails, it tells whether the model
            is broken or the caller's values are at fault. None where no such tensors are known yet.
        sizes: up to which runs are known to be as short as warm-up says; None where the number of rows tells.
    """

    def __init__(self, runtime: Runtime, signature: Signature, sample: Tensors | None = None) -> None:
        self._run = runtime.run
        self._signature = signature
        self._check = Checker(signature)
        self._kept = signature.rows and runtime.independence.kept
        self.sample = sample
        if runtime.open_ended is None:
            self.sizes = run_sizes(signature, sample, independent=runtime.independence.proven)
        else:
            self.sizes = UNKNOWN_SIZES
        # Only where an inner dimension is free can two valid requests differ in shape.
        ragged = any(size is None for tensor in signature.inputs for size in tensor.shape[1:])
        #: Requests of equal keys may share a run: same wanted outputs, same inner shapes.
        self.key: Callable[[Request], Hashable] = _key if ragged else attrgetter("outputs")

    def run(self, requests: Sequence[Request]) -> list[Outcome]:
        """Answer requests of one key, each with its own rows' outputs or its own error.

        A request that is wrong fails alone: the others are answered as if it had not been there.
        """
        if len(requests) == 1:
            return [self._alone(requests[0])]
        try:
            return self._together(requests)
        except RunStopped:
            return [_stopped() for _ in requests]
        except Exception:  # noqa: BLE001 - whatever an engine raises, the sound requests must still be answered
            return [_stopped() if is_stopped() else self._alone(request) for request in requests]

    def _together(self, requests: Sequence[Request]) -> list[Outcome]:
        """One run for all; where values are wrong, for all but the requests that have them."""
        merged = joined([request.tensors for request in requests])
        if self._check(merged, most=1):
            sound = [request for request in requests if not self._check(request.tensors, most=1)]
            answers = iter(self.run(sound) if sound else ())
            kept = set(map(id, sound))
            return [next(answers) if id(request) in kept else self._alone(request) for request in requests]
        wanted, told = requests[0].outputs, requests[0].report is not None
        outputs = self._reporting(requests, merged) if told else self._run(merged, wanted)
        rows = [request.rows for request in requests]
        count = sum(rows)
        _verify(outputs, count)
        shared = Outputs(outputs, count)
        # Of each request, the row behind its last.
        return [Part(shared, stop - own, stop) for own, stop in zip(rows, accumulate(rows), strict=True)]

    def _alone(self, request: Request) -> Outcome:
        try:
            tensors = plain(request.tensors)
            problems = self._check(tensors)
            if problems:
                return invalid(problems, "column" if self._signature.columns else "input")
            if request.report is None:
                outputs = self._run(tensors, request.outputs)
            else:
                outputs = self._reporting((request,), tensors)
            if self._kept:
                _verify(outputs, request.rows)
        except SeptetError as error:
            return error
        except RunStopped:
            return _stopped()
        except InputRejected as error:
            return self._rejected(str(error))
        except Exception:
            logger.exception("The model failed on a request", extra={"id": request.id})
            return self._rejected(None)
        return outputs

    def _reporting(self, requests: Sequence[Request], tensors: Tensors) -> Tensors:
        """Run the model for requests which want the same outputs; what it tells of its progress reaches them."""
        with reporting(requests):
            return self._run(tensors, requests[0].outputs)

    def _rejected(self, reason: str | None) -> SeptetError:
        """Tell the caller's fault from the model's: a model that still answers its sample is not broken."""
        if self.sample is None or not self._answers_sample():
            return ModelFailed("The model failed. The log has the reason under this id.")
        if reason is None:
            return ModelFailed("The model failed on these values. The log has the reason under this id.")
        return Invalid(
            f"The model cannot compute these values: {reason}",
            (Problem(None, None, "values that the model accepts", reason),),
        )

    def _answers_sample(self) -> bool:
        try:
            with reporting(()):
                self._run(self.sample or {}, None)
        except Exception:  # noqa: BLE001 - any failure means the same here
            return False
        return True


def _stopped() -> SeptetError:
    return DeadlineExceeded("Nobody waited for the run any more, and it was stopped.")


def _verify(outputs: Tensors, rows: int) -> None:
    """N rows in, N rows out.

    Raises:
        ModelFailed: the model broke this.
    """
    for name, array in outputs.items():
        if array.ndim == 0 or len(array) != rows:
            shape = list(array.shape)
            raise ModelFailed(f"The model's output {name!r} has shape {shape} for {rows} rows: rows would be lost.")


def _key(request: Request) -> Hashable:
    return request.outputs, tuple(array.shape[1:] for array in request.tensors.values())
