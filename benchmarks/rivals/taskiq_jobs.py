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


async def main() -> None:
    from job_sending import send_all_async

    await broker.startup()
    await send_all_async(predict.kiq)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
