"""Standard input, output and error as whoever started the command left them: closed, full, or a pipe nobody reads."""

import contextlib
import os
import sys

STDIN, STDOUT, STDERR = 0, 1, 2


def open_closed_streams() -> None:
    """Give each standard stream that is closed a descriptor of its own, before a file or a socket gets its number.

    Reading the one and writing the others fails, as it does with what is closed; a log that cannot be written is lost.
    """
    # In this order, since the system gives out the lowest number that is free.
    for descriptor, flags in ((STDIN, os.O_WRONLY), (STDOUT, os.O_RDONLY), (STDERR, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # noqa: FBT003 - the standard library's signature
    # They are those of the process: closed with it.
    sys.stdin = sys.stdin or os.fdopen(STDIN, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(STDOUT, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(STDERR, "w", encoding="utf-8", closefd=False, errors="backslashreplace")


def output_fault() -> OSError | None:
    """Why what was printed cannot be written; None where it is."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    return None


def discard_output() -> None:
    """Drop what could not be written, so that the end of the process does not try again."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            try:
                stream.flush()
            except OSError:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)
                stream.flush()
