"""The store of several machines: jobs in Redis, where each step is one script."""

import random
from collections.abc import Iterable, Iterator, Sequence
from secrets import token_hex
from typing import Any, Final, Literal

import msgspec

from septet.errors import Conflict, Overloaded, SeptetError, StartupError
from septet.queues.job import (
    ENDED,
    FIRST_DELAY_SECONDS,
    LONGEST_DELAY_SECONDS,
    Job,
    JobState,
    LeasedJob,
    NewJob,
    ProgressReport,
    Settlement,
    StoredReply,
)
from septet.queues.job_store import (
    Accepted,
    Forgotten,
    JobFilter,
    JobPage,
    JobStore,
    QueueStats,
    StoreFailed,
    StoreLimits,
    WorkerInfo,
)
from septet.queues.job_transitions import LOST, OTHER_REQUEST, refusal_of
from septet.queues.redis_connection import CALL_SECONDS, RedisConnection
from septet.queues.redis_records import ending, error_text, job_of, name_of_end, new_of, reply_of, submitted

#: How many jobs are looked at for one page, and how many at a time.
MOST_LOOKED_AT: Final = 10_000
_AT_A_TIME: Final = 500
# Of ends of attempts whose answer was lost, and which nobody has told again.
_MOST_MARKS: Final = 10_000
# A script holds up everybody else, so that one call has no more than so many jobs or bytes.
_MOST_AT_ONCE: Final = 256
_MOST_BYTES_AT_ONCE: Final = 8 << 20


