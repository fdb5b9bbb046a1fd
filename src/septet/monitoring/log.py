"""Log lines for people (text) or for machines (JSON), one event a line, written to standard error in one call."""

import contextlib
import datetime as dt
import logging
import os
import re
import select
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from septet.events import Finished
from septet.printable import printable, printable_json

Format: TypeAlias = Literal["text", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]

LOGGER = "septet"
STDERR = 2
#: As POSIX has it: a pipe takes so many bytes in one piece, and has room for them when it has room.
ATOMIC_BYTES = 4096
#: How long a line waits for room, and how long after that no other one does: whoever logs has other work.
PATIENCE_SECONDS, IMPATIENT_SECONDS = 0.5, 10.0
FAILED, REFUSED, EVERYTHING = 500, 400, 0
#: Lines about failures that a process writes in a second; of more, it says how many there were.
MAX_LINES_PER_SECOND = 100


#: What a line may carry beside its event, in this order. Others give them as `extra={"id": ...}`.
FIELDS = ("id", "route", "code", "status", "rows", "seconds", "model", "version", "digest", "trace", "key", "error")
# A record with one of them is about a request.
_OF_REQUEST = ("id", "route")
#: W3C Trace Context, 3.2: version, ids of the trace and of the parent, flags.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# As Python writes texts, within a line; an apostrophe within a word begins none.
_QUOTATION = re.compile(r"""(?<!\w)(['"])(?:\\.|(?!\1).)*\1""")


class Entry:
    """An event with fields. As text it shows them all, so that nothing is lost under another program's logging."""

    def __init__(self, event: str, fields: Mapping[str, object]) -> None:
        self.event = event
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.event, *_pairs(self.fields)])


class TextFormatter(logging.Formatter):
    """Time, level and event, then the fields as `name=value`. Control characters are escaped: a line is an event."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, followed by the traceback, indented, if there is one."""
        time = dt.datetime.fromtimestamp(record.created).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        event, fields = _event(record)
        line = " ".join([time, f"{record.levelname:<7}", printable(event), *_pairs(fields)])
        return "\n  ".join([line, *map(printable, _traceback(record).splitlines())])


class JSONFormatter(logging.Formatter):
    """One JSON object: `ts` (UTC), `level`, `event`, `pid`, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        event, fields = _event(record)
        entry: dict[str, object] = {
            "ts": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": event,
            "pid": os.getpid(),
            **fields,
        }
        if traceback := _traceback(record):
            entry["exception"] = traceback
        try:
            return printable_json(msgspec.json.encode(entry, enc_hook=str).decode())
        except UnicodeEncodeError:
            # A lone surrogate, as in a file name that is not UTF-8.
            plain = {name: str(value).encode(errors="backslashreplace").decode() for name, value in entry.items()}
            return printable_json(msgspec.json.encode(plain).decode())


class LineHandler(logging.Handler):
    """Writes each record to a file descriptor in one call, so that lines of several processes do not mix.

    A record that cannot be written is lost rather than harm an answer. Whoever reads the other end of a pipe may read
    slowly, or no more: that is waited for now and then, what finds no room is lost, and how much is said when there is
    some.
    """

    def __init__(self, descriptor: int = STDERR) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._may_block = _may_block(descriptor)
        self._lost = 0
        self._impatient_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record."""
        with contextlib.suppress(Exception):
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
            if not self._has_room():
                self._lost += 1
                return
            if self._lost:
                lost, self._lost = self._lost, 0
                note = logging.LogRecord(LOGGER, logging.WARNING, "", 0, "%d lines of the log are lost", (lost,), None)
                line = f"{self.format(note)}\n".encode() + line
            self._write(line)

    def _write(self, line: bytes) -> None:
        if not self._may_block:
            os.write(self._descriptor, line)
            return
        while line:
            written = os.write(self._descriptor, line[:ATOMIC_BYTES])
            line = line[written:]
            if line and not self._has_room():
                return

    def _has_room(self) -> bool:
        """Whether a write of so many bytes as are atomic would not block."""
        if not self._may_block:
            return True
        room = select.poll()
        room.register(self._descriptor, select.POLLOUT)
        if room.poll(0):
            return True
        now = time.monotonic()
        if now < self._impatient_until:
            return False
        self._impatient_until = now + IMPATIENT_SECONDS
        return bool(room.poll(PATIENCE_SECONDS * 1000))


