"""Which formats of files of rows there are, by the endings of their names."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from septet.errors import Invalid
from septet.tables.feather_table import FeatherReader, FeatherWriter
from septet.tables.parquet_table import ParquetReader, ParquetWriter
from septet.tables.table_file import FileReader, FileWriter
from septet.tables.text_table import COMPRESSIONS, TextReader, TextWriter

FileFormatName: TypeAlias = Literal["parquet", "feather", "csv", "jsonl"]
FILE_FORMATS: Final[tuple[FileFormatName, ...]] = get_args(FileFormatName)


class FileFormat(msgspec.Struct, frozen=True):
    """How files of a format are read and written; `write` takes the schema of what is written."""

    name: FileFormatName
    suffixes: tuple[str, ...]
    read: Callable[[Path], FileReader]
    write: Callable[[Path, Any], FileWriter]

    @property
    def has_types(self) -> bool:
        """Whether a file states the types of its columns, and can keep facts of the whole table."""
        return self.name in ("parquet", "feather")


def _text_writer(path: Path, _: Any, *, quoted: bool) -> FileWriter:
    return TextWriter(path, quoted=quoted)


_ALL: Final = (
    FileFormat("parquet", (".parquet", ".pq"), ParquetReader, ParquetWriter),
    FileFormat("feather", (".feather", ".arrow", ".ipc"), FeatherReader, FeatherWriter),
    FileFormat("csv", (".csv",), partial(TextReader, quoted=True), partial(_text_writer, quoted=True)),
    FileFormat("jsonl", (".jsonl", ".ndjson"), partial(TextReader, quoted=False), partial(_text_writer, quoted=False)),
)
FORMATS: Final[Mapping[FileFormatName, FileFormat]] = {each.name: each for each in _ALL}


def file_format(path: Path, name: FileFormatName | None = None) -> FileFormat:
    """The format of a file: the one that is named, or that its own name says, `.gz` and `.zst` aside.

    Raises:
        Invalid: neither says it.
    """
    found = suffix_format(path) if name is None else FORMATS[name]
    if found is None:
        known = ", ".join(suffix for each in FORMATS.values() for suffix in each.suffixes)
        raise Invalid(f"{path}: the name does not say the format. Files end with {known}; else name it with --format.")
    return found


def suffix_format(path: Path) -> FileFormat | None:
    """The format that a file's name says; None where it says none."""
    bare = path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path
    suffix = bare.suffix.lower()
    found = next((each for each in FORMATS.values() if suffix in each.suffixes), None)
    return found if bare == path or (found is not None and not found.has_types) else None
