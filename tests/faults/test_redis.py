"""What befalls Redis while jobs are kept in it."""

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
import redis

from septet.queues.job import Job
from septet.queues.job_store import Accepted, StoreFailed, StoreLimits
from septet.queues.redis_signals import RedisSignals
from septet.queues.redis_store import RedisStore
from tests.queues.samples import NOW, REPLY, a_job, success
from tests.queues.test_redis_store import told
from tests.redis_servers import RedisServer, needs_redis
from tests.waiting import until

pytestmark = needs_redis
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


@pytest.fixture
def durable() -> Iterator[tuple[RedisServer, RedisStore]]:
    """A server that writes everything to its disk at once, and a store in it with a worker."""
    with RedisServer(**DURABLE) as server:
        store = RedisStore(server.url, durable=True)
        store.join("w", ["iris"], NOW)
        yield server, store
        store.close()


def works(store: RedisStore) -> bool:
    with suppress(StoreFailed):
        store.stats(NOW)
        return True
    return False


def test_what_was_accepted_begun_and_settled_is_there_after_redis_was_killed(
    durable: tuple[RedisServer, RedisStore],
) -> None:
    server, store = durable
    accepted: list[str] = []
    for number in range(3):
        jobs = [a_job() for _ in range(30)]
        store.accept(jobs, NOW)
        leased = store.lease("w", 10, NOW)
        store.settle("w", [success(each.job.id) for each in leased[:5]], NOW)
        accepted += [job.id for job in jobs]
        server.kill()
        with pytest.raises(StoreFailed, match="cannot be reached"):
            store.accept([a_job()], NOW)
        server.start()
        found = [job for job in store.find(accepted) if isinstance(job, Job)]
        assert len(found) == len(accepted)
        states = [job.state.value for job in found]
        assert (states.count("succeeded"), states.count("running")) == (5 * (number + 1), 5 * (number + 1))
        assert all(store.reply(job.id) == REPLY for job in found if job.state.value == "succeeded")
    (worker,) = store.workers()
    assert len(store.reap("w", worker.beat, NOW)) == 15


def test_the_signals_of_a_redis_that_was_started_anew_are_heard_again(
    durable: tuple[RedisServer, RedisStore],
) -> None:
    server, store = durable
    signals = RedisSignals(server.url)
    until(lambda: told(signals))
    descriptor = signals.fileno()
    server.kill()
    server.start()
    until(lambda: told(signals))  # something may have been told meanwhile
    assert signals.fileno() == descriptor
    store.accept([a_job()], NOW)
    until(lambda: told(signals))
    signals.close()


def test_a_call_ends_in_time_while_redis_stands_still_and_can_be_made_again(
    durable: tuple[RedisServer, RedisStore],
) -> None:
    server, other = durable
    store, job = RedisStore(server.url, seconds=0.2), a_job()
    server.client.client_pause(60_000, all=False)
    with pytest.raises(StoreFailed, match="does not answer"):
        store.accept([job], NOW)
    server.client.client_unpause()
    (outcome,) = store.accept([job], NOW)
    assert isinstance(outcome, Accepted)
    assert other.stats(NOW).due == 1
    store.close()


def test_a_full_memory_refuses_jobs_and_loses_none(durable: tuple[RedisServer, RedisStore]) -> None:
    server, first = durable
    store = RedisStore(server.url, StoreLimits(keep_seconds=1.0))
    server.client.config_set("maxmemory", server.client.info("memory")["used_memory"] + (4 << 20))
    accepted: list[str] = []

    def accept_until_it_is_full() -> None:
        while True:
            job = a_job(body=bytes(200_000))
            store.accept([job], NOW)
            accepted.append(job.id)

    with pytest.raises(StoreFailed, match="What was accepted is kept"):
        accept_until_it_is_full()
    assert first.stats(NOW).due == len(accepted) > 5
    leased = store.lease("w", 1000, NOW)
    assert [each.job.id for each in leased] == accepted
    assert all(store.settle("w", [success(each) for each in accepted], NOW))
    assert store.sweep(NOW + 1, 1000) == len(accepted)

    job = a_job(body=bytes(200_000))

    def has_room() -> bool:
        with suppress(StoreFailed):
            return store.accept([job], NOW) == [Accepted(job.id)]
        return False

    until(has_room)
    store.close()


