"""What is asked in which order to answer a call: generators that yield questions and are sent their answers.

They know neither wires nor time, so a client of threads and one of coroutines drive the same ones.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from septet.client.described import Model, model
from septet.client.intake import Form
from septet.client.questions import Describe, Infer, Question, Ready
from septet.client.shown import Show
from septet.errors import DeadlineExceeded, Invalid, Malformed, NotFound, Unavailable

#: Yields questions, is sent answers or thrown the SeptetError of a question without one, and returns the result.
Steps: TypeAlias = Generator[Question, Any, Any]

MOST_MODELS = 3  # that one call may meet before it gives up


class Conversation:
    """The calls of one client. It remembers the model that it met last."""

    def __init__(self) -> None:
        self._met: Model | None = None

    def ready(self) -> Steps:
        """Whether the server is there and takes requests."""
        try:
            return (yield Ready())
        except (Unavailable, DeadlineExceeded):
            return False

    def metadata(self) -> Steps:
        """The description of the model as the server has it now."""
        said = yield Describe()
        self._met = model(said)
        return said

    def predict(self, data: Any) -> Steps:
        """The prediction for each row of the data, in kind."""
        return self._answer(data, lambda met, form: (met.shown.predicted(form), met.shown.prediction))

    def labels(self, data: Any) -> Steps:
        """The label of each row of the data, in kind."""
        return self._answer(data, lambda met, _: (met.shown.labelled(), met.shown.labels))

    def _answer(self, data: Any, plan: Callable[[Model, Form], tuple[tuple[str, ...] | None, Show]]) -> Steps:
        """Ask, and ask anew where the server turns out to have another model than the one it was asked by."""
        met = self._met
        fresh = met is None
        for _ in range(MOST_MODELS):
            if met is None:
                met = yield from self._meet()
            try:
                taken = met.intake(data)
                outputs, show = plan(met, taken.form)
                answered = yield Infer(met.name, taken.tensors, outputs)
            except (Invalid, Malformed, NotFound):
                if fresh:
                    raise
                before, met = met, (yield from self._meet())
                if met.digest == before.digest:
                    raise
                fresh = True
                continue
            if answered.digest in (None, met.digest):
                return show(taken, answered.tensors)
            before, met = met, (yield from self._meet())
            if met.signature == before.signature:
                return show(taken, answered.tensors)
        raise Unavailable("The server changed its model several times during the call. Try again.")

    def _meet(self) -> Generator[Question, Any, Model]:
        self._met = met = model((yield Describe()))
        return met
