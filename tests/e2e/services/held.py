"""A middleware that lets no request through while the file exists that `HELD` names."""

import asyncio
import os
from pathlib import Path

from septet.types import Predictor, Request, Response, adapt

PAUSE_SECONDS = 0.01


def held(inner: Predictor) -> Predictor:
    """Wait, and pass on."""

    async def waiting(request: Request) -> Response:
        barrier = Path(os.environ["HELD"])
        while barrier.exists():  # noqa: ASYNC110, ASYNC240 - another process removes it
            await asyncio.sleep(PAUSE_SECONDS)
        return await inner.predict(request)

    return adapt(waiting)
