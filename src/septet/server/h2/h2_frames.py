"""HTTP/2's frames between bytes and records (RFC 9113, 4 and 6). Pure; nothing here knows a connection."""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from struct import Struct
from typing import Final, TypeAlias

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER_BYTES: Final = 9
#: The largest payload that is taken: the protocol's default, which is not changed here.
MAX_FRAME_BYTES: Final = 16_384
MAX_WINDOW: Final = 2**31 - 1
MAX_STREAM_ID: Final = 2**31 - 1

# Kinds of frames. Plain numbers, as in `septet.server.connection_phase`: some are compared for every frame.
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
# Flags.
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITISED = 0x4, 0x8, 0x20
# Settings.
ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 2, 3, 4, 5, 6

#: The high and the low bits of the size of the payload, kind, flags and stream.
FRAME_HEADER: Final = Struct(">BHBBI")
_SETTING = Struct(">HI")
SETTING_BYTES: Final = _SETTING.size
_NUMBER = Struct(">I")
_GOAWAY = Struct(">II")
_PRIORITY_BYTES = 5

#: Kind, flags, stream and payload.
Frame: TypeAlias = tuple[int, int, int, bytes]


class ErrorCode(IntEnum):
    """Why a stream or a connection ends (RFC 9113, 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11


class H2ConnectionError(Exception):
    """Raised when the peer breaks the protocol so that nothing more can be understood of the connection."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class H2StreamError(Exception):
    """Raised when the peer breaks the protocol within one stream; the others go on."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.code = code


class FrameSplitter:
    """Splits what one client sends into frames, however it was cut on its way."""

    def __init__(self) -> None:
        self._rest = b""
        self._preface_received = False

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._rest)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with this chunk.

        Raises:
            H2ConnectionError: the client does not begin as HTTP/2 does, or a frame is too large.
        """
        if self._rest:
            data = self._rest + data
        at = 0
        if not self._preface_received:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "This port speaks HTTP/2 with prior knowledge.")
            if len(data) < len(PREFACE):
                self._rest = data
                return
            self._preface_received = True
            at = len(PREFACE)
        end = len(data)
        while end - at >= FRAME_HEADER_BYTES:
            high, low, kind, flags, stream = FRAME_HEADER.unpack_from(data, at)
            size = high << 16 | low
            if size > MAX_FRAME_BYTES:
                raise H2ConnectionError(
                    ErrorCode.FRAME_SIZE_ERROR, f"A frame has {size} bytes, over {MAX_FRAME_BYTES}."
                )
            start = at + FRAME_HEADER_BYTES
            if start + size > end:
                break
            at = start + size
            yield kind, flags, stream & MAX_STREAM_ID, data[start:at]
        self._rest = data[at:]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame; the payload has at most 2**24 - 1 bytes."""
    size = len(payload)
    return FRAME_HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def headers(stream: int, block: bytes, *, last: bool) -> bytes:
    """A header block, in as many frames as it needs; `last`: nothing follows it in its stream."""
    flags = END_STREAM if last else 0
    if len(block) <= MAX_FRAME_BYTES:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    parts = [block[start : start + MAX_FRAME_BYTES] for start in range(0, len(block), MAX_FRAME_BYTES)]
    ends = [0] * (len(parts) - 1) + [END_HEADERS]
    return frame(HEADERS, flags, stream, parts[0]) + b"".join(
        frame(CONTINUATION, end, stream, part) for end, part in zip(ends[1:], parts[1:], strict=True)
    )


def settings(values: Mapping[int, int]) -> bytes:
    """Our settings."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in values.items()))


def window_update(stream: int, size: int) -> bytes:
    """Leave to send so many more bytes; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, _NUMBER.pack(size))


def rst_stream(stream: int, code: ErrorCode) -> bytes:
    """The end of one stream."""
    return frame(RST_STREAM, 0, stream, _NUMBER.pack(code))


def goaway(last: int, code: ErrorCode, message: str = "") -> bytes:
    """The end of a connection: streams after `last` were not looked at."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last, code) + message.encode())


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """The peer's settings, those with rules of their own checked.

    Raises:
        H2ConnectionError: the payload is cut, or a value is not allowed.
    """
    if len(payload) % _SETTING.size:
        raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "A SETTINGS frame is cut.")
    for name, value in _SETTING.iter_unpack(payload):
        if name == ENABLE_PUSH and value > 1:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is neither 0 nor 1.")
        if name == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise H2ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is too large.")
        if name == MAX_FRAME_SIZE and not MAX_FRAME_BYTES <= value < 1 << 24:
            raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of its range.")
        yield name, value


def read_number(payload: bytes) -> int:
    """The one number of a RST_STREAM or WINDOW_UPDATE frame, without the reserved bit.

    Raises:
        H2ConnectionError: the payload is not four bytes.
    """
    if len(payload) != _NUMBER.size:
        raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "A frame must have four bytes.")
    return int.from_bytes(payload) & MAX_STREAM_ID


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without its padding.

    Raises:
        H2ConnectionError: there is more padding than payload.
    """
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise H2ConnectionError(ErrorCode.PROTOCOL_ERROR, "A frame has more padding than bytes.")
    return payload[1 : len(payload) - payload[0]]


def block_of(flags: int, payload: bytes) -> bytes:
    """The piece of a header block in a HEADERS frame; the priority before it means nothing here.

    Raises:
        H2ConnectionError: the frame is cut.
    """
    piece = unpadded(flags, payload)
    if not flags & PRIORITISED:
        return piece
    if len(piece) < _PRIORITY_BYTES:
        raise H2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "A HEADERS frame is cut.")
    return piece[_PRIORITY_BYTES:]
