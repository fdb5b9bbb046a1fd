"""What is called in which order to answer a user's call: generators that yield calls and are sent their results.

They know neither transports nor time, so a client of threads and one of coroutines drive the same ones.
"""

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

import msgspec

from septet.client.input_adapter import InputAdapter, InputKind, ModelInputs
from septet.client.output_adapter import OutputAdapter
from septet.errors import DeadlineExceeded, Invalid, Malformed, NotFound, SeptetError, Unavailable
from septet.remote.channels import AsyncChannel, ThreadChannel
from septet.remote.remote_calls import InferCall, InferResult, MetadataCall, ReadyCall, RemoteCall
from septet.remote.remote_model import RemoteModel, septet_model
from septet.remote.retries import Attempts
from septet.types import Array, Tensors

#: Yields calls, is sent results or thrown the SeptetError of a call without one, and returns what the user is given.
Steps: TypeAlias = Generator[RemoteCall, Any, Any]
#: Shows the outputs for what was given, in kind.
Show: TypeAlias = Callable[[ModelInputs, Tensors], Any]

MOST_MODELS = 3  # that one call may meet before it gives up


class AdaptedModel(msgspec.Struct, frozen=True):
    """A model on a server with its adapters."""

    remote: RemoteModel
    inputs: InputAdapter
    outputs: OutputAdapter


class CallFlow:
    """The calls of one client, for a model by its name or for the only one.

    Attributes:
        model: that it met last.
    """

    def __init__(self, model: str | None = None) -> None:
        self._metadata = MetadataCall(model)
        self.model: AdaptedModel | None = None

    def ready(self) -> Steps:
        """Whether the server is there and takes requests."""
        try:
            return (yield ReadyCall())
        except (Unavailable, DeadlineExceeded):
            return False

    def metadata(self) -> Steps:
        """The description of the model as the server has it now."""
        metadata = yield self._metadata
        self.model = adapted(metadata)
        return metadata

    def predict(self, data: Any) -> Steps:
        """The prediction for each row of the data, in kind."""
        return self._answer(data, lambda outputs, kind: (outputs.predicted(kind), outputs.prediction))

    def labels(self, data: Any) -> Steps:
        """The label of each row of the data, in kind."""
        return self._answer(data, lambda outputs, _: (outputs.labelled(), outputs.labels))

    def _answer(
        self, data: Any, plan: Callable[[OutputAdapter, InputKind], tuple[tuple[str, ...] | None, Show]]
    ) -> Steps:
        """Infer, and again where the server turns out to have another model than the one that the call was made for."""
        model = self.model
        fresh = model is None
        for _ in range(MOST_MODELS):
            if model is None:
                model = yield from self.read_model()
            try:
                given = model.inputs(data)
                outputs, show = plan(model.outputs, given.kind)
                name, byte_outputs = model.remote.identity.name, model.inputs.byte_outputs
                result: InferResult = yield InferCall(name, given.tensors, outputs, byte_outputs=byte_outputs)
            except (Invalid, Malformed, NotFound):
                if fresh:
                    raise
                before, model = model, (yield from self.read_model())
                if model.remote.identity.digest == before.remote.identity.digest:
                    raise
                fresh = True
                continue
            if result.model.digest in ("", model.remote.identity.digest):
                return show(given, writable(result.tensors))
            before, model = model, (yield from self.read_model())
            if model.remote.signature == before.remote.signature:
                return show(given, writable(result.tensors))
        raise Unavailable("The server changed its model several times during the call. Try again.")

    def read_model(self) -> Generator[RemoteCall, Any, AdaptedModel]:
        """The model that the server has now."""
        self.model = model = adapted((yield self._metadata))
        return model


def run_flow(steps: Steps, channel: ThreadChannel, attempts: Attempts) -> Any:
    """Make the calls of a flow one by one and return its result; all of them share the attempts.

    Raises:
        SeptetError: there is none.
    """
    try:
        call = next(steps)
        while True:
            try:
                result = channel.call(call, attempts)
            except SeptetError as error:
                call = steps.throw(error)
            else:
                call = steps.send(result)
    except StopIteration as end:
        return end.value


async def run_flow_async(steps: Steps, channel: AsyncChannel, attempts: Attempts) -> Any:
    """The same in a coroutine."""
    try:
        call = next(steps)
        while True:
            try:
                result = await channel.call(call, attempts)
            except SeptetError as error:
                call = steps.throw(error)
            else:
                call = steps.send(result)
    except StopIteration as end:
        return end.value


def adapted(metadata: dict[str, Any]) -> AdaptedModel:
    """The model that a description tells of, with its adapters."""
    remote = septet_model(metadata)
    inputs = InputAdapter(remote.signature, max_rows=remote.max_rows)
    return AdaptedModel(remote, inputs, OutputAdapter(remote.signature))


def writable(tensors: Tensors) -> Tensors:
    """Copies of the arrays that are views of the reply: who is given an array expects to write to it."""

    def each(array: Array) -> Array:
        return array if array.flags.writeable else array.copy()

    return {name: each(array) for name, array in tensors.items()}
