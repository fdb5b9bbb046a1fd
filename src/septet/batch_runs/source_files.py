"""The files that a source names: a file, a pattern, or a folder whose names may be partitions."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from septet.errors import Invalid, NotFound
from septet.model.file_facts import FileFacts, facts_of
from septet.tables.file_formats import FileFormat, FileFormatName, file_format, suffix_format

# Names that other programs give to what is no data.
_HIDDEN: Final = (".", "_")
_PATTERN: Final = frozenset("*?[")


class SourceFile(msgspec.Struct, frozen=True):
    """A file with rows.

    `partitions` are the columns that its folders' names state (`country=DE`), the same for each of its rows.
    """

    path: str
    facts: FileFacts
    partitions: Mapping[str, int | str] = {}


def source_files(source: str, name: FileFormatName | None = None) -> tuple[FileFormat, Sequence[SourceFile]]:
    """The files of a source in the order of their names, and their format; `name` says it where their names do not.

    Raises:
        NotFound: there is none.
        Invalid: their format is unknown, or they are of several.
    """
    root, paths = _found(source, name)
    if not paths:
        raise NotFound(f"{source}: there is no file of rows")
    formats = {file_format(path, name).name for path in paths}
    if len(formats) > 1:
        shown = " and ".join(sorted(formats))
        raise Invalid(f"{source}: has files of several formats, {shown}. Name a pattern, such as '{source}/*.parquet'.")
    partitions = [dict(_partitions(path, root)) for path in paths]
    if len(shapes := {tuple(each) for each in partitions}) > 1:
        raise Invalid(f"{source}: its folders are not partitioned alike: {sorted(shapes)}")
    whole = [each for each in partitions[0] if all(_is_whole(values[each]) for values in partitions)]
    files = [
        SourceFile(str(path), _facts(path), {**values, **{each: int(values[each]) for each in whole}})
        for path, values in zip(paths, partitions, strict=True)
    ]
    return file_format(paths[0], name), files


def _found(source: str, name: FileFormatName | None) -> tuple[Path, list[Path]]:
    path = Path(source)
    if path.is_dir():
        return path, sorted(_below(path, name))
    if path.exists() or not _PATTERN & set(source):
        return path.parent, [path] if path.exists() else []
    found = (Path(each) for each in glob.iglob(source, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    return _fixed_part(path), sorted(each for each in found if each.is_file())


def _below(folder: Path, name: FileFormatName | None) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(_HIDDEN)]
        for each in names:
            path = Path(where, each)
            if not each.startswith(_HIDDEN) and (name is not None or suffix_format(path) is not None):
                yield path


def _fixed_part(pattern: Path) -> Path:
    """The folders of a pattern before the first one that is a pattern."""
    parts = pattern.parts
    end = next((at for at, part in enumerate(parts) if _PATTERN & set(part)), len(parts))
    return Path(*parts[:end]) if end else Path()


def _facts(path: Path) -> FileFacts:
    facts = facts_of(path)
    if facts is None:
        raise NotFound(f"{path}: is gone")
    return facts


def _is_whole(text: str) -> bool:
    """Whether a text is a whole number and nothing else: `007` is not."""
    return text.isascii() and text.lstrip("-").isdecimal() and str(int(text)) == text


def _partitions(path: Path, root: Path) -> Iterator[tuple[str, str]]:
    for part in path.relative_to(root).parts[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            yield name, value
