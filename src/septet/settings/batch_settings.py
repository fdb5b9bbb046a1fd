"""The settings of runs over tables."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Batch(msgspec.Struct, frozen=True):
    """Runs over whole tables; see docs/batch.md."""

    ledger: Annotated[
        str | None,
        Meta(
            min_length=1,
            description="the file in which runs are kept; default: runs.db in the user's folder for state",
            extra={"flag": "ledger", "metavar": "FILE"},
        ),
    ] = None
