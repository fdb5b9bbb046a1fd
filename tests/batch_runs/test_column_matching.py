"""Columns are found by name, and what does not fit is told with what would mend it."""

import pyarrow as pa
import pytest

from septet.batch_runs.column_matching import match_columns
from septet.errors import Invalid
from septet.model.signature import Column, Kind, Signature, Tensor
from tests.protocols import models

MIXED = models.mixed().signature
TYPES = {"age": pa.int16(), "fare": pa.float32(), "sex": pa.string(), "deck": pa.large_string(), "alone": pa.bool_()}


def schema(**others: pa.DataType) -> pa.Schema:
    return pa.schema(list({**TYPES, **others}.items()))


def taking(*columns: Column, carrier: str) -> Signature:
    inputs = tuple(Tensor(column.name, carrier, (None,), (column,)) for column in columns)
    return Signature(Kind.REGRESSION, inputs, (Tensor("y", "float32", (None,)),))


def test_they_are_found_by_their_names() -> None:
    found = match_columns(MIXED, ["id", *TYPES], schema=schema(id=pa.int64()), kept=["id"])
    assert found.inputs == {name: name for name in TYPES}
    assert list(found.columns) == [*TYPES, "id"]


def test_one_that_lacks_is_told_with_a_likely_other_name() -> None:
    with pytest.raises(Invalid) as refused:
        match_columns(MIXED, ["Age", "fare", "sex", "deck"])
    assert [(each.column, each.received) for each in refused.value.problems] == [
        ("age", "no such column; if it is 'Age', say --rename 'age=Age'"),
        ("alone", "no such column"),
    ]
    names = ["Age", "fare", "sex", "deck", "alone"]
    assert match_columns(MIXED, names, renames={"age": "Age"}).inputs["age"] == "Age"
    with pytest.raises(Invalid, match="'wage'"):
        match_columns(MIXED, list(TYPES), renames={"wage": "age"})
    with pytest.raises(Invalid, match="a column to keep"):
        match_columns(MIXED, list(TYPES), kept=["id"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("age", pa.string()),
        ("age", pa.bool_()),
        ("fare", pa.timestamp("s")),
        ("sex", pa.int64()),
        ("sex", pa.binary()),
        ("sex", pa.null()),
        ("alone", pa.string()),
        ("deck", pa.list_(pa.string())),
        ("age", pa.struct([("a", pa.int8())])),
    ],
)
def test_a_type_that_its_values_cannot_have_is_told(name: str, kind: pa.DataType) -> None:
    with pytest.raises(Invalid) as refused:
        match_columns(MIXED, list(TYPES), schema=schema(**{name: kind}))
    (problem,) = refused.value.problems
    assert (problem.column, problem.received) == (name, f"the type {kind}")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("age", pa.decimal128(5, 0)),
        ("age", pa.dictionary(pa.int8(), pa.int64())),
        ("fare", pa.null()),
        ("fare", pa.uint64()),
        ("sex", pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_a_type_that_they_may_have_is_taken(name: str, kind: pa.DataType) -> None:
    assert match_columns(MIXED, list(TYPES), schema=schema(**{name: kind})).inputs[name] == name


def test_moments_have_a_zone_where_the_model_has_one() -> None:
    zoned = taking(Column("at", "datetime64[us]", timezone="UTC"), carrier="datetime64[us]")
    local = taking(Column("at", "datetime64[us]"), carrier="datetime64[us]")
    for signature, good, bad in (
        (zoned, pa.timestamp("ms", "UTC"), pa.timestamp("ms")),
        (local, pa.date32(), pa.timestamp("s", "Asia/Tokyo")),
    ):
        match_columns(signature, ["at"], schema=pa.schema([("at", good)]))
        with pytest.raises(Invalid, match="the type"):
            match_columns(signature, ["at"], schema=pa.schema([("at", bad)]))


def test_one_that_may_be_left_out_may_lack() -> None:
    signature = taking(Column("a", "float32"), Column("b", "float32", optional=True), carrier="float32")
    assert match_columns(signature, ["a"]).inputs == {"a": "a"}


def test_inputs_without_columns_are_found_by_their_own_names() -> None:
    signature = models.tensors(rows=True).signature
    lists = pa.schema([("image", pa.list_(pa.list_(pa.uint8(), 3), 2)), ("mask", pa.list_(pa.bool_()))])
    assert match_columns(signature, lists.names, schema=lists).inputs == {"image": "image", "mask": "mask"}
