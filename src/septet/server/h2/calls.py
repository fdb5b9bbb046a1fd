"""One call of a gRPC method: its messages in, its answers out. A class for each way in which methods stream.

A call never waits: it is told what has come, asks the application, and is called back. So calls that come in one turn
of the event loop share a run of the model, and none needs a task.
"""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

from septet.errors import Malformed, SeptetError, TimedOut, Unimplemented
from septet.protocols.http.content_encoding import CODING
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.rpc.methods import Method, timeout_of
from septet.server.h2.answers import UNAVAILABLE
from septet.server.h2.frames import Code
from septet.server.h2.heads import IDENTITY, Head
from septet.server.h2.messages import PREFIX_BYTES, Inbox, Message, whole
from septet.server.h2.shared import Shared
from septet.types import Pending

#: What a stream may send before it is given leave for more.
STREAM_WINDOW: Final = 1 << 20
_HALF: Final = STREAM_WINDOW // 2
_TIMEOUT: Final = b"grpc-timeout"
_MOST_MILLISECONDS: Final = 99_999_999  # gRPC writes a timeout with at most eight digits


class Line(Protocol):
    """A connection, as its calls see it.

    Attributes:
        shared: what it shares with the others.
        departed: it takes no more calls.
    """

    shared: Shared
    departed: bool

    def send(self, call: "Call", body: bytes, trailers: bytes | None) -> None:
        """Send a message; with trailers it is the last one, and the call is over."""

    def end(self, call: "Call", trailers: bytes) -> None:
        """End the call without a further message."""

    def credit(self, call: "Call") -> None:
        """Give the caller leave to send what was used up."""

    def reset(self, call: "Call", code: Code) -> None:
        """End the call at once, without an answer."""


