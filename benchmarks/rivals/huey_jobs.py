"""huey with SQLite in WAL mode. FSYNC: empty for its default, which leaves SQLite's own, FULL; `no` for OFF."""

import os

from huey import SqliteHuey

huey = SqliteHuey("jobs", filename=os.environ["STORE"], fsync={"": None, "yes": True, "no": False}[os.environ["FSYNC"]])


@huey.task()
def predict(data):
    from job_model import predict as answer

    return answer(data)


def send_jobs(sending):
    sending.threads(predict)
