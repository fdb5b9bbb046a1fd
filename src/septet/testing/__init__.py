"""Doubles for tests of your own: services without a model, a client without sockets, an observer that remembers.

See docs/testing.md. Nothing of it opens a socket or starts a thread.
"""

from septet.testing.asgi_client import TestClient, TestResponse, asgi_request
from septet.testing.in_memory import application, service
from septet.testing.predictors import (
    IDENTITY,
    ConstantPredictor,
    EchoPredictor,
    FailingPredictor,
    HeldPredictor,
    HeldRequest,
    RecordingPredictor,
)
from septet.testing.recording_observer import RecordingObserver

__all__ = [
    "IDENTITY",
    "ConstantPredictor",
    "EchoPredictor",
    "FailingPredictor",
    "HeldPredictor",
    "HeldRequest",
    "RecordingObserver",
    "RecordingPredictor",
    "TestClient",
    "TestResponse",
    "application",
    "asgi_request",
    "service",
]
