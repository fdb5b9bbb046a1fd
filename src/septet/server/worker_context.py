"""What a worker process is given by its parent, and the pipe between both."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence

import msgspec

from septet.monitoring.shared_metrics import SharedMetrics
from septet.server.release_messages import FromWorker, ToWorker

#: How a line begins that a worker sends: that it is ready, why it cannot start, that a run does not end, a message
#: about a release.
READY, FAILED, STUCK, MESSAGE = b"R", b"F", b"S", b"M"
LONGEST_REASON_BYTES = 32768
_CHUNK_BYTES = 65536


class WorkerContext:
    """A worker's place among the others.

    Attributes:
        index: from 0; the same for a worker and its replacement.
        slot: its row of the shared metrics; no other living process has it.
        sockets: bound and listening, shared with the other workers.
        shared_metrics: shared with the other workers and the parent.
        first: no worker was ready before it was made.
    """

    def __init__(
        self,
        index: int,
        slot: int,
        sockets: Sequence[socket.socket],
        shared_metrics: SharedMetrics,
        pipe: int,
        *,
        first: bool = True,
    ) -> None:
        self.index = index
        self.slot = slot
        self.sockets = sockets
        self.shared_metrics = shared_metrics
        self.first = first
        self._pipe = pipe

    def ready(self) -> None:
        """Tell the parent that this worker answers; from now on it must `beat`."""
        self.beat()
        self._send(READY)

    def fail(self, reason: str) -> None:
        """Tell the parent why this worker cannot start; the worker then returns 2."""
        text = reason.encode(errors="backslashreplace")[:LONGEST_REASON_BYTES].decode(errors="ignore")
        self._send(FAILED + msgspec.json.encode(text))

    def send(self, message: FromWorker) -> None:
        """Tell the parent something about a release."""
        self._send(MESSAGE + msgspec.json.encode(message))

    def listen(self, receive: Callable[[ToWorker], None]) -> None:
        """Call `receive` with each message of the parent, on the running event loop, until that ends."""
        decoder = msgspec.json.Decoder(ToWorker)
        received = bytearray()

        def readable() -> None:
            chunk = b""
            with contextlib.suppress(OSError):  # the parent has ended, and this process will
                chunk = os.read(self._pipe, _CHUNK_BYTES)
            if not chunk:
                loop.remove_reader(self._pipe)
                return
            received.extend(chunk)
            *lines, rest = received.split(b"\n")
            received[:] = rest
            for line in lines:
                receive(decoder.decode(line))

        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe, readable)

    def stuck(self) -> None:
        """Tell the parent that a run does not end, and that another worker must take this one's place."""
        self._send(STUCK)

    def beat(self) -> None:
        """Show that the event loop is alive; call it every second."""
        self.shared_metrics.beat(self.slot, time.monotonic())

    def _send(self, message: bytes) -> None:
        # Without a parent nobody listens, and the process is about to end.
        with contextlib.suppress(OSError):
            os.write(self._pipe, message + b"\n")