def test_a_redis_that_cannot_write_to_its_disk_says_so_until_it_can() -> None:
    with RedisServer(enable_protected_configs="yes") as server:
        store = RedisStore(server.url)
        data = server.folder / "data"
        data.mkdir()
        server.client.config_set("dir", str(data))
        server.client.config_set("save", "3600 1")
        data.rmdir()

        def saved(status: str) -> bool:
            with suppress(redis.ResponseError):  # the last one is still under way
                server.client.bgsave()
            return bool(server.client.info("persistence")["rdb_last_bgsave_status"] == status)

        until(lambda: saved("err"))
        with pytest.raises(StoreFailed, match="cannot write to its disk"):
            store.accept([a_job()], NOW)
        data.mkdir()
        server.client.config_set("dir", str(data))
        until(lambda: saved("ok"))
        assert isinstance(store.accept([a_job()], NOW)[0], Accepted)
        store.close()


def test_a_redis_that_loads_its_data_says_so_until_it_has(durable: tuple[RedisServer, RedisStore]) -> None:
    server, store = durable
    jobs = [a_job() for _ in range(1000)]
    store.accept(jobs, NOW)
    server.client.bgrewriteaof()
    until(lambda: not server.client.info("persistence")["aof_rewrite_in_progress"])
    server.settings |= {
        "key_load_delay": "20000",
        "loading_process_events_interval_bytes": "1024",
    }  # microseconds a key
    server.kill()
    server.start(loaded=False)
    with pytest.raises(StoreFailed, match="it loads its data"):
        store.stats(NOW)
    server.client.config_set("key-load-delay", "0")
    until(lambda: works(store))
    assert store.stats(NOW).due == len(jobs)


def test_scripts_that_redis_has_forgotten_are_sent_again(durable: tuple[RedisServer, RedisStore]) -> None:
    server, store = durable
    store.accept([a_job()], NOW)
    server.client.script_flush()
    assert isinstance(store.accept([a_job()], NOW)[0], Accepted)
    assert len(store.lease("w", 5, NOW)) == 2


def test_a_replica_that_takes_over_has_the_jobs() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with (
        RedisServer(port=port, bind="127.0.0.1", repl_diskless_sync_delay="0") as primary,
        RedisServer(replicaof=f"127.0.0.1 {port}") as replica,
    ):
        # What a name of the network is elsewhere: who has it changes.
        name = primary.folder / "name"
        name.symlink_to(primary.socket)
        store = RedisStore(f"unix://{name}")
        store.join("w", ["iris"], NOW)
        until(lambda: replica.client.info("replication")["master_link_status"] == "up")
        jobs = [a_job() for _ in range(20)]
        store.accept(jobs, NOW)
        begun = store.lease("w", 5, NOW)
        until(lambda: replica.client.hlen("septet:{jobs}:running:w") == len(begun))
        primary.kill()
        name.unlink()
        name.symlink_to(replica.socket)
        with pytest.raises(StoreFailed, match="it is a replica"):
            store.accept([a_job()], NOW)
        replica.client.replicaof("NO", "ONE")
        assert store.settle("w", [success(each.job.id) for each in begun], NOW) == [True] * 5
        assert len(store.lease("w", 99, NOW)) == 15
        store.close()


def test_a_primary_that_was_made_a_replica_is_left_for_the_one_that_has_its_name_now() -> None:
    with RedisServer() as old, RedisServer() as new:
        name = old.folder / "name"
        name.symlink_to(old.socket)
        store = RedisStore(f"unix://{name}")
        store.accept([a_job()], NOW)
        old.client.replicaof("127.0.0.1", "1")
        name.unlink()
        name.symlink_to(new.socket)
        with pytest.raises(StoreFailed, match="it is a replica"):
            store.accept([a_job()], NOW)
        job = a_job()
        assert store.accept([job], NOW) == [Accepted(job.id)]
        assert new.client.exists("septet:{jobs}:job:" + job.id)
        store.close()
