"""HPACK (RFC 7541): a header block -> fields, in time linear in the block.

The library hpack copies the rest of a block for each of its fields, and takes any number of table updates: 128 KiB may
hold the event loop for a second. Its table, its Huffman code and its errors are used here, its loop is not.
"""

from typing import Final

from hpack import HPACKDecodingError, InvalidTableSizeError, OversizedHeaderListError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

#: Of the table, as SETTINGS_HEADER_TABLE_SIZE says where it is not sent.
TABLE_BYTES: Final = 4096
#: Updates of the table's size at the beginning of a block (RFC 7541, 4.2).
MAX_SIZE_UPDATES: Final = 2
#: What a field counts for beside its name and value (RFC 9113, 6.5.2).
FIELD_BYTES: Final = 32
_INDEXED, _ADDED, _SIZE_UPDATE, _HUFFMAN = 0x80, 0x40, 0x20, 0x80
# An integer of more bits is larger than any that is allowed.
_MOST_SHIFT: Final = 28
_CONTINUED, _SEVEN_BITS = 0x80, 0x7F


class HpackDecoder:
    """Reads the header blocks of one connection, in their order; fields may have so many bytes together.

    Attributes:
        changes: counted for each block that adds to the table or changes its size.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._table = HeaderTable()
        self.changes = 0

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """The fields of a block.

        Raises:
            HPACKError: it cannot be decoded; of the kind `OversizedHeaderListError` where it is too large.
        """
        pairs: list[tuple[bytes, bytes]] = []
        at, end, left = self._resize(block), len(block), self._most_bytes
        changed = at > 0
        while at < end:
            first = block[at]
            if first & _INDEXED:
                index, at = _integer(block, at, 7)
                name, value = self._table.get_by_index(index)
            else:
                adds = bool(first & _ADDED)
                if not adds and first & _SIZE_UPDATE:
                    raise HPACKDecodingError("A table size update is not at the beginning of its block.")
                index, at = _integer(block, at, 6 if adds else 4)
                if index:
                    name = self._table.get_by_index(index)[0]
                else:
                    name, at = _text(block, at)
                value, at = _text(block, at)
                if adds:
                    self._table.add(name, value)
                    changed = True
            left -= FIELD_BYTES + len(name) + len(value)
            if left < 0:
                raise OversizedHeaderListError(f"A header block has more than {self._most_bytes} bytes of fields.")
            pairs.append((name, value))
        self.changes += changed
        return pairs

    def _resize(self, block: bytes) -> int:
        """Read the updates of the table's size; where the fields begin."""
        at = updates = 0
        while at < len(block) and block[at] & 0xE0 == _SIZE_UPDATE:
            size, at = _integer(block, at, 5)
            updates += 1
            if size > TABLE_BYTES or updates > MAX_SIZE_UPDATES:
                raise InvalidTableSizeError("The table's size is changed too often, or beyond its limit.")
            self._table.maxsize = size
        return at


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """An integer with a prefix of so many bits (RFC 7541, 5.1), and where it ends."""
    try:
        most = (1 << bits) - 1
        value = block[at] & most
        at += 1
        if value < most:
            return value, at
        for shift in range(0, _MOST_SHIFT + 1, 7):
            byte = block[at]
            at += 1
            value += (byte & _SEVEN_BITS) << shift
            if not byte & _CONTINUED:
                return value, at
    except IndexError:
        raise HPACKDecodingError("A header block is cut.") from None
    raise HPACKDecodingError("An integer is too large.")


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    """A string (RFC 7541, 5.2), and where it ends."""
    start = at
    size, at = _integer(block, at, 7)
    end = at + size
    if end > len(block):
        raise HPACKDecodingError("A header block is cut.")
    text = block[at:end]
    return (decode_huffman(text) if block[start] & _HUFFMAN else text), end
