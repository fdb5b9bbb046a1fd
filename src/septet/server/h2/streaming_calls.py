"""Calls of gRPC methods that stream: many messages each way, or an answer that is given again."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from septet.errors import Malformed, SeptetError
from septet.protocols.http.http_messages import HttpReply
from septet.protocols.rpc.methods import Method
from septet.server.h2.grpc_calls import GrpcCall, StreamOwner, UnaryCall, with_time_left
from septet.server.h2.grpc_headers import UNAVAILABLE
from septet.server.h2.grpc_messages import GrpcMessage
from septet.server.h2.header_decoder import CallHead

#: Of a stream, in a turn of the event loop.
MESSAGES_PER_TURN: Final = 32
#: Codes of replies that end a stream: what follows would be refused as well.
_ENDING: Final = frozenset(("unauthenticated", "misdirected"))


class WatchCall(UnaryCall):
    """One message, an answer now, and another when the server drains."""

    __slots__ = ("_told_draining",)

    def _begin(self, message: GrpcMessage) -> None:
        self._message = message
        self._told_draining = self._owner.state.draining
        self._ask(message, self._head.headers)

    def _reply(self, reply: HttpReply) -> None:
        if reply.code != "ok":
            self._owner.end(self, self._owner.state.trailers.failure(reply))
            return
        self._owner.send(self, reply.body, None)
        self.on_draining()
        self.on_stopping()

    def on_draining(self) -> None:
        """Answer again, unless this is what was answered."""
        message = self._message
        if self.ended and message is not None and not self.busy and self._owner.state.draining != self._told_draining:
            self._begin(message)

    def on_stopping(self) -> None:
        """There is nothing more to tell."""
        if self._owner.refusing_streams and self.ended and not self.busy and not self.closed:
            self._owner.end(self, self._owner.state.trailers.plain)


class BidirectionalCall(GrpcCall):
    """Messages come and go, each answered in turn, until the caller ends or the server does."""

    __slots__ = ("_begun", "_resuming", "_turning")

    def __init__(self, owner: StreamOwner, number: int, method: Method, head: CallHead) -> None:
        super().__init__(owner, number, method, head)
        self._begun = time.monotonic()
        self._turning = self._resuming = False

    def _take(self, data: bytes) -> None:
        if not self._buffer:
            self.since = self._owner.state.registry.seconds
        self._buffer.extend(data)
        self._turn()

    def _reply(self, reply: HttpReply) -> None:
        fault = self._method.fault
        if reply.code == "ok":
            self._owner.send(self, reply.body, None)
        elif fault is not None and reply.code not in _ENDING:
            self._owner.send(self, fault(reply), None)
        else:
            self._owner.end(self, self._owner.state.trailers.failure(reply))
        self._go_on()

    def on_sent(self) -> None:
        """Take the next message: none is while an answer waits to be taken by the caller."""
        self._go_on()

    def on_stopping(self) -> None:
        """What has come is answered, then the stream ends."""
        self._go_on()

    def _go_on(self) -> None:
        try:
            self._turn()
        except SeptetError as error:
            self.refuse(error)

    def _turn(self) -> None:
        """Answer what can be answered now: a loop, since the answers to many may come at once.

        After some messages the rest waits for the next turn of the event loop: a frame may hold thousands.
        """
        if self._turning:
            return
        self._turning = True
        most_bytes = self._owner.state.limits.max_body_bytes
        try:
            for _ in range(MESSAGES_PER_TURN):
                if not self._free or (message := self._buffer.take(most_bytes)) is None:
                    break
                self.since = self._owner.state.registry.seconds
                self._ask(message, self._headers())
            else:
                self._resume_later()
        finally:
            self._turning = False
        if self._free and not self._resuming:
            self._end_if_answered()

    def _resume_later(self) -> None:
        if not self._resuming:
            self._resuming = True
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        self._resuming = False
        if not self.closed:
            self._go_on()

    @property
    def _free(self) -> bool:
        return not (self.busy or self.pending_data or self.closed or self._held is not None)

    def _end_if_answered(self) -> None:
        """End the call where the client or the server has ended it: all messages so far are answered."""
        owner = self._owner
        if self.ended:
            if self._buffer:
                raise Malformed("The call ended within a message.")
            owner.end(self, owner.state.trailers.plain)
        elif owner.refusing_streams:
            owner.end(self, owner.state.trailers.ended(UNAVAILABLE, "The server is draining."))
        else:
            owner.grant_window(self)

    def _headers(self) -> Mapping[bytes, bytes]:
        """The caller's, with the time that is left of the call."""
        return with_time_left(self._head.headers, self._begun)

    def _expecting(self) -> bool:
        return bool(self._buffer) and not self.busy


#: By `Method.streams`.
KINDS: Final[Mapping[str, type[GrpcCall]]] = {"no": UnaryCall, "both": BidirectionalCall, "answers": WatchCall}