class Call(ABC):
    """What all calls have in common.

    Attributes:
        number: of its stream.
        ended: the caller has said all.
        opened: the head of the answer is sent.
        closed: nothing more may be sent.
        window: the bytes that may be sent to the caller.
        used: the bytes that the caller has sent and was not given leave for again.
        outgoing: what waits for the caller's windows.
        trailers: what goes behind that, and ends the call.
        since: when it last got on, in the worker's seconds.
    """

    __slots__ = (
        *("_busy", "_head", "_inbox", "_line", "_method", "_pending", "closed", "ended", "number", "opened"),
        *("outgoing", "since", "trailers", "used", "window"),
    )

    def __init__(self, line: Line, number: int, method: Method, head: Head) -> None:
        self._line = line
        self._method = method
        self._head = head
        self._inbox = Inbox(line.shared.limits.max_body_bytes)
        self._busy = False
        self._pending: Pending | None = None
        self.number = number
        self.ended = self.opened = self.closed = False
        self.window = self.used = 0
        self.outgoing: deque[memoryview] = deque()
        self.trailers: bytes | None = None
        self.since = line.shared.seconds

    @property
    def waiting(self) -> int:
        """The bytes that have come and were not taken yet."""
        return len(self._inbox)

    def receive(self, data: bytes) -> None:
        """Take in what came; `ended` is set before where nothing follows."""
        try:
            self._take(data)
        except SeptetError as error:
            self.refuse(error)

    def refuse(self, error: SeptetError) -> None:
        """End the call with an error that its handler knows nothing of."""
        shared = self._line.shared
        reply = shared.app.refuse(error, self._head.path, self._head.headers)
        self._line.end(self, shared.answers.failure(reply))

    def cancel(self) -> None:
        """Nobody waits for an answer any more (SY-9)."""
        self.closed = True
        if self._busy and self._pending is not None:
            self._pending.cancel()

    def advanced(self) -> None:
        """The caller has taken some of what is sent."""
        self.since = self._line.shared.seconds

    def sent(self) -> None:  # noqa: B027 - most calls do nothing then
        """What waited for the caller's windows is on its way, and the call goes on."""

    def drained(self) -> None:  # noqa: B027 - most calls do nothing then
        """The server says that it is about to stop."""

    def stopped(self) -> None:  # noqa: B027 - most calls do nothing then
        """The connection takes no more calls, and ends when those it has are over."""

    def swept(self) -> None:
        """End the call where the caller is too slow in sending, or in taking what is sent."""
        shared = self._line.shared
        limits, seconds = shared.limits, shared.seconds - self.since
        if self.outgoing:
            if seconds > limits.keep_alive_seconds:
                self._line.reset(self, Code.CANCEL)
        elif self._expecting() and seconds > limits.body_timeout_seconds:
            self.refuse(TimedOut(f"The message was not complete within {limits.body_timeout_seconds:g} s."))

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Take in what came; raises SeptetError where the call cannot go on."""

    @abstractmethod
    def _expecting(self) -> bool:
        """Whether the caller owes the rest of a message."""

    @abstractmethod
    def _reply(self, reply: HttpReply) -> None:
        """Send what the application has answered."""

    def _answered(self, reply: HttpReply) -> None:
        self._busy = False
        if not self.closed:
            self._reply(reply)

    def _ask(self, message: Message, headers: Mapping[bytes, bytes]) -> None:
        """Hand a message to the application, which may answer before this returns.

        Raises:
            Malformed: it is compressed without saying how.
        """
        if message.compressed:
            if self._head.coding == IDENTITY:
                raise Malformed("The message is compressed, but no grpc-encoding says how.")
            headers = {**headers, CODING: self._head.coding}
        self._hand_over(HttpRequest("POST", self._head.path, b"", headers, message.body))

    def _hand_over(self, http: HttpRequest) -> None:
        self._busy = True
        self._pending = self._line.shared.app.answer(http, self._answered)


class Unary(Call):
    """One message, one answer."""

    __slots__ = ("_message",)

    def __init__(self, line: Line, number: int, method: Method, head: Head) -> None:
        super().__init__(line, number, method, head)
        self._message: Message | None = None

    def _take(self, data: bytes) -> None:
        inbox = self._inbox
        if self.ended and not inbox and self._message is None and whole(data, self._line.shared.limits.max_body_bytes):
            self._begin(Message(data[PREFIX_BYTES:], compressed=False))
            return
        inbox.feed(data)
        if self._message is None:
            self._message = inbox.take()
        if self._message is not None and inbox:
            raise Unimplemented(f"{self._head.path} takes one message, not several.")
        if not self.ended:
            if self.used >= _HALF:
                self._line.credit(self)
        elif self._message is not None:
            self._begin(self._message)
        elif inbox:
            raise Malformed("The call ended within its message.")
        else:
            raise Unimplemented(f"{self._head.path} takes one message, and none came.")

    def _begin(self, message: Message) -> None:
        self._ask(message, self._head.headers)

    def _reply(self, reply: HttpReply) -> None:
        answers = self._line.shared.answers
        if reply.code == "ok":
            self._line.send(self, reply.body, answers.success(reply))
        else:
            self._line.end(self, answers.failure(reply))

    def _expecting(self) -> bool:
        return not self.ended


class Watch(Unary):
    """One message, an answer now, and another when the server drains."""

    __slots__ = ("_told_draining",)

    def _begin(self, message: Message) -> None:
        self._message = message
        self._told_draining = self._line.shared.draining
        self._ask(message, self._head.headers)

    def _reply(self, reply: HttpReply) -> None:
        if reply.code != "ok":
            self._line.end(self, self._line.shared.answers.failure(reply))
            return
        self._line.send(self, reply.body, None)
        self.drained()
        self.stopped()

    def drained(self) -> None:
        """Answer again, unless this is what was answered."""
        message = self._message
        if self.ended and message is not None and not self._busy and self._line.shared.draining != self._told_draining:
            self._begin(message)

    def stopped(self) -> None:
        """There is nothing more to tell."""
        if self._line.departed and self.ended and not self._busy and not self.closed:
            self._line.end(self, self._line.shared.answers.plain)


class Conversation(Call):
    """Messages come and go, each answered in turn, until the caller ends or the server does."""

    __slots__ = ("_begun", "_turning")

    def __init__(self, line: Line, number: int, method: Method, head: Head) -> None:
        super().__init__(line, number, method, head)
        self._begun = time.monotonic()
        self._turning = False

    def _take(self, data: bytes) -> None:
        if not self._inbox:
            self.since = self._line.shared.seconds
        self._inbox.feed(data)
        self._turn()

    def _reply(self, reply: HttpReply) -> None:
        fault = self._method.fault
        if reply.code == "ok":
            self._line.send(self, reply.body, None)
        elif fault is not None:
            self._line.send(self, fault(reply), None)
        else:
            self._line.end(self, self._line.shared.answers.failure(reply))
        self._go_on()

    def sent(self) -> None:
        """Take the next message: none is while an answer waits to be taken by the caller."""
        self._go_on()

    def stopped(self) -> None:
        """What has come is answered, then the stream ends."""
        self._go_on()

    def _go_on(self) -> None:
        try:
            self._turn()
        except SeptetError as error:
            self.refuse(error)

    def _turn(self) -> None:
        """Answer what can be answered now: a loop, since the answers to many may come at once."""
        if self._turning:
            return
        self._turning = True
        try:
            while self._free and (message := self._inbox.take()) is not None:
                self.since = self._line.shared.seconds
                self._ask(message, self._headers())
        finally:
            self._turning = False
        if self._free:
            self._rest()

    @property
    def _free(self) -> bool:
        return not (self._busy or self.outgoing or self.closed)

    def _rest(self) -> None:
        """All that has come is answered."""
        line = self._line
        if self.ended:
            if self._inbox:
                raise Malformed("The call ended within a message.")
            line.end(self, line.shared.answers.plain)
        elif line.departed:
            line.end(self, line.shared.answers.ended(UNAVAILABLE, "The server is draining."))
        elif self.used >= _HALF:
            line.credit(self)

    def _headers(self) -> Mapping[bytes, bytes]:
        """The caller's, with the time that is left of the call."""
        headers = self._head.headers
        seconds = timeout_of(headers)
        if seconds is None:
            return headers
        left = int((self._begun + seconds - time.monotonic()) * 1000)
        return {**headers, _TIMEOUT: b"%dm" % max(0, min(left, _MOST_MILLISECONDS))}

    def _expecting(self) -> bool:
        return bool(self._inbox) and not self._busy


#: By `Method.streams`.
KINDS: Final[Mapping[str, type[Call]]] = {"no": Unary, "both": Conversation, "answers": Watch}
