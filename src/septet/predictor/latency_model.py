"""What a run of a model is expected to take, and what follows from that."""

import math

import msgspec

# A run that is expected to be longer is made in a thread.
INLINE_SECONDS = 0.001
# Rows are merged until the fixed part of a run, and handing it to the thread, are a small part of it: more would only
# let requests wait for each other.
GAIN = 16


class LatencyModel(msgspec.Struct, frozen=True):
    """The expected seconds of a run: a fixed part and a part for each row, as measured by warm-up."""

    fixed: float
    per_row: float

    def seconds(self, rows: int, runs: int = 1) -> float:
        """The expected duration of a run of so many rows, or of several runs that have them together."""
        return self.fixed * runs + self.per_row * rows

    def worthwhile(self, most: int, handover: float = 0.0) -> int:
        """The rows, at most so many, up to which merging them pays, where each run takes `handover` seconds besides."""
        if self.per_row <= 0.0:
            return most
        return max(1, min(most, math.ceil(GAIN * (self.fixed + handover) / self.per_row)))
