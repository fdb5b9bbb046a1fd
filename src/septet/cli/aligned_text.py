"""Rows of text in aligned columns."""

from collections.abc import Iterator, Sequence

_WIDEST = 48  # a longer cell does not push the others away


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    """Write each row on a line, its cells padded to the column's width; columns without a cell are left out."""
    used = [at for at in range(max(map(len, rows), default=0)) if _filled(rows, at)]
    widths = {at: min(max(len(row[at]) for row in rows), _WIDEST) for at in used}
    for row in rows:
        cells = (row[at].ljust(widths[at]) for at in used)
        yield (indent + "  ".join(cells)).rstrip()


def _filled(rows: Sequence[Sequence[str]], at: int) -> bool:
    """Say whether a column holds anything below its header."""
    return any(row[at] for row in rows[1:]) or len(rows) == 1
