"""A real browser before the real application, with a service of each kind mounted below its own prefix."""

import os
import shutil
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import uvicorn

import septet
from septet.assembly.composition import application
from septet.events import NullObserver
from septet.monitoring.shared_metrics import MetricsSnapshot
from septet.protocols.http.app import App
from septet.protocols.http.asgi import Asgi, Receive, Scope, Send
from septet.service import Service
from septet.settings import Settings
from tests.e2e.process import IRIS
from tests.protocols import models
from tests.waiting import until
from tests.web.browser import Browser

PAGE_KEY = "key-of-the-page-0123"


def totals() -> MetricsSnapshot:
    raise AssertionError("the page asks for no metrics")


def asgi(*services: Service, missing: Mapping[str, str] | None = None) -> Asgi:
    settings = Settings()
    app = App()
    for service in services:
        app.models.install(service)
    for name, reason in (missing or {}).items():
        app.models.fail(name, reason)
    application(app, settings, NullObserver(), totals, [service.identity.name for service in services])
    return Asgi(app, max_body_bytes=settings.limits.max_body_bytes)


def several() -> list[Service]:
    """Three models of one server."""
    kinds = models.every_kind()
    named = {"iris": models.iris(), "price": kinds["regressor"], "mixed": kinds["mixed"]}
    return [
        msgspec.structs.replace(service, identity=msgspec.structs.replace(service.identity, name=name))
        for name, service in named.items()
    ]


class Mounts:
    """Routes `/name/...` to an application, as a framework's mount does."""

    def __init__(self, apps: Mapping[str, Asgi]) -> None:
        self._apps = {f"/{name}": app for name, app in apps.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = "/" + scope.get("path", "/").split("/")[1]
        app = self._apps.get(prefix, next(iter(self._apps.values())))
        await app({**scope, "root_path": prefix}, receive, send)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address that the prefixes of the applications follow."""
    services = {"iris": models.iris(), "digits": models.classifier(64), **models.every_kind()}
    apps = {name.replace(" ", "-"): asgi(service) for name, service in services.items()}
    apps["several"] = asgi(*several())
    apps["partly"] = asgi(models.iris(), missing={"broken": "broken.onnx is not an ONNX model"})
    apps["keyed"] = septet.asgi(IRIS, api_keys=[f"reader={PAGE_KEY}"])
    with served(Mounts(apps)) as found:
        yield found


@contextmanager
def served(app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> Iterator[str]:
    """The address of an application behind uvicorn."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium, which a machine may lack but CI must have."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        message = f"install {' and '.join(missing)} (Debian: chromium, chromium-driver) to test the page"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, which must not have complained when a test ends."""
    chromium.complaints()
    yield chromium
    unexpected: list[Any] = [each for each in chromium.complaints() if "status of 4" not in each]
    assert unexpected == []