class RedisStore(JobStore):
    """Jobs of one queue in Redis. A cluster keeps them in one slot; sentinels are not asked.

    A call whose answer was lost may have happened. It can be made again: what is accepted twice is stored once, what a
    worker has begun is given to it again, and the same end of the same attempt is true again.
    """

    def __init__(
        self, url: str, limits: StoreLimits | None = None, *, durable: bool = False, seconds: float = CALL_SECONDS
    ) -> None:
        """`url` as for RedisConnection; `durable` refuses a Redis that may lose what it has acknowledged.

        Raises:
            SettingsInvalid: the URL is none.
            StartupError: Redis is too old, may throw jobs away, is not durable, or cannot be asked.
        """
        self._limits = StoreLimits() if limits is None else limits
        self._redis = RedisConnection(url, seconds)
        self._lease_tokens: dict[str, str] = {}
        self._marks: dict[bytes, str] = {}
        try:
            self.durability, self.safe = self._redis.durability(durable=durable)
        except StoreFailed as failed:
            self._redis.close()
            raise StartupError(failed.message) from None
        except StartupError:
            self._redis.close()
            raise

    def accept(self, jobs: Sequence[NewJob], now: float) -> list[Accepted | SeptetError]:
        outcomes: list[Accepted | SeptetError] = []
        for group in _groups([submitted(job) for job in jobs]):
            limits = self._limits
            arguments = self._arguments(
                now,
                max_waiting=limits.max_waiting,
                max_bytes=limits.max_bytes,
                max_waiting_seconds=limits.max_waiting_seconds,
            )
            try:
                told = self._redis.run("accept", arguments, [part for job in group for part in job])
            except StoreFailed as failed:
                if not outcomes:
                    raise
                # What was stored before is stored, and has to be acknowledged.
                outcomes += [failed] * (len(jobs) - len(outcomes))
                break
            outcomes += [
                self._outcome(word, about, len(body), now)
                for (word, about), (_, _, body) in zip(told, group, strict=True)
            ]
        return outcomes

    def _outcome(self, word: bytes, about: bytes, size: int, now: float) -> Accepted | SeptetError:
        if word == b"conflict":
            return Conflict(OTHER_REQUEST)
        if word == b"full":
            full = msgspec.msgpack.decode(about)
            stats = QueueStats({JobState.QUEUED: full["waiting"]}, 0, 0, full.get("oldest"), full["bytes"], 0)
            return refusal_of(self._limits, stats, size, now) or Overloaded(
                "The store of jobs is full. Try again later."
            )
        return Accepted(about.decode(), known=word == b"known")

    def join(self, worker: str, models: Sequence[str], now: float) -> None:
        self._redis.run("join", {"worker": worker, "models": tuple(models), "now": now})

    def beat(self, worker: str, now: float) -> Sequence[str] | None:
        wanted = self._redis.run("beat", {"worker": worker, "now": now})
        return None if wanted is None else [each.decode() for each in wanted]

    def leave(self, worker: str, now: float) -> None:
        self._redis.run("end_worker", self._arguments(now, worker=worker))

    def lease(self, worker: str, most: int, now: float) -> list[LeasedJob]:
        token = self._lease_tokens.setdefault(worker, token_hex(8))
        leased = self._redis.run("lease", self._arguments(now, worker=worker, most=most, token=token))
        del self._lease_tokens[worker]
        return [LeasedJob(new_of(new, body), attempt, float(first)) for attempt, first, new, body in leased]

    def settle(self, worker: str, settlements: Sequence[Settlement], now: float) -> list[bool]:
        # A mark is the same until an answer has arrived, so that what a call did whose answer was lost is known.
        if len(self._marks) > _MOST_MARKS:
            self._marks.clear()
        names = [name_of_end(worker, each) for each in settlements]
        ends: list[tuple[bytes, ...]] = [
            ending(each, self._marks.setdefault(name, token_hex(8)))
            for name, each in zip(names, settlements, strict=True)
        ]
        outcomes: list[bool] = []
        for group in _groups(ends):
            parts = [part for each in group for part in each]
            outcomes += map(bool, self._redis.run("settle", self._arguments(now, worker=worker), parts))
        for name in names:
            self._marks.pop(name, None)
        return outcomes

    def report(self, worker: str, reports: Sequence[ProgressReport]) -> list[bool]:
        outcomes: list[bool] = []
        for group in _groups([(msgspec.msgpack.encode(each),) for each in reports]):
            told = self._redis.run("report", {"worker": worker}, [part for (part,) in group])
            outcomes += map(bool, told)
        return outcomes

    def workers(self) -> Sequence[WorkerInfo]:
        found = [
            WorkerInfo(name.decode(), int(beat), float(since), tuple(msgspec.msgpack.decode(models)), running)
            for name, beat, since, models, running in self._redis.run("workers", {})
        ]
        return sorted(found, key=lambda worker: (worker.since, worker.id))

    def reap(self, worker: str, beat: int, now: float) -> Sequence[str]:
        arguments = self._arguments(
            now,
            worker=worker,
            beat=beat,
            error=error_text(LOST),
            first_delay=FIRST_DELAY_SECONDS,
            longest_delay=LONGEST_DELAY_SECONDS,
            chance=random.random(),  # noqa: S311 - no secret
        )
        return [each.decode() for each in self._redis.run("end_worker", arguments)]

    def find(self, identifiers: Sequence[str]) -> list[Job | Forgotten | None]:
        if not identifiers:
            return []

        def ask(client: Any) -> list[Any]:
            # A job is asked for before whether it was forgotten: it cannot be missed between the two.
            asked = client.pipeline(transaction=False)
            for each in identifiers:
                asked.hmget(self._key("job", each), "new", "row")
                asked.zscore(self._key("forgotten"), each)
            return asked.execute()  # type: ignore[no-any-return]

        told = self._redis.call(ask)
        return [
            job_of(*kept) if kept[0] is not None else None if until is None else Forgotten()
            for kept, until in zip(told[::2], told[1::2], strict=True)
        ]

    def body(self, identifier: str) -> NewJob | None:
        new, body = self._fields(identifier, "new", "body")
        return None if new is None else new_of(new, body or b"")

    def reply(self, identifier: str) -> StoredReply | None:
        (reply,) = self._fields(identifier, "reply")
        return None if reply is None else reply_of(reply)

    def page(self, wanted: JobFilter, before: int | None, most: int) -> JobPage:
        """As JobStore says; where few fit, it looks at 10,000 jobs, and the page may have fewer than asked for."""
        found: list[Job] = []
        filtered = wanted.model is not None or wanted.caller is not None
        states = tuple(JobState) if wanted.state is None else (wanted.state,)
        chunk, looked_at = _AT_A_TIME if filtered else most + 1, 0
        while True:
            places = self._places(wanted.kind, states, before, chunk)
            if not places:
                return JobPage(found, None)
            found += self._fitting(wanted, [identifier for _, identifier in places])
            before = places[-1][0]
            looked_at += len(places)
            if len(found) > most:
                return JobPage(found[:most], found[most - 1].place)
            if len(places) < chunk:
                return JobPage(found, None)
            if looked_at >= MOST_LOOKED_AT:
                return JobPage(found, before)

    def _places(
        self, kind: str | None, states: Iterable[JobState], before: int | None, most: int
    ) -> list[tuple[int, str]]:
        """Place and id of up to `most` jobs of a kind, or of all, in some states, the latest first."""
        kinds = ("predict", "deliver") if kind is None else (kind,)
        highest = "+inf" if before is None else f"({before}"

        def ask(client: Any) -> list[list[bytes]]:
            asked = client.pipeline(transaction=True)  # a job that changes its state meanwhile is not missed
            for each in kinds:
                for state in states:
                    asked.zrevrangebyscore(self._key("list", each, state), highest, "-inf", 0, most)
            return asked.execute()  # type: ignore[no-any-return]

        members = sorted((member for part in self._redis.call(ask) for member in part), reverse=True)[:most]
        return [(int(member[:14]), member[15:].decode()) for member in members]

    def _fitting(self, wanted: JobFilter, identifiers: Sequence[str]) -> Iterator[Job]:
        for job in self.find(identifiers):
            if isinstance(job, Job):
                asked = (wanted.state, wanted.model, wanted.caller)
                if all(a in (None, b) for a, b in zip(asked, (job.state, job.model, job.caller), strict=True)):
                    yield job

    def cancel(self, identifier: str, now: float) -> Job | None:
        stored = self._redis.run("cancel", self._arguments(now, id=identifier))
        return None if stored is None else job_of(*stored)

    def purge(self, wanted: JobFilter, ended_before: float, most: int) -> int:
        """As JobStore says; it looks at all that has ended, in small steps."""
        states = ENDED if wanted.state is None else ENDED & {wanted.state}
        count, before = 0, None
        while count < most:
            places = self._places(wanted.kind, states, before, _AT_A_TIME)
            if not places:
                break
            before = places[-1][0]
            fitting = self._fitting(wanted, [identifier for _, identifier in places])
            over = [job.id for job in fitting if job.ended_at is not None and job.ended_at < ended_before]
            if over:
                count += self._redis.run("forget", {}, over[: most - count])
        return count

    def sweep(self, now: float, most: int) -> int:
        count = 0
        while count < most:
            asked = min(_MOST_AT_ONCE, most - count)
            done = self._redis.run("sweep", self._arguments(now, most=asked))
            count += done
            if done < asked:
                break
        return count

    def next_due(self, now: float) -> float | None:
        def ask(client: Any) -> list[list[tuple[bytes, float]]]:
            asked = client.pipeline(transaction=False)
            for each in ("later", "ripe"):
                asked.zrangebyscore(self._key(each), f"({now!r}", "+inf", 0, 1, withscores=True)
            return asked.execute()  # type: ignore[no-any-return]

        return min((float(first[0][1]) for first in self._redis.call(ask) if first), default=None)

    def stats(self, now: float) -> QueueStats:
        return msgspec.msgpack.decode(self._redis.run("stats", {"now": now}), type=QueueStats)

    def close(self) -> None:
        self._redis.close()

    def _arguments(self, now: float, **others: Any) -> dict[str, Any]:
        """What each script that may end jobs has to know, and more."""
        return {
            "now": now,
            "keep_seconds": self._limits.keep_seconds,
            "delivery_attempts": self._limits.delivery_attempts,
            "delivery_seconds": self._limits.delivery_seconds,
            "salt": token_hex(16),
            **others,
        }

    def _fields(self, identifier: str, *names: Literal["new", "body", "reply"]) -> list[bytes | None]:
        fields: list[bytes | None] = self._redis.call(lambda client: client.hmget(self._key("job", identifier), *names))
        return fields

    def _key(self, *parts: str) -> str:
        return self._redis.prefix + ":".join(parts)


def _groups(items: Sequence[tuple[bytes, ...]]) -> Iterator[list[tuple[bytes, ...]]]:
    """The items in groups that are small enough for one script."""
    group: list[tuple[bytes, ...]] = []
    size = 0
    for item in items:
        more = sum(map(len, item))
        if group and (len(group) == _MOST_AT_ONCE or size + more > _MOST_BYTES_AT_ONCE):
            yield group
            group, size = [], 0
        group.append(item)
        size += more
    if group:
        yield group
