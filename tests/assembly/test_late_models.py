"""A model that is installed after the start, under a name that no counter was made for, is served like the others."""

import asyncio

import msgspec

from septet.assembly.composition import application, layout
from septet.events import NullObserver
from septet.monitoring.shared_metrics import SharedMetrics
from septet.protocols.http.app import App
from septet.protocols.http.http_messages import HttpRequest
from septet.settings import Settings
from tests.protocols import models


def test_the_statistics_of_a_late_model_are_empty() -> None:
    app = App()
    application(app, Settings(), NullObserver(), SharedMetrics(layout(1)).snapshot, ["first"])
    service = models.classifier()
    app.models.install(service)
    path = f"/v2/models/{service.identity.name}/stats"
    reply = asyncio.run(app(HttpRequest("GET", path, b"", {}, b"")))
    assert reply.status == 200
    (found,) = msgspec.json.decode(reply.body)["model_stats"]
    assert (found["name"], found["inference_count"]) == (service.identity.name, 0)
