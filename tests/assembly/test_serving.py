"""What the start of a server refuses, beyond a model that cannot be loaded."""

import datetime as dt
from collections.abc import Callable

import msgspec
import pytest

from septet.assembly.loading import refuse_stale
from septet.errors import StaleModel
from septet.model.freshness import Freshness, freshness
from septet.model.manifest import Data, Manifest, Training
from septet.settings import Model, Settings
from tests.protocols import models

UNTIL = dt.date(2026, 6, 30)


def aged(days: int) -> Callable[[], Freshness]:
    """The age of a model whose data ended so many days ago."""
    manifest: Manifest = msgspec.structs.replace(
        models.classifier().manifest, training=Training(data=Data(until=UNTIL))
    )
    return lambda: freshness(manifest, UNTIL + dt.timedelta(days))


@pytest.mark.parametrize("days", [0, 31, 40, 90])
def test_a_model_that_is_old_but_not_too_old_is_served(days: int) -> None:
    refuse_stale(msgspec.structs.replace(models.classifier(), freshness=aged(days)), Settings())


def test_a_model_older_than_ninety_days_is_refused_unless_that_is_allowed() -> None:
    service = msgspec.structs.replace(models.classifier(), freshness=aged(91))
    with pytest.raises(StaleModel, match=r"91 days.*--allow-stale"):
        refuse_stale(service, Settings())
    refuse_stale(service, Settings(model=Model(allow_stale=True)))
