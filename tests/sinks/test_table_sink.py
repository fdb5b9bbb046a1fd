"""Answers that are brought to a table of SQLite."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from septet.sinks.delivery import DeliveryFailed
from septet.sinks.open_sinks import OpenSinks
from septet.sinks.sink_policy import SinkPolicy
from tests.sinks.samples import BINARY_REPLY, DELIVERY_ID, IRIS, JOB_ID, delivery, failed_delivery

apsw = pytest.importorskip("apsw")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.db"


def opened(file: Path) -> OpenSinks:
    return OpenSinks(SinkPolicy(sinks=(f"table=sqlite:///{file}?table=answers",)))


@contextmanager
def asked(file: Path) -> Iterator[Any]:
    with closing(apsw.Connection(str(file))) as connection:
        yield connection


def rows(file: Path, question: str) -> list[tuple[Any, ...]]:
    with asked(file) as connection:
        return list(connection.execute(question))


def test_an_answer_is_one_row_however_often_it_is_brought(file: Path) -> None:
    sinks = opened(file)
    for attempt in range(1, 4):
        sinks.deliver("table", delivery(attempt=attempt))
    ((*facts, answer),) = rows(
        file, "SELECT job_id, delivery_id, state, model, version, digest, status, content_type, answer FROM answers"
    )
    assert facts == [JOB_ID, DELIVERY_ID, "succeeded", IRIS.name, "3", IRIS.digest, 200, "application/json"]
    assert answer == '{"predictions": [1, 2.50]}'
    assert rows(file, "SELECT answer ->> '$.predictions[1]' FROM answers") == [(2.5,)]


def test_bytes_and_errors_have_their_columns(file: Path) -> None:
    sinks = opened(file)
    sinks.deliver("table", delivery(job_id="1", reply=BINARY_REPLY))
    sinks.deliver("table", delivery(job_id="2", reply=None, error=failed_delivery().error))
    found = rows(file, "SELECT answer, error_code, error FROM answers ORDER BY job_id")
    assert found == [(BINARY_REPLY.body, None, None), (None, "model_failed", "The model failed.")]


def test_many_threads_and_processes_may_write_at_once(file: Path) -> None:
    first, second = opened(file), opened(file)

    def bring(number: int) -> None:
        (first, second)[number % 2].deliver("table", delivery(job_id=f"{number // 2}"))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(bring, range(24)))
    assert rows(file, "SELECT count(*) FROM answers") == [(12,)]


def test_a_file_that_takes_no_row_may_take_it_later(file: Path) -> None:
    with asked(file) as connection:
        connection.execute("CREATE TABLE answers (other)")
    with pytest.raises(DeliveryFailed, match="columns"):
        opened(file).deliver("table", delivery())
    with pytest.raises(DeliveryFailed, match="unable to open"):
        opened(file.parent / "away" / "answers.db").deliver("table", delivery())
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(DeliveryFailed, match="not a database"):
        opened(file).deliver("table", delivery())
    file.unlink()
    opened(file).deliver("table", delivery())
    assert len(rows(file, "SELECT 1 FROM answers")) == 1


def test_a_name_of_a_table_may_be_a_word_of_sql(file: Path) -> None:
    OpenSinks(SinkPolicy(sinks=(f"t=sqlite:///{file}?table=select",))).deliver("t", delivery())
    assert len(rows(file, 'SELECT 1 FROM "select"')) == 1
