"""What the tests of real servers share."""

from collections.abc import Iterator

import pytest

from tests.e2e.guarded import FAST, FILED, NARROW, SHARED, STATED, Guarded, serving_guarded


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    server, folder = serving_guarded(tmp_path_factory.mktemp("guarded"), "--workers", str(request.param))
    with server:
        yield Guarded(server, folder)
    for secret in (STATED, FILED, FAST, NARROW, SHARED):
        assert secret not in server.log
