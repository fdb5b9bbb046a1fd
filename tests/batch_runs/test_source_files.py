"""Which files a source names."""

from pathlib import Path

import pytest

from septet.batch_runs.source_files import source_files
from septet.errors import Invalid, NotFound


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a\n1\n")
    return folder


def found(source: str) -> list[str]:
    return [Path(file.path).name for file in source_files(source)[1]]


def test_a_file_a_folder_or_a_pattern(tmp_path: Path) -> None:
    touched(tmp_path, "b.csv", "a.csv", "deep/c.csv", "_errors.csv", ".part.csv", "_tmp/d.csv", "notes.txt")
    assert found(str(tmp_path / "a.csv")) == ["a.csv"]
    assert found(str(tmp_path)) == ["a.csv", "b.csv", "c.csv"]
    assert found(f"{tmp_path}/*.csv") == ["_errors.csv", "a.csv", "b.csv"]
    assert found(f"{tmp_path}/**/c.csv") == ["c.csv"]
    assert source_files(str(tmp_path / "notes.txt"), "csv")[0].name == "csv"


def test_the_names_of_folders_may_be_columns(tmp_path: Path) -> None:
    touched(tmp_path, "year=2025/month=01/a.csv", "year=2026/month=12/b.csv")
    assert [file.partitions for file in source_files(str(tmp_path))[1]] == [
        {"year": 2025, "month": "01"},
        {"year": 2026, "month": "12"},
    ]
    assert source_files(f"{tmp_path}/year=2026/**/*.csv")[1][0].partitions == {"month": 12}


def test_what_is_no_one_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file of rows"):
        source_files(str(tmp_path))
    with pytest.raises(NotFound, match="no file of rows"):
        source_files(str(tmp_path / "a.csv"))
    touched(tmp_path / "mixed", "a.csv", "b.jsonl")
    with pytest.raises(Invalid, match="csv and jsonl"):
        source_files(str(tmp_path / "mixed"))
    touched(tmp_path / "uneven", "year=2025/a.csv", "b.csv")
    with pytest.raises(Invalid, match="not partitioned alike"):
        source_files(str(tmp_path / "uneven"))
    touched(tmp_path, "a.txt")
    with pytest.raises(Invalid, match="--format"):
        source_files(str(tmp_path / "a.txt"))
