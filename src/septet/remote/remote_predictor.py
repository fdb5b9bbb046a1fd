"""A model on another server as a `Predictor`: each request is one call, whose deadline, id and trace go along.

Requests are not merged here: the other server does that. Connections are kept between calls, for each event loop its
own. A request that is cancelled closes its connection, which tells the other server.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from time import perf_counter

from septet.errors import (
    DeadlineExceeded,
    Invalid,
    Malformed,
    ModelFailed,
    Overloaded,
    SeptetError,
    TooLarge,
    Unavailable,
)
from septet.remote.channels import AsyncChannel
from septet.remote.remote_calls import InferCall, InferResult, RemoteCall
from septet.remote.remote_model import RemoteModel, septet_model
from septet.remote.remote_tensors import RemoteTensors
from septet.remote.retries import Attempts
from septet.types import Done, Identity, Pending, Predictor, Request, Response, Timings, adapt

#: Errors that mean to our caller what they mean to us; any other means that this server calls the other one wrongly.
SHARED = (Invalid, Malformed, TooLarge, Overloaded, Unavailable, DeadlineExceeded, ModelFailed)
MOST_DIGESTS = 64


class RemotePredictor(Predictor):
    """Predicts by calling a server that speaks the Open Inference Protocol.

    Args:
        model: as the server described it.
        open_channel: makes the channel of an event loop; those of all loops should share a budget of retries.
        timeout: seconds for a request without a deadline.
        retries: how often a call may be repeated where nothing was computed for it.
        description: the call by which Septet describes the model again when its digest changes; None for other servers.
    """

    def __init__(
        self,
        model: RemoteModel,
        open_channel: Callable[[], AsyncChannel],
        *,
        timeout: float,
        retries: int,
        description: RemoteCall | None,
    ) -> None:
        self._model = model
        self._open_channel = open_channel
        self._timeout = timeout
        self._retries = retries
        self._description = description
        self._tensors = RemoteTensors(model.signature)
        # Those of models with this signature.
        self._digests = {"", model.identity.digest}
        self._channels: dict[asyncio.AbstractEventLoop, tuple[AsyncChannel, AsyncGenerator[None, None]]] = {}
        self._adapted = adapt(self._answer)

    def submit(self, request: Request, done: Done) -> Pending:
        """Begin to answer a request."""
        return self._adapted.submit(request, done)

    async def _answer(self, request: Request) -> Response:
        """Answer a request.

        Raises:
            SeptetError: there is no answer; what is wrong with the request has its rows and columns.
        """
        begun = perf_counter()
        channel = await self._channel()
        timeout = self._timeout if request.deadline is None else max(0.0, request.deadline - time.monotonic())
        attempts = channel.attempts(self._retries, timeout)
        tensors = self._tensors.inputs(request.tensors)
        call = InferCall(self._model.identity.name, tensors, request.outputs, request.id, request.trace)
        try:
            result: InferResult = await channel.call(call, attempts)
            if result.model.digest not in self._digests:
                await self._read_model(result.model.digest, channel, attempts)
        except SeptetError as error:
            shown = error if isinstance(error, SHARED) or type(error) is SeptetError else self._refused(error)
            shown.request_id = request.id
            raise shown from error.__cause__
        outputs = self._tensors.outputs(result.tensors, request)
        timings = Timings(0.0, perf_counter() - begun, request.rows)
        return Response(outputs, request.rows, self._identity(result.model), timings, result.flags)

    def _refused(self, error: SeptetError) -> SeptetError:
        return Unavailable(f"The server of the model {self._model.identity.name!r} refused the call: {error.message}")

    def _identity(self, answered: Identity) -> Identity:
        """Who answered; what the server does not say of itself is as it was at the start."""
        known = self._model.identity
        if answered == known:
            return known
        return Identity(answered.name or known.name, answered.version or known.version, answered.digest or known.digest)

    async def _read_model(self, digest: str, channel: AsyncChannel, attempts: Attempts) -> None:
        """See whether a model of another digest takes and gives the same.

        Raises:
            Unavailable: it does not.
        """
        if self._description is not None:
            model = septet_model(await channel.call(self._description, attempts))
            if model.signature != self._model.signature:
                name = self._model.identity.name
                raise Unavailable(f"The server of the model {name!r} has another one now, with another signature.")
        if len(self._digests) >= MOST_DIGESTS:
            self._digests = {"", self._model.identity.digest}
        self._digests.add(digest)

    async def _channel(self) -> AsyncChannel:
        """The channel of the running event loop."""
        loop = asyncio.get_running_loop()
        found = self._channels.get(loop)
        if found is None:
            channel = self._open_channel()
            found = self._channels[loop] = (channel, self._held(loop, channel))
            await anext(found[1])
        return found[0]

    async def _held(self, loop: asyncio.AbstractEventLoop, channel: AsyncChannel) -> AsyncGenerator[None, None]:
        """Holds a channel open. Its event loop closes this generator at its own end, if nobody did before."""
        try:
            yield
        finally:
            self._channels.pop(loop, None)
            await channel.close()

    def close(self) -> None:
        """Close the connections, soon, on the event loops that have them."""
        for loop, (_, held) in list(self._channels.items()):
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(held.aclose(), loop)
