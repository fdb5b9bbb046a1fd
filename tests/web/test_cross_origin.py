"""A page of another origin asks a service, in a real browser: what its origin may, and what it may not."""

from collections.abc import Iterator
from typing import Any

import pytest

import septet
from tests.e2e.process import IRIS
from tests.web.browser import Browser
from tests.web.conftest import served

KEY = "key-of-a-page-elsewhere"
# The outcome of a request as the page sees it: status, answer, model of the header; or that the browser keeps it back.
ASK = """
const [url, headers, done] = arguments;
fetch(url, {method: "POST", headers, body: '{"data": [[5.1, 3.5, 1.4, 0.2]]}'})
  .then(async (reply) => done([reply.status, await reply.json(), reply.headers.get("septet-model")]))
  .catch(() => done(null));
"""


@pytest.fixture(scope="module")
def elsewhere(address: str) -> Iterator[str]:
    """A service that pages of the origin `address` may ask."""
    with served(septet.asgi(IRIS, api_keys=[f"page={KEY}"], cors_origins=[address])) as found:
        yield found


def ask(chromium: Browser, url: str, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return chromium.driver.execute_async_script(ASK, f"{url}/predict", {"content-type": "application/json", **named})


def test_a_page_of_a_listed_origin_asks_with_its_key(chromium: Browser, address: str, elsewhere: str) -> None:
    chromium.driver.get(f"{address}/iris/health")
    status, answer, model = ask(chromium, elsewhere, authorization=f"Bearer {KEY}")
    assert (status, len(answer["prediction"]), model) == (200, 1, "iris")
    status, answer, _ = ask(chromium, elsewhere, x_api_key="wrong")
    assert (status, answer["error"]["code"]) == (401, "unauthenticated")
    chromium.complaints()


def test_a_page_of_another_origin_reads_nothing(chromium: Browser, address: str, elsewhere: str) -> None:
    chromium.driver.get(f"{address}/iris/health".replace("127.0.0.1", "localhost"))
    assert ask(chromium, elsewhere, authorization=f"Bearer {KEY}") is None
    assert any("CORS" in each for each in chromium.complaints())
