"""Brings answers to a table of SQLite."""

from types import ModuleType
from typing import Final

from septet.errors import MissingExtra
from septet.sinks.delivery import Delivery, DeliveryFailed, Sink, is_plain_json
from septet.sinks.sink_address import TableAddress

_BUSY_MILLISECONDS: Final = 10_000
_COLUMNS: Final = """
job_id TEXT PRIMARY KEY NOT NULL, delivery_id TEXT NOT NULL, state TEXT NOT NULL, model TEXT, version TEXT, digest TEXT,
submitted_at REAL NOT NULL, ended_at REAL NOT NULL, request_id TEXT NOT NULL, traceparent TEXT, status INTEGER,
content_type TEXT, answer, error_code TEXT, error TEXT
"""
_WIDTH: Final = 15


class TableSink(Sink):
    """Exactly once: a job has one row, and the first one stays.

    The table is made where it lacks. `answer` is text where it is JSON, so that SQL can look into it, else a blob.

    Raises:
        MissingExtra: the library of SQLite lacks.
    """

    def __init__(self, address: TableAddress) -> None:
        try:
            import apsw
        except ImportError:
            raise MissingExtra("A table of SQLite needs apsw: pip install 'septet[jobs]'") from None
        self._address = address
        self._apsw: ModuleType = apsw

    def deliver(self, delivery: Delivery) -> None:
        """Insert one row, unless the job has one."""
        # The name of the table was checked when its address was read.
        table = self._address.table
        values = ", ".join("?" * _WIDTH)
        insert = f'INSERT INTO "{table}" VALUES ({values}) ON CONFLICT (job_id) DO NOTHING'  # noqa: S608
        try:
            connection = self._apsw.Connection(self._address.path)
            try:
                connection.set_busy_timeout(_BUSY_MILLISECONDS)
                connection.execute("PRAGMA synchronous = FULL")
                # A transaction that reads first, and then wants to write, cannot wait for another one.
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(f'CREATE TABLE IF NOT EXISTS "{table}" ({_COLUMNS})')
                connection.execute(insert, _row(delivery))
                connection.execute("COMMIT")
            finally:
                connection.close()
        except self._apsw.Error as error:
            raise DeliveryFailed(f"{self._address.shown} took no row: {str(error)[:200]}") from None


def _row(delivery: Delivery) -> tuple[str | float | bytes | None, ...]:
    model, reply, error = delivery.model, delivery.reply, delivery.error
    answer: str | bytes | None = None
    if reply is not None:
        answer = reply.body.decode() if is_plain_json(reply) else reply.body
    return (
        delivery.job_id,
        delivery.id,
        str(delivery.state),
        *((None, None, None) if model is None else (model.name, model.version, model.digest)),
        delivery.submitted_at,
        delivery.ended_at,
        delivery.request_id,
        delivery.trace,
        *((None, None) if reply is None else (reply.status, reply.media_type.decode("latin-1"))),
        answer,
        *((None, None) if error is None else (error.code, error.message)),
    )
