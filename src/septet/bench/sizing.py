"""How many servers like the measured one a wished rate needs."""

import math

import msgspec

USED_SHARE = 0.7  # of what one can do: room for bursts, and for one that is being replaced


class Sizing(msgspec.Struct, frozen=True):
    """`replicas` servers, each as measured at `capacity` requests/s and used to `used_share`, answer `rate`."""

    rate: float
    capacity: float
    used_share: float
    replicas: int


def sizing(rate: float, capacity: float) -> Sizing | None:
    """Suggest a number of servers; None where the measured one answered nothing."""
    if capacity <= 0:
        return None
    return Sizing(rate, capacity, USED_SHARE, max(1, math.ceil(rate / (capacity * USED_SHARE))))
