"""What is counted of keys, in one process and in several."""

import os

from septet.monitoring import key_usage
from septet.monitoring.key_usage import ENTRIES, KeyCount, KeyUsage


def test_counts_are_summed_over_processes_and_stay_when_one_ends() -> None:
    usage = KeyUsage(2)
    for slot in range(2):
        worker = usage.claim(slot)
        entry = worker.entry("shop")
        worker.begin(entry)
        worker.begin(entry)
        worker.end(entry)
        worker.refuse(entry)
    assert usage.claim(0).in_flight(usage.entry("shop")) == 1
    assert usage.counts(["shop", "nobody"]) == [KeyCount("shop", 4.0, 2.0, 1.0), KeyCount("nobody", 0.0, 0.0, 0.0)]


def test_a_name_has_one_entry_in_processes_that_were_forked() -> None:
    usage = KeyUsage(3)
    names = [f"name-{at}" for at in range(200)]
    for slot in range(2):
        pid = os.fork()
        if pid == 0:
            worker = usage.claim(slot)
            for name in names if slot else reversed(names):
                worker.begin(worker.entry(name))
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    assert usage.counts(names) == [KeyCount(name, 2.0, 0.0, 2.0) for name in names]


def test_a_private_usage_is_not_shared_with_a_forked_process() -> None:
    usage = KeyUsage(shared=False)
    pid = os.fork()
    if pid == 0:
        worker = usage.claim()
        worker.begin(worker.entry("shop"))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert usage.counts(["shop"]) == [KeyCount("shop", 0.0, 0.0, 0.0)]


def test_names_whose_entries_collide_have_their_own() -> None:
    usage = KeyUsage()
    first = usage.entry("shop")
    # Another name that two processes have put there at once.
    worker = usage.claim()
    assert worker.entry("shop") == first
    usage.cells[first] = float(key_usage.name_id("another"))
    assert worker.entry("shop") == (first + 1) % ENTRIES


def test_more_names_than_there_are_entries_share_some() -> None:
    usage = KeyUsage(shared=False)
    for at in range(ENTRIES):
        usage.cells[at] = usage.cells[at] or float(at + 1)
    assert 0 <= usage.entry("one more") < ENTRIES
