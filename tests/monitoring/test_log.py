import logging
import os
import select
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from septet.events import Finished
from septet.monitoring.log import MAX_LINES_PER_SECOND, AccessLog, Format, Level, LineHandler, configure
from septet.types import Identity

IRIS = Identity("iris", "1", "sha256:00")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Read = Callable[[], str]
Configured = Callable[[Format, Level], Read]


def fail_with(message: str) -> None:
    raise ValueError(message)


@pytest.fixture
def configured() -> Iterator[Configured]:
    """Configure logging onto a pipe; calling the result reads what was written since."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def read() -> str:
        try:
            return os.read(reading, 65536).decode()
        except BlockingIOError:
            return ""

    def configure_onto_pipe(style: Format, level: Level) -> Read:
        configure(style=style, level=level, descriptor=writing)
        return read

    yield configure_onto_pipe
    logger = logging.getLogger("septet")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)
    os.close(reading)
    os.close(writing)


def event(status: int, **changes: str) -> Finished:
    fixed = Finished("/predict", "an-id", "ok" if status == 200 else "invalid", status, 1, 0.0012345678, model=IRIS)
    return msgspec.structs.replace(fixed, **changes)


def test_an_access_line_names_request_and_model(configured: Configured) -> None:
    read = configured("json", "info")

    AccessLog(access=True).turned(0, [event(200, trace=TRACE)])

    entry = msgspec.json.decode(read())
    assert entry.pop("ts").endswith("+00:00")
    assert entry == {
        "level": "info",
        "event": "request",
        "pid": os.getpid(),
        "id": "an-id",
        "route": "/predict",
        "code": "ok",
        "status": 200,
        "rows": 1,
        "seconds": 0.001235,
        "model": "iris",
        "version": "1",
        "digest": "sha256:00",
        "trace": TRACE,
    }


@pytest.mark.parametrize(
    ("access", "level", "logged"),
    [
        (False, "info", [500]),
        (False, "debug", [400, 500]),
        (True, "info", [200, 400, 500]),
        (True, "debug", [200, 400, 500]),
        (True, "error", [500]),
    ],
)
def test_failures_are_always_logged_and_the_rest_on_request(
    configured: Configured,
    access: bool,  # noqa: FBT001 - pytest passes parameters by name
    level: Level,
    logged: list[int],
) -> None:
    read = configured("json", level)
    log = AccessLog(access=access)

    for status in (200, 400, 500):
        log.turned(1, ())
        log.turned(0, [event(status)])

    assert [msgspec.json.decode(line)["status"] for line in read().splitlines()] == logged


@pytest.mark.parametrize(
    ("access", "level", "logged"),
    [(False, "info", []), (False, "debug", ["debug"]), (True, "info", ["info"]), (True, "error", [])],
)
def test_a_probe_before_the_start_is_done_is_no_error(
    configured: Configured,
    access: bool,  # noqa: FBT001 - pytest passes parameters by name
    level: Level,
    logged: list[str],
) -> None:
    read = configured("json", level)
    probe = msgspec.structs.replace(event(503), route="/health/ready", code="unavailable")
    AccessLog(access=access).turned(0, [probe])
    assert [msgspec.json.decode(line)["level"] for line in read().splitlines()] == logged


def test_a_connection_too_many_is_an_error(configured: Configured) -> None:
    read = configured("json", "info")
    turned_away = msgspec.structs.replace(event(503), route="unmatched", code="unavailable")
    AccessLog(access=False).turned(0, [turned_away])
    assert msgspec.json.decode(read())["level"] == "error"


def test_a_call_of_what_there_is_not_is_no_failure(configured: Configured) -> None:
    read = configured("text", "info")
    AccessLog(access=False).turned(0, [event(501, code="unimplemented")])
    assert read() == ""


def test_of_failures_that_come_fast_the_first_are_logged_and_the_rest_counted(configured: Configured) -> None:
    read = configured("text", "info")
    now = 1.0
    log = AccessLog(access=False, clock=lambda: now)
    log.turned(0, [event(500, code="internal")] * (MAX_LINES_PER_SECOND + 7))
    assert read().count("\n") == MAX_LINES_PER_SECOND
    now = 2.0
    log.turned(0, [event(500, code="internal")])
    counted, line = read().splitlines()
    assert "count=7" in counted
    assert "code=internal" in line


def test_a_failure_carries_its_message(configured: Configured) -> None:
    read = configured("text", "info")

    AccessLog(access=False).turned(0, [event(500, message="the model\nfailed")])

    line = read()
    assert line.count("\n") == 1
    assert "ERROR" in line
    assert "error=the model\\nfailed" in line


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_line_has_nothing_of_what_a_refused_caller_sent(configured: Configured, style: Format) -> None:
    read = configured(style, "debug")

    refused = [event(status, message="received 'hunter2'", trace="hunter2") for status in (400, 404, 422)]
    AccessLog(access=True).turned(0, [*refused, event(501, code="unimplemented", message="no method '/hunter2'")])

    lines = read()
    assert lines.count("\n") == 4
    assert "hunter2" not in lines


def test_a_traceback_of_a_request_quotes_none_of_its_values(configured: Configured) -> None:
    read = configured("text", "info")
    secret = "hunter2"

    try:
        try:
            float(secret)
        except ValueError as error:
            raise RuntimeError(f"it isn't {secret!r} nor 'a \\' {secret}' that's\n  [{secret!r}, 3]") from error
    except RuntimeError:
        logging.getLogger("septet").exception("The model failed on a request", extra={"id": "an-id"})

    text = read()
    assert secret not in text
    assert "could not convert string to float: '...'" in text
    assert "it isn't '...' nor '...' that's" in text
    assert "['...', 3]" in text
    assert f'File "{__file__}"' in text


def test_a_caller_cannot_forge_a_line_of_text(configured: Configured) -> None:
    read = configured("text", "info")

    logging.getLogger("septet").info("id %s", "x\r\n2026-01-01 00:00:00 ERROR \x1b[2J")

    assert read().count("\n") == 1


@pytest.mark.parametrize("style", ["text", "json"])
def test_an_exception_is_logged_with_its_traceback(configured: Configured, style: Format) -> None:
    read = configured(style, "info")
    logger = logging.getLogger("septet")

    try:
        int("broken")
    except ValueError:
        logger.exception("failed")

    assert "ValueError: invalid literal" in read()


def test_a_forged_line_in_a_traceback_stands_indented(configured: Configured) -> None:
    read = configured("text", "info")

    try:
        fail_with("\n2026-01-01 00:00:00 ERROR \x1b[2J")
    except ValueError:
        logging.getLogger("septet").exception("failed")

    first, *others = read().splitlines()
    assert first.endswith("failed")
    assert all(line.startswith("  ") and line.isprintable() for line in others)


@pytest.mark.parametrize("style", ["text", "json"])
def test_fields_given_as_extra_are_on_the_line(configured: Configured, style: Format) -> None:
    read = configured(style, "info")

    logging.getLogger("septet").info("the model failed", extra={"id": "an-id", "unknown": 1})

    line = read()
    assert "an-id" in line
    assert "unknown" not in line


def test_a_request_is_described_in_full_under_the_logging_of_another_program(caplog: pytest.LogCaptureFixture) -> None:
    AccessLog(access=False).turned(0, [event(500, message="no")])

    assert "request id=an-id route=/predict code=invalid status=500" in caplog.text


def test_configuring_again_replaces_the_handler(configured: Configured) -> None:
    configured("text", "info")
    read = configured("json", "info")

    logging.getLogger("septet").info("once")

    assert len(read().splitlines()) == 1


@pytest.mark.parametrize("style", ["text", "json"])
def test_text_that_is_not_unicode_is_escaped(configured: Configured, style: Format) -> None:
    read = configured(style, "info")

    logging.getLogger("septet").info("file %s", "\udcff.onnx")

    assert "udcff.onnx" in read()


def test_a_log_call_that_cannot_be_written_harms_nobody(configured: Configured) -> None:
    read = configured("text", "info")

    logging.getLogger("septet").info("%d rows", "many")

    assert read() == ""


def test_a_pipe_that_nobody_reads_stops_nobody_and_what_is_lost_is_said() -> None:
    reading, writing = os.pipe()
    configure(descriptor=writing)
    logger = logging.getLogger("septet")
    try:
        for _ in range(40):
            logger.info("%s", "x" * 4000)
        os.set_blocking(reading, False)
        while len(os.read(reading, 65536)) == 65536:
            pass
        logger.info("after")
        said = os.read(reading, 65536).decode()
    finally:
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)
        os.close(reading)
        os.close(writing)
    assert "lines of the log are lost" in said
    assert said.endswith("after\n")


def test_a_slow_reader_of_the_log_holds_up_nobody() -> None:
    reading, writing = os.pipe()
    handler = LineHandler(writing)
    record = logging.LogRecord("septet", logging.INFO, "", 0, "%s", ("x" * 4000,), None)
    begun = time.monotonic()
    try:
        for _ in range(400):
            full = not select.select([], [writing], [], 0)[1]
            handler.emit(record)
            if full:
                os.read(reading, 8192)
    finally:
        os.close(reading)
        os.close(writing)
    # A wait for each time that the pipe was full would be minutes.
    assert time.monotonic() - begun < 30
