"""dramatiq: Redis for messages and for results."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=f"{os.environ['STORE']}/0")
broker.add_middleware(Results(backend=RedisBackend(url=f"{os.environ['STORE']}/1")))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def predict(data):
    from job_model import predict as answer

    return answer(data)


def send_jobs(sending):
    sending.threads(predict.send)
