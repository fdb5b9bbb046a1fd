"""What is being done, at a terminal."""

import io

from septet.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_written_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Progress("loading", stream) as progress:
        progress.step("1 of 2")
    assert stream.getvalue() == ""


def test_a_terminal_is_told_at_most_once_a_second_and_left_clean() -> None:
    stream = Terminal()
    moments = iter([0.0, 0.5, 1.0, 1.5])
    with Progress("predicting", stream, lambda: next(moments)) as progress:
        for step in ("1 row", "2 rows", "3 rows"):
            progress.step(step)
    text = stream.getvalue()
    assert "predicting 2 rows" in text
    assert "predicting 1 row" not in text
    assert "predicting 3 rows" not in text
    assert text.endswith("\r\x1b[K")


def test_a_line_is_erased_once() -> None:
    stream = Terminal()
    with Progress("loading", stream) as progress:
        progress.done()
        progress.step("late")
    assert stream.getvalue() == "\r\x1b[Kloading\r\x1b[K"
