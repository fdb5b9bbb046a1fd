"""A runtime whose rows are independent by its package's declaration, proven on the golden rows."""

from septet.runtimes.base import Independence, Runtime

_REASON = "the package says so, and its golden rows, nulls and extreme values have the same answers alone and shuffled"


class RowIndependentRuntime:
    """The same runtime, its rows independent. It must have been proven; see `septet.predictor.comparison`."""

    def __init__(self, runtime: Runtime) -> None:
        self.signature = runtime.signature
        self.independence = Independence(proven=True, reason=_REASON, kept=runtime.independence.kept)
        self.open_ended = runtime.open_ended
        # The very functions: nothing stands between a request and the model.
        self.run = runtime.run
        self.close = runtime.close
