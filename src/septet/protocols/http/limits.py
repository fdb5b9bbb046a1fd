"""What holds for a request on every transport."""

from septet.errors import TooLarge


def check_length(size: int, limit: int) -> None:
    """Refuse a body over the limit.

    Raises:
        TooLarge: it is.
    """
    if size > limit:
        raise TooLarge(f"The body is over the limit of {limit} bytes. Send fewer rows at a time.")
