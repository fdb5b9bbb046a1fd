"""The coordinator of releases against workers that are lists of messages."""

from collections.abc import Sequence

from septet.server.release_coordinator import ReleaseCoordinator
from septet.server.release_messages import (
    Abandon,
    Ask,
    Commit,
    Committed,
    NotPrepared,
    Prepare,
    Prepared,
    ReleaseOrder,
    ReleaseOutcome,
    ReleaseResult,
    ToWorker,
    Withdraw,
)
from septet.types import Identity

OLD, NEW, OTHER = (Identity("iris", version, f"sha256:{version * 64}") for version in "123")
ORDER = ReleaseOrder("/models/iris-2")


class Files:
    def __init__(self) -> None:
        self.orders: list[ReleaseOrder] = []
        self.taken: list[tuple[int, ReleaseOrder]] = []

    def changed(self, *, settled: bool) -> Sequence[ReleaseOrder]:
        orders, self.orders = self.orders, []
        return [] if settled else orders

    def released(self, index: int, order: ReleaseOrder) -> None:
        self.taken.append((index, order))


class Workers:
    """A coordinator of so many ready workers, and what each was told."""

    def __init__(self, *numbers: int) -> None:
        self.told: list[tuple[int, ToWorker]] = []
        self.files = Files()
        self.dismissed: list[int] = []
        self.coordinator = ReleaseCoordinator(
            lambda number, message: self.told.append((number, message)), self.files, self.dismissed.append
        )
        for number in numbers:
            self.coordinator.joined(number, 0)

    def news(self) -> list[tuple[int, ToWorker]]:
        told, self.told = self.told, []
        return told

    def ask(self, number: int, order: ReleaseOrder = ORDER, asked: int = 1) -> None:
        self.coordinator.received(number, Ask(asked, order))

    def prepared(self, *numbers: int, key: int = 1, before: Identity | None = OLD, after: Identity = NEW) -> None:
        for number in numbers:
            self.coordinator.received(number, Prepared(key, 0, before, after))

    def committed(self, *numbers: int, key: int = 1) -> None:
        for number in numbers:
            self.coordinator.received(number, Committed(key))


def test_all_workers_prepare_before_any_switches() -> None:
    workers = Workers(7, 8)

    workers.ask(8)
    assert workers.news() == [(7, Prepare(1, ORDER)), (8, Prepare(1, ORDER))]
    workers.prepared(7)
    assert workers.news() == []
    workers.prepared(8)
    assert workers.news() == [(7, Commit(1)), (8, Commit(1))]
    assert workers.files.taken == [(0, ORDER)]
    workers.committed(7)
    assert workers.news() == []
    workers.committed(8)

    assert workers.news() == [(8, ReleaseOutcome(1, ReleaseResult(OLD, NEW, 2, changed=True)))]
    assert workers.coordinator.generation == 1


def test_one_worker_that_cannot_prepare_it_stops_it_for_all() -> None:
    workers = Workers(7, 8)
    workers.ask(7)
    workers.prepared(7)
    workers.news()

    workers.coordinator.received(8, NotPrepared(1, "it is damaged"))

    assert workers.news() == [(7, Abandon(1)), (8, Abandon(1)), (7, ReleaseOutcome(1, error="it is damaged"))]
    assert workers.files.taken == []
    assert workers.coordinator.generation == 0


def test_files_that_change_while_they_are_loaded_are_not_served() -> None:
    workers = Workers(7, 8)
    workers.ask(7)
    workers.news()

    workers.prepared(7, after=NEW)
    workers.prepared(8, after=OTHER)

    outcome = workers.news()[-1][1]
    assert isinstance(outcome, ReleaseOutcome)
    assert outcome.error == "the files of /models/iris-2 changed while they were loaded"


def test_the_version_that_is_served_already_is_left_as_it_is() -> None:
    workers = Workers(7)
    workers.ask(7)
    workers.news()

    workers.prepared(7, after=OLD)

    assert workers.news() == [(7, Abandon(1)), (7, ReleaseOutcome(1, ReleaseResult(OLD, OLD, 1, changed=False)))]


def test_releases_come_one_after_the_other() -> None:
    workers = Workers(7)
    second = ReleaseOrder("/models/iris-3")
    workers.ask(7)
    workers.ask(7, second, asked=2)
    assert workers.news() == [(7, Prepare(1, ORDER))]

    workers.prepared(7)
    workers.committed(7)

    assert workers.news()[-1] == (7, Prepare(2, second))


def test_a_worker_that_ends_holds_up_no_release() -> None:
    workers = Workers(7, 8, 9)
    workers.ask(7)
    workers.prepared(7, 8)
    workers.news()

    workers.coordinator.left(9)
    assert workers.news() == [(7, Commit(1)), (8, Commit(1))]
    workers.committed(7)
    workers.coordinator.left(8)

    assert workers.news() == [(7, ReleaseOutcome(1, ReleaseResult(OLD, NEW, 1, changed=True)))]


