"""Changes of known inputs, always the same ones for a seed: for where coverage is not watched."""

from collections.abc import Iterator, Sequence
from random import Random

_ODD = (
    b"",
    b"\0",
    b"\xff",
    b"\r\n",
    b'"',
    b"\\",
    b",",
    b"[",
    b"]",
    b"{",
    b"}",
    b"NaN",
    b"1e999",
    b"-0",
    b"\x80",
    b"null",
)
_ODDER = (*_ODD, b"99999999999999999999", b"\xed\xa0\x80", b"\x7f\xff\xff\xff", b"true", b"0.1", b"\xe2\x80\xae")
MOST_BYTES = 4096


def mutated(known: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """First the known inputs themselves, then changed ones without end."""
    yield from known
    random = Random(seed)
    while True:
        data = bytearray(random.choice(known))
        for _ in range(random.choice((1, 1, 1, 2, 4, 8))):
            _change(data, known, random)
        yield bytes(data[:MOST_BYTES])


def _change(data: bytearray, known: Sequence[bytes], random: Random) -> None:
    at = random.randrange(len(data) + 1)
    size = random.choice((1, 1, 2, 4, 16, 64))
    kind = random.randrange(6)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << random.randrange(8)
    elif kind == 1:
        data[at : at + size] = b""
    elif kind == 2:
        data[at:at] = data[at : at + size] * random.choice((1, 2, 30))
    elif kind == 3:
        data[at : at + random.choice((0, 1, 4))] = random.choice(_ODDER)
    elif kind == 4:
        other = random.choice(known)
        start = random.randrange(len(other) + 1)
        data[at : at + size] = other[start : start + size]
    elif at < len(data):
        data[at] = random.randrange(256)
