"""How many frames a connection may send that make work and bring nothing; calls that are answered make up for some.

nginx and Envoy bound floods of such frames in the same way: nginx ends a connection whose bytes are over eight times
those of its requests and 1 MiB; Envoy allows 100 PRIORITY for each stream, and 10 WINDOW_UPDATE for each DATA sent.
"""

from typing import Final

from septet.server.h2.h2_frames import ErrorCode, H2ConnectionError

#: Frames that a connection may send at once, and again in each second.
FRAMES_PER_SECOND: Final = 1000
#: An answered message makes up for so many, such as the WINDOW_UPDATE and the PING that follow it.
FRAMES_PER_ANSWER: Final = 4
#: A client that takes a long answer makes up for a frame with so many bytes.
BYTES_PER_FRAME: Final = 4096
#: What is saved of all that for later, at most.
MOST_SAVED: Final = 100_000
#: A DATA frame of fewer bytes, which does not end its stream, is counted.
SMALL_DATA_BYTES: Final = 32
#: A header block that is refused is counted once, and again for each so many bytes.
REFUSED_BLOCK_BYTES: Final = 1024


class FrameBudget:
    """The budget of one connection.

    Attributes:
        left: frames that may still come.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = FRAMES_PER_SECOND

    def spend(self, frames: int = 1) -> None:
        """Count frames.

        Raises:
            H2ConnectionError: there are too many.
        """
        self.charge(frames)
        if self.left < 0:
            raise H2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "Too many frames without use.")

    def charge(self, frames: int) -> None:
        """Count frames; the next that is spent for raises where there are too many."""
        self.left -= frames

    def earn(self, frames: int) -> None:
        """Allow so many more."""
        if self.left < MOST_SAVED:
            self.left += frames

    def second_passed(self) -> None:
        """Allow what is allowed in each second; only what was earned is saved for later."""
        self.left = max(self.left, FRAMES_PER_SECOND)
