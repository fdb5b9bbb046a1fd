"""Files of rows: every format gives back what was written, in parts that together are the whole."""

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.errors import Invalid, Malformed
from septet.tables.arrow_values import python_values
from septet.tables.column_batch import ColumnBatch
from septet.tables.file_formats import FILE_FORMATS, FORMATS, file_format
from septet.tables.table_file import FileReader, parts_of

NAMES = ["rows.parquet", "rows.feather", "rows.csv", "rows.jsonl", "rows.csv.gz", "rows.csv.zst", "rows.jsonl.gz"]
TABLE = pa.table({"id": pa.array(range(1000)), "text": [f'a "{at}",\nb' for at in range(1000)]})


def written(path: Path, *tables: pa.Table) -> Path:
    writer = file_format(path).write(path, tables[0].schema)
    for table in tables:
        writer.write(table)
    writer.close()
    return path


def cells(batch: ColumnBatch, name: str) -> list[str]:
    values: Any = batch.columns[name]
    return [str(value) for value in (python_values(values) if isinstance(values, pa.Array) else values)]


def all_cells(reader: FileReader, part_rows: int, batch_rows: int, name: str) -> list[str]:
    found = []
    for part in reader.parts(part_rows):
        before = 0
        for batch in reader.batches(part, ["id", "text"], batch_rows):
            assert batch.first_row == before
            assert 0 < batch.rows <= batch_rows
            before += batch.rows
            found += cells(batch, name)
        assert part.rows in (None, before)
    reader.close()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, TABLE.slice(0, 300), TABLE.slice(300))
    for part_rows in (10_000, 100):
        reader = file_format(path).read(path)
        assert list(reader.names) == ["id", "text"]
        assert (reader.schema is None) == (not file_format(path).has_types)
        assert all_cells(reader, part_rows, 64, "text") == TABLE.column("text").to_pylist()
        assert all_cells(file_format(path).read(path), part_rows, 64, "id") == list(map(str, range(1000)))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_rows_are_the_same_bytes(name: str, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert written(tmp_path / name, TABLE).read_bytes() == written(tmp_path / "other" / name, TABLE).read_bytes()


@pytest.mark.parametrize("name", ["rows.parquet", "rows.feather", "rows.csv.gz", "rows.csv.zst"])
def test_a_file_that_is_cut_is_damaged(name: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, TABLE)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Malformed, match=name):
        all_cells(file_format(path).read(path), 10_000, 100, "id")


@given(
    rows=st.lists(st.text(st.sampled_from('ab",\n\r'), max_size=6), min_size=1, max_size=40),
    step=st.integers(1, 3),
)
@settings(deadline=None)
def test_csv_is_cut_between_rows_only(rows: list[str], step: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    written(path, pa.table({"id": pa.array(range(len(rows))), "text": rows}))
    assert all_cells(file_format(path).read(path), step, 7, "text") == rows


def test_rows_are_counted_in_parts() -> None:
    assert [(part.start, part.stop, part.rows) for part in parts_of([5, 5, 1, 20, 2], 10)] == [
        (0, 2, 10),
        (2, 4, 21),
        (4, 5, 2),
    ]
    assert parts_of([], 10) == []


def test_the_name_says_the_format_or_somebody_must() -> None:
    suffixes = list(itertools.chain.from_iterable(FORMATS[name].suffixes for name in FILE_FORMATS))
    assert len(set(suffixes)) == len(suffixes)
    assert file_format(Path("a.CSV.GZ")).name == "csv"
    assert file_format(Path("a.txt"), "csv").name == "csv"
    for name in ("a.txt", "a", "a.parquet.gz"):
        with pytest.raises(Invalid, match="--format"):
            file_format(Path(name))
