"""The phases of a connection, each with its own time limit, in the order of its life.

Plain numbers: a connection changes its phase four times in a request, and to name a member of an enumeration costs ten
times what naming a constant does (CPython 3.11).
"""

# Opened and silent, between requests, reading a head, reading a body, waiting for our own answer; closing, and, behind
# the last answer, discarding what the client still sends.
NEW, IDLE, HEAD, BODY, ANSWERING, CLOSING, LINGERING = range(7)

# When draining: a request may be on its way on a connection that was just opened, or just used.
DRAIN_SECONDS = {NEW: 1.0, IDLE: 0.2}
