"""Celery: Redis for messages and for results, as its guides to Redis and to optimizing say for many short tasks."""

import os

from celery import Celery

app = Celery("celery_jobs", broker=f"{os.environ['STORE']}/0", backend=f"{os.environ['STORE']}/1")
app.conf.worker_prefetch_multiplier = 128
app.conf.broker_connection_retry_on_startup = True


@app.task
def predict(data):
    from job_model import predict as answer

    return answer(data)


def send_jobs(sending):
    sending.threads(predict.delay)
