"""What a run of a model is expected to take: as measured at warm-up, and corrected by what runs took of late."""

import math

import msgspec

# A run that is expected to be longer is made in a thread.
INLINE_SECONDS = 0.001
# Rows are merged until the fixed part of a run, and handing it to the thread, are a small part of it: more would only
# let requests wait for each other.
GAIN = 16
# A run on the loop that takes longer than this was not short: so many in a row, and runs leave the loop for a while,
# twice as long each time. A single one says nothing: the machine may have been busy with something else.
LONG_SECONDS, MOST_LONG = 0.005, 3
FIRST_LEAVE_SECONDS, LONGEST_LEAVE_SECONDS = 10.0, 600.0
# How fast the estimate follows what runs in the thread really take.
MEMORY = 0.1
# What handing a run to the thread and back takes besides: at first, and at most. It grows with what the loop has to do.
HANDOVER_SECONDS, LONGEST_HANDOVER_SECONDS = 0.0003, 0.01


class LatencyModel(msgspec.Struct, frozen=True):
    """The expected seconds of a run: a fixed part and a part for each row, as measured by warm-up."""

    fixed: float
    per_row: float

    def seconds(self, rows: int, runs: int = 1) -> float:
        """The expected duration of a run of so many rows, or of several runs that have them together."""
        return self.fixed * runs + self.per_row * rows

    def rows_within(self, seconds: float) -> float:
        """The most rows of a run that takes no longer; negative where not even the fixed part is over by then."""
        left = seconds - self.fixed
        return left / self.per_row if self.per_row > 0.0 else math.copysign(math.inf, left)

    def worthwhile(self, most: int, handover: float = 0.0) -> int:
        """The rows, at most so many, up to which merging them pays, where each run takes `handover` seconds besides."""
        if self.per_row <= 0.0:
            return most
        return max(1, min(most, math.ceil(GAIN * (self.fixed + handover) / self.per_row)))


class RunEstimate(msgspec.Struct, frozen=True):
    """A value: what a run teaches makes the next estimate. Times in seconds.

    Attributes:
        latency: of a run, as measured by warm-up.
        max_batch_rows: the most rows that may be merged.
        not_inline_before: until then, in monotonic seconds, no run is made on the loop.
        slowness: how many times longer than at warm-up runs in the thread take: on other values, or while the machine
            is busy.
        handover: what handing a run to the thread and back takes.
        long_runs: how many runs on the loop took long, one behind the other.
        leave_seconds: for how long runs leave the loop next time.
        inline_rows, thread_rows: the rows up to which merging pays in a run on the loop, and in the thread; derived.
        short_rows: the most rows whose run is short; below 1 where none is; derived.
    """

    latency: LatencyModel
    max_batch_rows: int
    not_inline_before: float = 0.0
    slowness: float = 1.0
    handover: float = HANDOVER_SECONDS
    long_runs: int = 0
    leave_seconds: float = FIRST_LEAVE_SECONDS
    inline_rows: int = 0
    thread_rows: int = 0
    short_rows: float = 0.0

    def __post_init__(self) -> None:
        worthwhile = self.latency.worthwhile
        msgspec.structs.force_setattr(self, "inline_rows", worthwhile(self.max_batch_rows))
        msgspec.structs.force_setattr(self, "thread_rows", worthwhile(self.max_batch_rows, self.handover))
        msgspec.structs.force_setattr(self, "short_rows", self.latency.rows_within(INLINE_SECONDS))

    def is_short(self, now: float, rows: int) -> bool:
        """Whether a run of so many rows may be made on the loop."""
        return rows <= self.short_rows and now >= self.not_inline_before

    def thread_seconds(self, rows: int) -> float:
        """What a run of so many rows takes in the thread."""
        return self.latency.seconds(rows) * self.slowness + self.handover

    def queue_seconds(self, rows: int) -> float:
        """What it takes to run so many rows that wait, in the thread and merged."""
        runs = -(-rows // self.thread_rows)
        return self.latency.seconds(rows, runs) * self.slowness + runs * self.handover

    def after_inline_run(self, ended: float, seconds: float) -> "RunEstimate":
        """The estimate after a run on the loop that took so long."""
        if seconds <= LONG_SECONDS:
            return msgspec.structs.replace(self, long_runs=0) if self.long_runs else self
        if self.long_runs + 1 < MOST_LONG:
            return msgspec.structs.replace(self, long_runs=self.long_runs + 1)
        return msgspec.structs.replace(
            self,
            long_runs=0,
            not_inline_before=ended + self.leave_seconds,
            leave_seconds=min(2 * self.leave_seconds, LONGEST_LEAVE_SECONDS),
        )

    def after_thread_run(self, rows: int, seconds: float, handover: float) -> "RunEstimate":
        """The estimate after a run in the thread that took so long, and so much longer for the loop."""
        expected = self.latency.seconds(rows)
        slowness = self.slowness
        if expected > 0.0:
            slowness += MEMORY * (seconds / expected - slowness)
        handover = self.handover + MEMORY * (min(handover, LONGEST_HANDOVER_SECONDS) - self.handover)
        return msgspec.structs.replace(self, slowness=slowness, handover=handover)

    def relearned(self, latency: LatencyModel, max_batch_rows: int, *, inline: bool = True) -> "RunEstimate":
        """The estimate with another model of latency; `inline`: whether short runs may be made on the loop."""
        before = 0.0 if inline else math.inf
        return msgspec.structs.replace(self, latency=latency, max_batch_rows=max_batch_rows, not_inline_before=before)


def cold_estimate() -> RunEstimate:
    """Of a model whose latency nobody knows: nobody is refused for a wait, and each request runs in the thread."""
    return RunEstimate(LatencyModel(0.0, 0.0), 1, not_inline_before=math.inf)
