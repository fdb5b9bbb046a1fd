"""taskiq: a Redis stream for messages, which are acknowledged, and Redis for results."""

import asyncio
import os

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

broker = RedisStreamBroker(f"{os.environ['STORE']}/0").with_result_backend(
    RedisAsyncResultBackend(f"{os.environ['STORE']}/1")
)


@broker.task
async def predict(data: list[list[float]]) -> list[list[float]]:
    from job_model import predict as answer

    return answer(data)


def send_jobs(sending):
    async def send_all():
        await broker.startup()
        await sending.coroutines(predict.kiq)
        await broker.shutdown()

    asyncio.run(send_all())
