"""A reply that is written piece by piece, as its pieces come."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable

logger = logging.getLogger("septet.server")

#: RFC 9112, section 7.1.
LAST_CHUNK = b"0\r\n\r\n"


def chunk(piece: bytes) -> bytes:
    """A piece in the chunked transfer coding; an empty one would end it."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


class StreamedReply:
    """A `Pending` that writes the pieces of a reply, in chunks or as they are, and calls `ended` behind the last one.

    Where they fail, the transport is aborted: the caller must not take what it has for the whole.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        first: bytes,
        pieces: AsyncGenerator[bytes, None],
        ended: Callable[[], None],
        *,
        chunked: bool,
    ) -> None:
        self._transport = transport
        self._first = first
        self._pieces = pieces
        self._ended: Callable[[], None] | None = ended
        self._chunked = chunked
        self._task = asyncio.get_running_loop().create_task(self._run())

    def cancel(self) -> None:
        """The caller went away, or the server stops."""
        self._ended = None
        self._task.cancel()

    async def _run(self) -> None:
        try:
            self._write(self._first)
            async with contextlib.aclosing(self._pieces) as pieces:
                async for piece in pieces:
                    self._write(piece)
        except Exception:
            logger.exception("a reply ended before its last piece")
            self._transport.abort()
            return
        ended, self._ended = self._ended, None
        if ended is not None:
            if self._chunked:
                self._transport.write(LAST_CHUNK)
            ended()

    def _write(self, piece: bytes) -> None:
        self._transport.write(chunk(piece) if self._chunked else piece)