def test_the_end_of_the_last_worker_ends_the_release() -> None:
    workers = Workers(7)
    workers.ask(7)

    workers.coordinator.left(7)
    workers.coordinator.joined(8, 0)
    workers.news()
    workers.ask(8)

    assert workers.news() == [(8, Prepare(2, ORDER))]


def test_a_worker_that_becomes_ready_meanwhile_takes_part() -> None:
    workers = Workers(7)
    workers.ask(7)
    workers.news()

    workers.coordinator.joined(8, 0)
    workers.prepared(7)
    assert workers.news() == [(8, Prepare(1, ORDER))]
    workers.prepared(8)

    assert workers.news() == [(7, Commit(1)), (8, Commit(1))]


def test_a_worker_that_was_started_before_a_release_is_brought_up_to_it() -> None:
    workers = Workers(7)
    workers.ask(7)
    workers.prepared(7)
    workers.committed(7)
    workers.news()

    workers.coordinator.joined(8, 0)
    assert workers.news() == [(8, Prepare(2, ORDER))]
    workers.prepared(8, key=2)
    assert workers.news() == [(8, Commit(2))]
    workers.committed(8, key=2)

    assert workers.coordinator.generation == 1
    workers.coordinator.joined(9, 1)
    assert workers.news() == []


def test_a_worker_that_cannot_be_brought_up_to_a_release_is_replaced() -> None:
    workers = Workers(7)
    workers.ask(7)
    workers.prepared(7)
    workers.committed(7)
    workers.news()

    workers.coordinator.joined(8, 0)
    assert workers.news() == [(8, Prepare(2, ORDER))]
    workers.coordinator.received(8, NotPrepared(2, "the file is gone"))

    assert workers.dismissed == [8]
    assert workers.news() == [(8, Abandon(2))]


def test_a_worker_that_missed_a_release_does_not_fall_back_behind_the_one_under_way() -> None:
    workers = Workers(7)
    workers.ask(7)
    workers.prepared(7)
    workers.committed(7)
    newer = ReleaseOrder("/models/iris-3")
    workers.ask(7, newer, asked=2)
    workers.news()

    workers.coordinator.joined(8, 0)
    assert workers.news() == [(7, Abandon(2)), (8, Prepare(3, ORDER))]
    workers.prepared(8, key=3)
    workers.committed(8, key=3)
    assert workers.news() == [(8, Commit(3)), (7, Prepare(4, newer)), (8, Prepare(4, newer))]
    workers.prepared(7, 8, key=4, before=NEW, after=OTHER)
    workers.committed(7, 8, key=4)

    done = ReleaseOutcome(2, ReleaseResult(NEW, OTHER, 2, changed=True))
    assert workers.news() == [(7, Commit(4)), (8, Commit(4)), (7, done)]


def test_nothing_is_released_for_who_has_gone_away() -> None:
    workers = Workers(7)
    workers.ask(7)
    workers.ask(7, asked=2)
    workers.news()

    workers.coordinator.received(7, Withdraw(2))
    workers.coordinator.received(7, Withdraw(1))
    workers.prepared(7)

    assert workers.news() == [(7, Abandon(1)), (7, ReleaseOutcome(1, error="who asked for it has gone away"))]
    assert workers.files.taken == []


def test_what_is_being_switched_to_is_not_given_up() -> None:
    workers = Workers(7)
    workers.ask(7)
    workers.prepared(7)
    workers.news()

    workers.coordinator.received(7, Withdraw(1))
    workers.committed(7)

    assert workers.news() == [(7, ReleaseOutcome(1, ReleaseResult(OLD, NEW, 1, changed=True)))]


def test_without_a_ready_worker_nothing_is_released() -> None:
    workers = Workers()
    workers.files.orders = [ORDER]

    workers.coordinator.look(settled=False)
    workers.coordinator.joined(7, 0)

    assert workers.news() == []


def test_what_has_changed_on_disk_is_released() -> None:
    workers = Workers(7)
    workers.files.orders = [ORDER]

    workers.coordinator.look(settled=False)

    assert workers.news() == [(7, Prepare(1, ORDER))]


def test_files_that_change_again_are_not_kept_waiting_by_what_they_were() -> None:
    workers = Workers(7)
    workers.files.orders = [ORDER]
    workers.coordinator.look(settled=False)
    assert workers.news() == [(7, Prepare(1, ORDER))]

    other = ReleaseOrder("/models/wine")
    workers.files.orders = [other]
    workers.coordinator.look(settled=False)
    assert workers.news() == []
    workers.files.orders = [ORDER]
    workers.coordinator.look(settled=False)

    assert workers.news() == [(7, Abandon(1)), (7, Prepare(2, other))]
    workers.coordinator.received(7, NotPrepared(2, "it is damaged"))
    assert workers.news() == [(7, Abandon(2)), (7, Prepare(3, ORDER))]
