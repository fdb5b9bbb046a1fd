"""`dataframe_split`: a pandas frame as `DataFrame.to_dict(orient="split")` writes it.

Its columns stand in any order. A frame whose columns have no names (none are sent, or pandas' 0, 1, 2 ...) is read in
the model's order. Its `index` is passed over.
"""

from itertools import islice
from typing import Any

import msgspec

from septet.errors import MOST_PROBLEMS, Problem, invalid
from septet.model.received import received, shown_key
from septet.protocols.codecs.column_names import ColumnNames
from septet.protocols.codecs.number_lists import NumberList

KEYS = ("columns", "data", "index")
#: Columns that a frame may have; those that the model does not know are passed over or refused.
MOST_COLUMNS = 20_000


def check_columns(count: int, names: ColumnNames) -> None:
    """Refuse a frame of far more columns than the model has.

    Raises:
        Invalid: it has more than `MOST_COLUMNS` beside the model's.
    """
    most = MOST_COLUMNS + len(names.known)
    if count > most:
        raise invalid([Problem(None, "columns", f"at most {most} columns", f"{count} columns")], "key")


class DataframeSplit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The frame as it is written; `data` is not read yet."""

    data: msgspec.Raw
    columns: list[str | int] | None = None
    index: list[Any] | None = None

    @property
    def quotes(self) -> int:
        """The quotes outside of `data`: with no backslash, each key, each name and each text has exactly two."""
        lists = [each for each in (self.columns, self.index) if each is not None]
        return 2 + 2 * len(lists) + 2 * sum(isinstance(name, str) for each in lists for name in each)


def in_order(columns: object, names: list[str]) -> bool:
    """Whether the columns of a frame are the model's, in its order."""
    return columns is None or columns == names or columns == list(range(len(names)))


def rows(value: object, names: ColumnNames) -> list[Any]:
    """The rows of a frame, in the order of the model's columns; an optional one that is not sent is None.

    Raises:
        Invalid: it is not a frame, or has other columns than the model.
    """
    columns, data = _parts(value)
    if in_order(columns, names.known):
        return data
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise invalid([Problem(None, "columns", "a list of column names", received(columns))], "key")
    problems = names.problems(columns)
    places: dict[str, int] = {}
    twice: dict[str, None] = {}
    for place, name in enumerate(columns):
        if name in places:
            twice[name] = None
        elif name in names.known_set:
            places[name] = place
    problems += [Problem(None, name, "each column once", "twice") for name in islice(twice, MOST_PROBLEMS)]
    for at, row in enumerate(data):
        if len(problems) >= MOST_PROBLEMS:
            break
        if not isinstance(row, list) or len(row) != len(columns):
            problems.append(Problem(at, None, f"a list of {len(columns)} values", received(row)))
    if problems:
        raise invalid(problems)
    order = [places.get(name) for name in names.known]
    return [[None if place is None else row[place] for place in order] for row in data]


def _parts(value: object) -> tuple[object, list[Any]]:
    """The columns as they were sent, and the rows."""
    if isinstance(value, dict) and isinstance(value.get("data"), NumberList):
        value = {**value, "data": [row for part in value["data"].parts() for row in part]}
    if not isinstance(value, dict) or not isinstance(value.get("data"), list):
        what = "an object with 'columns' and 'data', a list of rows"
        raise invalid([Problem(None, "dataframe_split", what, received(value))], "key")
    unknown = list(islice((key for key in value if key not in KEYS), MOST_PROBLEMS))
    if unknown:
        expected = "'columns', 'data' or 'index'"
        raise invalid([Problem(None, shown_key(key), expected, "an unknown key") for key in unknown], "key")
    index = value.get("index")
    if index is not None and not isinstance(index, list):
        raise invalid([Problem(None, "index", "a list", received(index))], "key")
    return value.get("columns"), value["data"]
