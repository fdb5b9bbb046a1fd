"""arq: it looks for jobs at intervals, which are shorter here than its default of half a second, and more of them run."""

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


async def main() -> None:
    from job_sending import send_all_async

    pool = await create_pool(SETTINGS)
    await send_all_async(lambda data: pool.enqueue_job("predict", data))
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main())
