"""A preprocessing step before a local model: one run, whose time is measured as one."""

from collections.abc import Sequence

import msgspec

from septet.model.signature import Signature
from septet.preprocessing.preprocessing_step import PreprocessingStep
from septet.runtimes.base import Independence, Runtime
from septet.types import Tensors

_FOREIGN = "the package's prepare.py is code that Septet does not know"


class PreprocessedRuntime:
    """A runtime that takes raw columns.

    Attributes:
        signature: what is declared, or the model's own with the step's inputs.
        independence: that of a model behind code which may look at its whole batch.
        open_ended: what such code does with a value is not known.
    """

    def __init__(self, runtime: Runtime, step: PreprocessingStep, declared: Signature | None = None) -> None:
        self.signature = declared or msgspec.structs.replace(runtime.signature, inputs=step.inputs)
        self.independence = _independence(runtime.independence)
        self.open_ended = _FOREIGN
        self._runtime = runtime
        self._step = step

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs; see `septet.runtimes.base.Runtime`."""
        answers = self._runtime.run(self._step.prepared(tensors), self._step.wanted(outputs))
        return self._step.finished(answers, len(next(iter(tensors.values()))), outputs)

    def close(self) -> None:
        """Free the engine's memory."""
        self._runtime.close()


def _independence(model: Independence) -> Independence:
    if not model.proven and not model.foreign:
        return model
    return Independence(proven=False, reason=_FOREIGN, foreign=True, kept=model.kept)
