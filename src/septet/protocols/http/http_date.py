"""Dates as headers have them (RFC 9110, 5.6.7)."""

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(seconds: float) -> str:
    """A time in seconds since 1970, such as `Sun, 06 Nov 1994 08:49:37 GMT`.

    In no language but English, whatever the process has chosen. `email.utils` says the same, and takes 5 ms to import.
    """
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
