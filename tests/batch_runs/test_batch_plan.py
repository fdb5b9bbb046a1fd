"""Plans: units that together are the whole, in order, and the same whenever the same is asked."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.batch_runs.batch_order import BatchOrder
from septet.batch_runs.batch_plan import BatchPlan, planned_units, require_unchanged
from septet.batch_runs.column_matching import ColumnMatching
from septet.batch_runs.source_files import source_files
from septet.errors import Conflict
from septet.identity import Identity
from septet.tables.table_file import FilePart

COUNTS = st.lists(st.integers(0, 20), max_size=30)


def parts(counts: list[int]) -> list[tuple[int, FilePart]]:
    return [(at, FilePart(0, 1, count)) for at, count in enumerate(counts)]


@given(counts=COUNTS, rows=st.integers(1, 30), limit=st.none() | st.integers(1, 100))
def test_units_are_all_rows_in_their_order(counts: list[int], rows: int, limit: int | None) -> None:
    units = planned_units(parts(counts), rows, limit)
    assert [unit.index for unit in units] == list(range(len(units)))
    files = [piece.file for unit in units for piece in unit.pieces]
    assert files == sorted(set(files))
    read = 0
    for unit in units:
        found = sum(piece.part.rows or 0 for piece in unit.pieces)
        read += found if unit.most is None else min(found, unit.most)
        assert len(unit.pieces) == 1 or sum(piece.part.rows or 0 for piece in unit.pieces[:-1]) < rows
    assert read == (sum(counts) if limit is None else min(sum(counts), limit))


def test_of_rows_that_nobody_has_counted_a_limit_takes_the_first() -> None:
    (unit,) = planned_units([(0, FilePart(0, 10)), (1, FilePart(0, 10))], 100, 7)
    assert (len(unit.pieces), unit.most) == (2, 7)
    assert len(planned_units([(0, FilePart(0, 10)), (0, FilePart(10, 20))], 100)) == 2


def plan(folder: Path) -> BatchPlan:
    (folder / "rows.csv").write_text("a\n1\n")
    form, files = source_files(str(folder / "rows.csv"))
    return BatchPlan(
        model="iris",
        identity=Identity("iris", "1", "sha256:00"),
        source="rows.csv",
        format=form.name,
        files=tuple(files),
        target="out.csv",
        target_format="csv",
        errors="out.errors.jsonl",
        matching=ColumnMatching({"a": "a"}),
        kept=(),
        provenance=True,
        batch_rows=10,
        units=tuple(planned_units([(0, FilePart(0, 4))], 10)),
    )


def test_the_same_work_has_the_same_key(tmp_path: Path) -> None:
    first = plan(tmp_path)
    again = msgspec.json.decode(msgspec.json.encode(first), type=BatchPlan)
    assert again == first
    assert again.key == first.key
    assert msgspec.structs.replace(first, batch_rows=11).key != first.key


def test_a_source_that_has_changed_is_not_read(tmp_path: Path) -> None:
    made = plan(tmp_path)
    require_unchanged(made, made.units[0])
    (tmp_path / "rows.csv").write_text("a\n12\n")
    with pytest.raises(Conflict, match=r"rows\.csv: has changed"):
        require_unchanged(made, made.units[0])


def test_bad_rows_stand_beside_the_target() -> None:
    def errors(target: str) -> str:
        return BatchOrder("iris", "rows.csv", target).errors_file

    assert errors("a/out.csv.gz") == "a/out.errors.jsonl"
    assert errors("a/out/") == "a/out/_errors.jsonl"
