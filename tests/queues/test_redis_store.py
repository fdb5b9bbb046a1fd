"""What the store in Redis does beside what every store does."""

import select
from collections.abc import Iterator
from secrets import token_hex

import pytest

from septet.errors import Conflict, SettingsInvalid, StartupError
from septet.queues.job import Job, Settlement
from septet.queues.job_store import Accepted, JobFilter, StoreFailed, StoreLimits
from septet.queues.redis_signals import RedisSignals
from septet.queues.redis_store import RedisStore
from tests.queues.samples import NOW, a_job, success
from tests.redis_servers import LossyRelay, RedisServer, needs_redis
from tests.waiting import until

pytestmark = needs_redis


@pytest.fixture
def lossy(redis_server: RedisServer) -> Iterator[tuple[RedisStore, LossyRelay]]:
    """A store whose answers can be lost."""
    with LossyRelay(redis_server) as relay:
        store = RedisStore(f"{relay.url}?queue={token_hex(4)}")
        store.join("w", ["iris"], NOW)
        yield store, relay
        store.close()
    (redis_server.folder / "relay").unlink()


def told(signals: RedisSignals) -> bool:
    """Whether something was told, which is taken note of."""
    readable = bool(select.select([signals], [], [], 0)[0])
    signals.drain()
    return readable


def test_nothing_is_left_of_jobs_that_were_forgotten(redis_server: RedisServer, redis_url: str) -> None:
    store = RedisStore(redis_url, StoreLimits(keep_seconds=1.0))
    store.join("w", ["iris"], NOW)
    jobs = [
        a_job(idempotency=f"i{n}", key=f"k{n % 3}", priority=n % 4, begin_by=NOW + 60, sink="s" if n % 2 else None)
        for n in range(100)
    ]
    jobs += [a_job(not_before=NOW + 50) for _ in range(20)]
    store.accept(jobs, NOW)
    store.cancel(jobs[-1].id, NOW)
    now = NOW
    while leased := store.lease("w", 50, now):
        now += 1
        ends = [success(each.job.id, each.attempt) for each in leased[::2]]
        ends += [Settlement(id=each.job.id, attempt=each.attempt, outcome="retry") for each in leased[1::2]]
        store.settle("w", ends, now)
        now += 60 if len(leased) == 1 else 0
    store.leave("w", now)
    for _ in range(3):
        now += 100
        store.sweep(now, 1000)
    queue = redis_url.partition("=")[2]
    assert redis_server.client.keys(f"septet:{{{queue}}}:*") == [f"septet:{{{queue}}}:totals"]
    assert redis_server.client.hgetall(f"septet:{{{queue}}}:totals")["bytes"] == "0"
    store.close()


def test_what_is_accepted_again_since_the_answer_was_lost_is_stored_once(lossy: tuple[RedisStore, LossyRelay]) -> None:
    store, relay = lossy
    plain, keyed = a_job(), a_job(idempotency="k")
    relay.losing = True
    with pytest.raises(StoreFailed, match="cannot be reached"):
        store.accept([plain, keyed], NOW)
    relay.losing = False
    assert store.accept([plain, keyed], NOW) == [Accepted(plain.id, known=True), Accepted(keyed.id, known=True)]
    assert store.stats(NOW).due == 2
    (other,) = store.accept([a_job(id=plain.id, body=b"other")], NOW)
    assert isinstance(other, Conflict)


def test_what_was_begun_by_a_call_whose_answer_was_lost_is_given_again(lossy: tuple[RedisStore, LossyRelay]) -> None:
    store, relay = lossy
    first, second = a_job(), a_job()
    store.accept([first, second], NOW)
    relay.losing = True
    with pytest.raises(StoreFailed):
        store.lease("w", 1, NOW)
    relay.losing = False
    assert [(each.job, each.attempt) for each in store.lease("w", 1, NOW)] == [(first, 1)]
    assert [(each.job, each.attempt) for each in store.lease("w", 1, NOW)] == [(second, 1)]
    assert store.lease("w", 1, NOW) == []


def test_the_same_end_of_an_attempt_is_true_again_when_its_answer_was_lost(
    lossy: tuple[RedisStore, LossyRelay],
) -> None:
    store, relay = lossy
    done, failed = a_job(), a_job()
    store.accept([done, failed], NOW)
    store.lease("w", 2, NOW)
    ends = [success(done.id), Settlement(id=failed.id, attempt=1, outcome="retry", delay=9.0)]
    relay.losing = True
    with pytest.raises(StoreFailed):
        store.settle("w", ends, NOW)
    relay.losing = False
    assert store.settle("w", ends, NOW + 1) == [True, True]
    assert store.settle("v", ends, NOW + 1) == [False, False]
    jobs = store.find([done.id, failed.id])
    assert [(job.ended_at, job.due_at) for job in jobs if isinstance(job, Job)] == [(NOW, 0.0), (None, NOW + 9)]


