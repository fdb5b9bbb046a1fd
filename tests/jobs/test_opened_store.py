"""A store that may lose what was accepted is told of by the first process that opens it."""

import logging

import pytest

from septet.assembly import job_serving
from septet.assembly.job_serving import opened_store
from septet.queues.job_store import JobSignals
from septet.queues.memory_store import MemoryStore
from septet.queues.store_address import StoreAddress
from tests.jobs.in_process import PipeSignals


def _signals(_: StoreAddress) -> JobSignals:
    return PipeSignals()


class SafeStore(MemoryStore):
    """One that says that it loses nothing."""

    safe = True


@pytest.mark.parametrize(
    ("store", "first", "lines"), [(MemoryStore, True, 1), (MemoryStore, False, 0), (SafeStore, True, 0)]
)
def test_what_may_be_lost_is_said_once(
    store: type[MemoryStore],
    *,
    first: bool,
    lines: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logging.getLogger("septet"), "propagate", True)
    monkeypatch.setattr(job_serving, "open_store", lambda _: store())
    monkeypatch.setattr(job_serving, "open_signals", _signals)
    opened_store(StoreAddress("sqlite:///jobs.db"), first=first)
    said = [each for each in caplog.messages if each.startswith("accepted jobs may be lost: ")]
    assert len(said) == lines
