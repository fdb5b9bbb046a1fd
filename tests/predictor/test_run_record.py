"""What was at work when a process crashed is found, and only what is proven is refused."""

from collections.abc import Sequence

import numpy as np

from septet.errors import Invalid
from septet.predictor.model_runner import Outcome
from septet.predictor.run_record import RunRecord
from septet.predictor.run_watch import RunWatch, digest_of
from septet.types import Request

SLOT = 1


def request(value: float) -> Request:
    return Request({"x": np.array([[value]])}, 1, str(value))


class Crash(Exception):
    """The process is gone: its parent has seen what it ran."""


class Server:
    """A model that ends its process on some values, and the parent of its processes."""

    def __init__(self, *deadly: float) -> None:
        self.record = RunRecord(2)
        self.record.watch(100.0)
        self.deadly = set(deadly)
        self.runs: list[list[float]] = []

    def run(self, *values: float) -> list[Outcome]:
        """Ask a new process for all of them at once; it answers nothing where it crashes."""
        watch = RunWatch(self.record, SLOT, lambda: 10.0)
        try:
            return watch.around(self._compute, "model")([request(value) for value in values])
        except Crash:
            return []

    def _compute(self, requests: Sequence[Request]) -> list[Outcome]:
        values = [float(each.tensors["x"][0, 0]) for each in requests]
        self.runs.append(values)
        if self.deadly & set(values):
            assert self.record.blame(SLOT, 50.0) == len(values)
            raise Crash
        return [each.tensors for each in requests]


def test_what_crashed_twice_by_itself_is_refused_and_nothing_else() -> None:
    server = Server(7)
    assert server.run(7) == server.run(7) == []
    (refused,) = server.run(7)
    assert isinstance(refused, Invalid)
    assert "refused for another 40 s" in refused.message
    assert server.runs == [[7], [7]]


def test_those_that_shared_a_run_with_it_are_run_alone_and_answered() -> None:
    server = Server(7)
    assert server.run(1, 7, 2) == []
    assert server.run(7, 1, 2) == []
    assert server.runs == [[1, 7, 2], [7]]  # all three are suspects
    answers = server.run(1, 2, 7, 3)
    assert [isinstance(each, Invalid) for each in answers] == [False, False, True, False]
    assert server.runs[2:] == [[3], [1], [2]]
    server.run(1, 2, 3)
    assert server.runs[-1] == [1, 2, 3]  # they are suspects no more


def test_what_only_ever_shared_a_run_is_not_refused() -> None:
    server = Server(7, 8)
    assert server.run(7, 1) == server.run(8, 1) == []
    (answer,) = server.run(1)
    assert not isinstance(answer, Invalid)


def test_it_is_watched_for_a_while_only() -> None:
    record = RunRecord(1)
    assert not record.watching(10.0)
    record.watch(20.0)
    assert record.watching(19.0)
    assert not record.watching(20.0)


def test_digests_tell_requests_apart_by_values_outputs_and_model() -> None:
    made = [digest_of(request(1), "a"), digest_of(request(2), "a"), digest_of(request(1), "b")]
    made.append(digest_of(Request({"x": np.array([["1.0"]], object)}, 1, "id"), "a"))
    made.append(digest_of(Request({"x": np.array([[1.0]])}, 1, "id", ("y",)), "a"))
    assert len(set(made)) == len(made)
    assert digest_of(request(1), "a") == made[0]