def _may_block(descriptor: int) -> bool:
    """Whether somebody reads what is written; where the system can tell who does not (Windows cannot)."""
    try:
        return hasattr(select, "poll") and not stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


class AccessLog:
    """Logs requests: failures, all with `access`, refusals at level debug; of `least_status` or above.

    A probe that finds the server starting or draining has found no failure: that is logged as a refusal is, and so is a
    call of what there is not. Of failures that come fast only the first in a second are logged one by one; `clock` is
    in seconds.

    A line has nothing of what a caller sent but its id and, where it is one, its trace: the message of a refusal quotes
    the request, so only failures of the server's own have theirs. The caller has the message, under the same id.
    """

    def __init__(self, *, access: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._logger = logging.getLogger(LOGGER)
        quiet = REFUSED if self._logger.isEnabledFor(logging.DEBUG) else FAILED
        self.least_status = EVERYTHING if access else quiet

    def turned(self, started: int, finished: Sequence[Finished]) -> None:  # noqa: ARG002 - an arrival is not logged
        """Log the requests that are of interest."""
        for event in finished:
            if event.status < self.least_status:
                continue
            if self.least_status < FAILED or (not _is_no_failure(event) and self._has_room()):
                self._log(event)

    def _has_room(self) -> bool:
        """Whether one more line may be written in this second."""
        second = int(self._clock())
        if second != self._second:
            if self._lines > MAX_LINES_PER_SECOND:
                left_out = self._lines - MAX_LINES_PER_SECOND
                self._logger.error(Entry("failures not logged one by one", {"count": left_out}))
            self._second, self._lines = second, 0
        self._lines += 1
        return self._lines <= MAX_LINES_PER_SECOND

    def _log(self, event: Finished) -> None:
        level = logging.INFO if self.least_status == EVERYTHING else logging.DEBUG
        if event.status >= FAILED and not _is_no_failure(event):
            level = logging.ERROR
        fields: dict[str, object] = {
            "id": event.id,
            "route": event.route,
            "code": event.code,
            "status": event.status,
            "rows": event.rows,
            "seconds": round(event.seconds, 6),
        }
        if (model := event.model) is not None:
            fields |= {"model": model.name, "version": model.version, "digest": model.digest}
        if event.trace is not None and TRACEPARENT.fullmatch(event.trace):
            fields["trace"] = event.trace
        if event.caller is not None:
            fields["key"] = event.caller
        if event.message is not None and level == logging.ERROR:
            fields["error"] = event.message
        self._logger.log(level, Entry("request", fields))


def _is_no_failure(event: Finished) -> bool:
    """Whether the status says more than happened.

    A route answered that it is not ready, unlike a connection that is one too many and reaches no route; or a caller
    asked for what there is not.
    """
    return event.code == "unimplemented" or (event.code == "unavailable" and event.route.startswith("/"))


def configure(*, style: Format = "text", level: Level = "info", descriptor: int = STDERR) -> None:
    """Send Septet's loggers to one handler; calling it again replaces the earlier one."""
    handler = LineHandler(descriptor)
    handler.setFormatter(JSONFormatter() if style == "json" else TextFormatter())
    logger = logging.getLogger(LOGGER)
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level.upper())


def _event(record: logging.LogRecord) -> tuple[str, Mapping[str, object]]:
    if isinstance(record.msg, Entry):
        return record.msg.event, record.msg.fields
    given = vars(record)
    return record.getMessage(), {name: given[name] for name in FIELDS if name in given}


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info:
        return ""
    text = logging.Formatter().formatException(record.exc_info)
    return text if vars(record).keys().isdisjoint(_OF_REQUEST) else _without_quotations(text)


def _without_quotations(traceback: str) -> str:
    """A traceback without what the texts of its exceptions quote: a model that fails on a request quotes its values.

    Lines of frames, and of their source, stay as they are.
    """
    lines, in_frame = [], False
    for line in traceback.split("\n"):
        begins = line.startswith('  File "')
        in_frame = begins or (in_frame and line.startswith("    "))
        lines.append(line if in_frame else _QUOTATION.sub(r"\1...\1", line))
    return "\n".join(lines)


def _pairs(fields: Mapping[str, object]) -> list[str]:
    return [f"{name}={printable(str(value))}" for name, value in fields.items()]
