"""Where the embedded store finds a job by its id.

Ids are random, so each new one belongs to another page of an index: with a million jobs, an index of ids would make
most of what an accept writes. So new ones go to a small table, and a sixteenth of that, by range, is moved to the large
one now and then: many then share a page.
"""

import zlib
from collections.abc import Iterable
from typing import Final

from septet.queues.sqlite_database import Connection

#: The condition for a row of an id; its parameters are the id and its checksum.
BY_ID: Final = (
    "place IN (SELECT place FROM recent_ids WHERE checksum = ?2"
    " UNION ALL SELECT place FROM older_ids WHERE checksum = ?2) AND id = ?1"
)
_PARTS: Final = 16
_JOBS_BETWEEN_MOVES: Final = 4096
_LOWEST: Final = -(1 << 31)
_PART: Final = (1 << 32) // _PARTS


def checksum_of(identifier: str) -> int:
    """A number of 32 bits; two ids may have the same."""
    return zlib.crc32(identifier.encode(errors="surrogatepass")) + _LOWEST


def add_id(connection: Connection, identifier: str, place: int) -> None:
    """Note where a job is, whose place is higher than all before."""
    connection.execute("INSERT INTO recent_ids VALUES (?, ?)", (checksum_of(identifier), place))
    if place % _JOBS_BETWEEN_MOVES == 0:
        first = _LOWEST + place // _JOBS_BETWEEN_MOVES % _PARTS * _PART
        part = "FROM recent_ids WHERE checksum >= ? AND checksum < ?"
        connection.execute(f"INSERT INTO older_ids SELECT checksum, place {part}", (first, first + _PART))
        connection.execute(f"DELETE {part}", (first, first + _PART))


def remove_ids(connection: Connection, places: Iterable[tuple[str, int]]) -> None:
    """Forget where jobs were."""
    rows = [(checksum_of(identifier), place) for identifier, place in places]
    for table in ("recent_ids", "older_ids"):
        connection.executemany(f"DELETE FROM {table} WHERE checksum = ? AND place = ?", rows)
