"""The limits of a request that a caller should know."""

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """At most `max_rows` rows in one request, and `max_body_bytes` bytes in one body."""

    max_rows: int
    max_body_bytes: int
