"""A client and a server that is loading, overloaded or too slow."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

import septet
from septet.errors import DeadlineExceeded, Overloaded, Unavailable
from septet.testing import FailingPredictor
from septet.types import Done, Pending, Predictor, Request
from tests.protocols import models
from tests.remote.serving import ServedApp, held
from tests.waiting import until

ROWS = [[1.0, 2.0, 3.0, 4.0]]
SCORES = [pytest.approx([0.9, 0.07, 0.03])]


class Full(Predictor):
    """Refuses requests for load until there is room."""

    def __init__(self, inner: Predictor) -> None:
        self.inner = inner
        self.room = False
        self.refused = 0

    def submit(self, request: Request, done: Done) -> Pending:
        if self.room:
            return self.inner.submit(request, done)
        self.refused += 1
        return FailingPredictor(Overloaded("No room.")).submit(request, done)


def client(server: ServedApp, *, timeout: float = 30.0, retries: int = 0) -> septet.Client:
    return septet.Client(server.url, timeout=timeout, retries=retries)


def test_a_call_to_a_server_that_loads_is_answered_once_it_is_ready() -> None:
    with ServedApp() as server, client(server) as hasty, client(server, retries=9) as patient:
        with pytest.raises(Unavailable, match="loading"):
            hasty.predict(ROWS)
        assert not hasty.ready()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(patient.predict, ROWS)
            until(lambda: server.requests > 2)
            server.install(models.classifier())
            assert answer.result() == SCORES
        assert patient.ready()


def test_a_call_ends_at_its_deadline_and_others_at_theirs() -> None:
    service, predictor = held(models.classifier())
    predictor.holding = True
    with ServedApp(service) as server, client(server) as patient, client(server, timeout=0.3) as hasty:
        with pytest.raises(DeadlineExceeded):
            hasty.predict(ROWS)
        predictor.holding = False
        assert patient.predict(ROWS) == SCORES


def test_a_call_that_is_refused_for_load_is_asked_again_where_the_client_may() -> None:
    full = Full(models.classifier().predictor)
    service = msgspec.structs.replace(models.classifier(), predictor=full)
    with ServedApp(service) as server, client(server) as hasty, client(server, retries=9) as patient:
        with pytest.raises(Overloaded):
            hasty.predict(ROWS)
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(patient.predict, ROWS) for _ in range(3)]
            until(lambda: full.refused == 4)
            full.room = True
            assert [each.result() for each in waiting] == [SCORES] * 3
