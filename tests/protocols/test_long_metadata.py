"""What describes a model of many names is written in the thread for lengthy work."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from septet import testing
from septet.errors import Overloaded
from septet.model.signature import Kind, Signature, Tensor
from septet.protocols.http.http_messages import HttpReply, HttpRequest
from septet.protocols.http.work_thread import MOST_WAITING_BYTES, WorkThread
from septet.protocols.native.model_info import ModelInfo
from septet.settings import Limits

LABELS = tuple(f"label {number}" for number in range(3000))


class NoExecutor(ThreadPoolExecutor):
    """The event loop's own threads, where none may be used."""

    def submit(self, *_: Any, **__: Any) -> "Future[Any]":
        raise AssertionError


async def asked(info: ModelInfo) -> HttpReply:
    asyncio.get_running_loop().set_default_executor(NoExecutor(1))
    return await info.metadata(HttpRequest("GET", "/metadata", b"", {}, b""))


def info(thread: WorkThread) -> ModelInfo:
    inputs, outputs = (Tensor("x", "float32", (None, 4)),), (Tensor("scores", "float32", (None, len(LABELS))),)
    service = testing.service(Signature(Kind.CLASSIFICATION, inputs, outputs, labels=LABELS))
    return ModelInfo(service, limits=Limits(), work_thread=thread)


def test_long_metadata_is_written_in_the_thread_for_lengthy_work() -> None:
    body = asyncio.run(asked(info(WorkThread()))).body
    assert len(msgspec.json.decode(body)["labels"]) == len(LABELS)


def test_long_metadata_is_refused_where_too_much_waits() -> None:
    async def scenario() -> None:
        thread = WorkThread()
        waiting = thread.submit(lambda: None, lambda _: None, MOST_WAITING_BYTES)
        with pytest.raises(Overloaded):
            await asked(info(thread))
        waiting.cancel()

    asyncio.run(scenario())


def test_an_error_of_the_work_reaches_who_waits() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(WorkThread().run(fail, 1))
