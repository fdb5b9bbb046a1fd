"""Columns are arranged into tensors by their types."""

from septet.model.layout import arranged
from septet.model.signature import Column

AGE = Column("age", "float64")
COUNT = Column("count", "int64")
FLAG = Column("flag", "bool")
CITY = Column("city", "string")
WHEN = Column("when", "datetime64[us]")


def shown(*columns: Column, wide: tuple[str, ...] = ()) -> list[tuple[str, str, list[str]]]:
    tensors = arranged(columns, wide)
    return [(tensor.name, tensor.dtype, [column.name for column in tensor.columns]) for tensor in tensors]


def test_numbers_and_booleans_are_one_matrix_of_floats() -> None:
    assert shown(AGE, COUNT, FLAG) == [("input", "float64", ["age", "count", "flag"])]
    assert shown(FLAG) == [("input", "float64", ["flag"])]
    assert shown(Column("a", "float32"), Column("b", "float32")) == [("input", "float32", ["a", "b"])]


def test_texts_alone_are_one_matrix_unless_one_may_be_left_out() -> None:
    note = Column("note", "string", nullable=True, optional=True)
    assert shown(CITY, Column("land", "string")) == [("input", "string", ["city", "land"])]
    assert shown(CITY, note) == [("city", "string", ["city"]), ("note", "string", ["note"])]


def test_beside_texts_and_moments_each_column_is_a_tensor_of_its_own() -> None:
    assert shown(AGE, COUNT, FLAG, WHEN) == [
        ("age", "float64", ["age"]),
        ("count", "int64", ["count"]),
        ("flag", "bool", ["flag"]),
        ("when", "datetime64[us]", ["when"]),
    ]


def test_what_may_be_missing_is_carried_by_floats() -> None:
    count, flag = Column("count", "int64", nullable=True), Column("flag", "bool", nullable=True)
    assert shown(CITY, count, flag)[1:] == [("count", "float64", ["count"]), ("flag", "float64", ["flag"])]


def test_beside_whole_numbers_too_large_for_floats_each_column_is_a_tensor_of_its_own_in_its_order() -> None:
    large = Column("large", "int64")
    assert shown(AGE, large, COUNT, wide=("large",)) == [
        ("age", "float64", ["age"]),
        ("large", "int64", ["large"]),
        ("count", "int64", ["count"]),
    ]
    unread = Column("id", "int64", nullable=True, optional=True)
    assert shown(AGE, unread, wide=("id",)) == [("input", "float64", ["age", "id"])]


def test_without_columns_the_width_is_free() -> None:
    (tensor,) = arranged([])
    assert (tensor.dtype, tensor.shape) == ("float64", (None, None))
