"""A middleware that tells in a thread that a part is done, and goes on when a file is there."""

import asyncio
import os
from pathlib import Path

from septet import report_progress
from septet.types import Predictor, Request, Response, adapt
from tests.waiting import until


def stepping(inner: Predictor) -> Predictor:
    """Wait for the file that the environment names."""

    async def answer(request: Request) -> Response:
        await asyncio.to_thread(report_progress, 0.4)
        await asyncio.to_thread(until, Path(os.environ["STEPPING_FILE"]).exists)
        return await inner.predict(request)

    return adapt(answer)
