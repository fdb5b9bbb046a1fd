"""The phases of a connection, each with its own time limit."""

from enum import IntEnum


class Phase(IntEnum):
    """Opened and silent, between requests, reading a head, reading a body, or waiting for our own answer."""

    NEW = 0
    IDLE = 1
    HEAD = 2
    BODY = 3
    ANSWERING = 4
