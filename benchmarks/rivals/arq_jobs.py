"""arq: it looks for jobs more often than its default of twice a second, and more of them may run at once."""

import asyncio
import os

from arq import create_pool
from arq.connections import RedisSettings

SETTINGS = RedisSettings.from_dsn(f"{os.environ['STORE']}/0")


async def predict(ctx, data):
    from job_model import predict as answer

    return answer(data)


class WorkerSettings:
    functions = [predict]
    redis_settings = SETTINGS
    max_jobs = 100
    poll_delay = 0.01


def send_jobs(sending):
    async def send_all():
        pool = await create_pool(SETTINGS)
        await sending.coroutines(lambda data: pool.enqueue_job("predict", data))
        await pool.aclose()

    asyncio.run(send_all())
