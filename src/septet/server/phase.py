"""The phases of a connection, each with its own time limit."""

from enum import IntEnum


class Phase(IntEnum):
    """In the order of a connection's life.

    Opened and silent, between requests, reading a head, reading a body, waiting for our own answer; writing the last
    answer, and discarding what a refused client still sends.
    """

    NEW = 0
    IDLE = 1
    HEAD = 2
    BODY = 3
    ANSWERING = 4
    CLOSING = 5
    LINGERING = 6


# When draining: a request may be on its way on a connection that was just opened, or just used.
PARTING_SECONDS = {Phase.NEW: 1.0, Phase.IDLE: 0.2}
