"""What does not print is escaped, and nothing else."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.printable import printable, printable_json, printable_lines

ESCAPED = {
    "a\r\nb": r"a\r\nb",
    "\0": r"\x00",
    "\x1b]0;owned\x07\x1b[2J": r"\x1b]0;owned\x07\x1b[2J",
    "\x7f\x9b2J\x85": r"\x7f\x9b2J\x85",
    "\u202eevil\u2066\u200f": r"\u202eevil\u2066\u200f",
    "a\u2028b\u2029\ufeff\u200b": r"a\u2028b\u2029\ufeff\u200b",
    "\ud800": r"\ud800",
    "\U000e0041": r"\U000e0041",
}


@pytest.mark.parametrize("text", ESCAPED)
def test_what_commands_a_terminal_or_ends_a_line_is_escaped(text: str) -> None:
    assert printable(text) == ESCAPED[text]


@pytest.mark.parametrize("text", ["", "plain", "größer als 3 °C", "数据 😀", r"C:\new"])
def test_what_prints_is_left_as_it_is(text: str) -> None:
    assert printable(text) == printable_lines(text) == printable_json(text) == text


def test_lines_are_kept_where_they_are_wanted() -> None:
    assert printable_lines("a\n  b\x1b\r\n") == "a\n  b\\x1b\\r\n"


@given(st.text(st.characters(exclude_categories=())))
def test_whatever_comes_prints_in_one_line(text: str) -> None:
    assert printable(text).isprintable()
    assert printable_lines(text).replace("\n", "").isprintable()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_keeps_its_meaning(text: str) -> None:
    document = printable_json(json.dumps({text: [text]}, ensure_ascii=False, indent=1))
    assert document.replace("\n", "").isprintable()
    assert json.loads(document) == {text: [text]}


def test_the_time_is_linear() -> None:
    def seconds(count: int) -> float:
        begun = time.process_time()
        printable("\x1bä" * count)
        return time.process_time() - begun

    assert seconds(400_000) < 40 * max(seconds(40_000), 0.005)
