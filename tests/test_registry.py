"""The registry serves models by name, swaps them at once, and closes the old ones when their last request is over."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from septet.errors import NotFound, StartupError
from septet.registry import Models
from septet.service import Service
from septet.testing import EchoPredictor, HeldPredictor
from septet.types import Identity, Request
from tests.protocols.models import classifier


def service(name: str, version: str = "1", *, close: Callable[[], None] = lambda: None) -> Service:
    identity = Identity(name, version, "sha256:" + "0" * 64)
    return msgspec.structs.replace(
        classifier(), identity=identity, predictor=HeldPredictor(EchoPredictor(identity=identity)), close=close
    )


def test_a_single_model_is_the_sole_one_and_several_are_found_by_name() -> None:
    models = Models()
    one = models.install(service("one"))
    soles = [Models().sole, models.sole]
    two = models.install(service("two"))
    assert [*soles, models.sole] == [None, one, None]
    assert list(models) == [one, two]
    assert models.find("two") is models.find("two", "1") is two
    with pytest.raises(NotFound, match="only 'one', 'two'"):
        models.find("three")
    with pytest.raises(NotFound, match="no version '2'"):
        models.find("one", "2")


def test_a_name_is_served_once() -> None:
    models = Models()
    models.install(service("one"))
    with pytest.raises(StartupError, match="two models have the name 'one'"):
        models.install(service("one", "2"))


def test_each_change_is_told() -> None:
    async def story() -> None:
        models, told = Models(), []
        models.on_change(lambda: told.append([each.service.identity.version for each in models]))
        models.install(service("one"))
        await models.swap(service("one", "2"))
        await models.remove("one")
        assert told == [["1"], ["2"], []]

    asyncio.run(story())


def test_an_old_model_is_closed_when_its_last_request_is_over() -> None:
    async def story() -> None:
        closed: list[str] = []
        models = Models()
        old = models.install(service("one", close=lambda: closed.append("old")))
        request = Request({}, 1, "an-id")
        asked = asyncio.ensure_future(old.predict(request))
        await asyncio.sleep(0)
        swapped = models.swap(service("one", "2", close=lambda: closed.append("new")))
        assert models.find("one").service.identity.version == "2"
        await asyncio.sleep(0)
        assert (closed, swapped.done()) == ([], False)
        held = old.service.predictor
        assert isinstance(held, HeldPredictor)
        held.release()
        assert (await asked).model.version == "1"
        await swapped
        assert closed == ["old"]

    asyncio.run(story())


def test_a_model_that_is_missing_leaves_no_sole_one_and_says_why() -> None:
    models = Models()
    models.install(service("one"))
    models.fail("two", "it is damaged")
    assert models.sole is None
    assert models.missing == {"two": "it is damaged"}
    models.install(service("two"))
    assert models.missing == {}
