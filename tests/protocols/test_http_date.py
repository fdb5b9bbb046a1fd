"""Dates of replies."""

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from septet.protocols.http.http_date import http_date


@given(st.integers(0, 253402300799))
def test_a_date_is_written_as_the_standard_library_does(seconds: int) -> None:
    assert http_date(seconds) == formatdate(seconds, usegmt=True)


def test_the_example_of_the_rfc() -> None:
    assert http_date(784111777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
