"""What is sent: the load, the server it goes to, and the requests it is made of. Plain records, sent to processes."""

import math
from typing import Literal, TypeAlias

import msgspec

from septet.remote.caller_tls import SYSTEM_TLS, CallerTls

Arrivals: TypeAlias = Literal["constant", "poisson"]


class Load(msgspec.Struct, frozen=True):
    """One load on a server; times in seconds.

    Attributes:
        rate: requests per second that are due whatever the server does (an open loop), or None for a closed loop,
            where each connection sends its next request when it has the answer to the last.
        connections: how many are open, each with at most one request in flight.
        seconds: how long requests are recorded.
        warmup: how long requests are sent before that.
        timeout: after which a request counts as an error, and its connection is given up.
        arrivals: of an open loop: evenly spaced, or at random as from many independent callers.
        seed: of random arrivals.
    """

    connections: int
    seconds: float
    rate: float | None = None
    warmup: float = 0.0
    timeout: float = 10.0
    arrivals: Arrivals = "constant"
    seed: int = 0


class Target(msgspec.Struct, frozen=True):
    """A server's address. `authority` is for the header `host`; `caller` has the files for TLS.

    `api_key` is sent with every request; empty for none.
    """

    host: str
    port: int
    authority: str
    tls: bool = False
    insecure: bool = False
    caller: CallerTls = SYSTEM_TLS
    api_key: str = ""

    def __repr__(self) -> str:
        """Show where it is, and not its key."""
        return f"Target({self.host!r}, {self.port})"


class Payload(msgspec.Struct, frozen=True):
    """One request, ready to be written, and what is known of its answer.

    Attributes:
        data: the bytes of the whole request, head and body.
        body_bytes: how many of these are its body.
        rows: how many rows the answer must have, or None where it is not looked into.
        expected: the `prediction` that the answer must have within the tolerances, or None where it is not compared.
    """

    data: bytes
    body_bytes: int
    rows: int | None = None
    expected: list[object] | None = None
    absolute_tolerance: float = 0.0
    relative_tolerance: float = 0.0


AnswerForm: TypeAlias = Literal["any", "prediction", "outputs", "binary-outputs"]


class LoadPlan(msgspec.Struct, frozen=True):
    """Where requests go and what they are, in turn. `form` is how answers are read, to count their rows."""

    target: Target
    payloads: tuple[Payload, ...]
    form: AnswerForm = "any"


def share(load: Load, index: int, processes: int) -> Load:
    """The part of a load that one of several processes makes."""
    count = load.connections // processes + (index < load.connections % processes)
    rate = None if load.rate is None else load.rate / processes
    return msgspec.structs.replace(load, connections=max(1, count), rate=rate, seed=load.seed + index)


def requests_due(load: Load) -> int:
    """How many requests an open loop sends, warm-up included, where they are evenly spaced."""
    return 0 if load.rate is None else max(1, math.ceil(load.rate * (load.warmup + load.seconds)))