def test_a_page_of_few_among_many_ends_and_says_where_to_go_on(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("septet.queues.redis_store.MOST_LOOKED_AT", 1000)
    store = RedisStore(redis_url)
    rare = a_job(caller="rare")
    store.accept([rare, *(a_job() for _ in range(1200))], NOW)
    page = store.page(JobFilter(caller="rare"), None, 5)
    assert (page.jobs, page.before) == ([], 202)
    assert [job.id for job in store.page(JobFilter(caller="rare"), page.before, 5).jobs] == [rare.id]
    store.close()


def test_queues_of_one_database_know_nothing_of_each_other(redis_server: RedisServer) -> None:
    one, other = (RedisStore(f"{redis_server.url}?queue={token_hex(4)}") for _ in range(2))
    one.accept([a_job()], NOW)
    assert (one.stats(NOW).due, other.stats(NOW).due) == (1, 0)
    one.close()
    other.close()


def test_others_hear_of_what_may_begin_and_of_what_has_ended(redis_url: str) -> None:
    store, signals = RedisStore(redis_url), RedisSignals(redis_url)
    store.join("w", ["iris"], NOW)
    until(lambda: told(signals))  # the subscription itself
    job = a_job()
    store.accept([job], NOW)
    until(lambda: told(signals))
    store.lease("w", 1, NOW)
    store.settle("w", [success(job.id)], NOW)
    until(lambda: told(signals))
    assert not told(signals)
    signals.close()
    signals.close()
    store.close()


@pytest.mark.parametrize("url", ["redis://h/0?queue=", "redis://h/0?queue=a{b", "redis://h:port/0", "redis://h/0?x=1"])
def test_a_url_that_says_nothing_sensible_is_refused(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="Redis"):
        RedisStore(url)


def test_a_redis_that_is_not_there_is_named_without_its_password() -> None:
    with pytest.raises(StartupError, match="cannot be reached") as caught:
        RedisStore("redis://user:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:1" in caught.value.message


def test_a_redis_that_may_throw_jobs_away_or_lose_them_is_refused(redis_server: RedisServer) -> None:
    with RedisServer(maxmemory="1gb", maxmemory_policy="allkeys-lru") as evicting:
        with pytest.raises(StartupError, match="set maxmemory-policy to noeviction"):
            RedisStore(evicting.url)
        evicting.client.config_set("maxmemory-policy", "noeviction")
        evicting.client.config_set("appendonly", "yes")
        store = RedisStore(evicting.url)
        assert "up to a second" in store.durability
        assert not store.safe
        store.close()
        with pytest.raises(StartupError, match="Set appendonly to yes and appendfsync to always"):
            RedisStore(evicting.url, durable=True)
        evicting.client.config_set("appendfsync", "always")
        store = RedisStore(evicting.url, durable=True)
        assert "nothing is lost" in store.durability
        assert store.safe
        store.close()
        evicting.client.config_set("requirepass", "hush")
        with pytest.raises(StartupError, match="asks for a password"):
            RedisStore(evicting.url)
    with pytest.raises(StartupError, match="writes nothing to its disk"):
        RedisStore(redis_server.url, durable=True)


def test_what_a_user_may_not_see_or_do_is_said(redis_server: RedisServer) -> None:
    # What the message tells to allow.
    told = ("scripting", "hash", "set", "sortedset", "keyspace", "transaction", "pubsub", "connection")
    redis_server.client.acl_setuser(
        "jobs",
        enabled=True,
        passwords=["+hush"],
        categories=[f"+@{each}" for each in told],
        keys=["septet:*"],
        channels=["septet:*"],
    )
    redis_server.client.acl_setuser("poor", enabled=True, passwords=["+hush"], keys=["*"], commands=["+evalsha"])

    def url(user: str) -> str:
        return f"unix://{user}@{redis_server.socket}?queue=acl"

    store = RedisStore(url("jobs:hush"))
    assert "unknown" in store.durability
    store.join("w", ["iris"], NOW)
    store.accept([a_job(sink="s")], NOW)
    (leased,) = store.lease("w", 1, NOW)
    assert store.settle("w", [success(leased.job.id)], NOW) == [True]
    assert store.sweep(NOW + 1e6, 10) == 1
    assert isinstance(store.next_due(NOW), float | None)
    assert store.page(JobFilter(kind=None), None, 9).jobs
    store.close()
    with pytest.raises(StartupError, match="Allow its user `CONFIG GET`"):
        RedisStore(url("jobs:hush"), durable=True)
    with pytest.raises(StartupError, match="does not know this user and password") as caught:
        RedisStore(url("jobs:wrong"))
    assert "wrong" not in caught.value.message
    store = RedisStore(url("poor:hush"))
    with pytest.raises(StoreFailed, match="may not do this"):
        store.stats(NOW)
    store.close()
    redis_server.client.acl_deluser("jobs", "poor")


def test_keys_that_other_data_has_are_said(redis_server: RedisServer) -> None:
    redis_server.client.set("septet:{taken}:totals", "1")
    store = RedisStore(f"{redis_server.url}?queue=taken")
    with pytest.raises(StoreFailed, match="other data has the names"):
        store.accept([a_job()], NOW)
    store.close()
