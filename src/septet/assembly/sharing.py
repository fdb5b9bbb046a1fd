"""Whether a model may be loaded once, before the workers are forked, so that they have it in the same memory.

Four workers with a model of 500 MB then need little more than 500 MB, whatever the engine makes of the weights when it
loads them. What forbids it is threads: those of a pool that an engine has made do not exist in a forked process, and a
run that waits for them never ends. onnxruntime makes none where a session has one thread, as it has with a worker for
each CPU; training libraries bring pools of their own.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from septet.errors import StartupError
from septet.model.file_facts import FileFacts, facts_of
from septet.model.label_files import LABEL_NAMES
from septet.model.package import MANIFEST_NAME
from septet.model.septet_toml import manifest_from_toml
from septet.runtimes.engine_table import engine_for, engine_named
from septet.runtimes.quota import threads_for
from septet.settings import Settings

#: The path and the facts of each file of a model.
Stamp: TypeAlias = tuple[tuple[str, FileFacts], ...]


def shareable(path: Path, settings: Settings) -> bool:
    """Whether the model at a path may be loaded before forking. False too where it cannot be read: loading says why."""
    if threads_for(settings.server.workers, settings.model.threads) > 1:
        return False
    try:
        if not path.is_dir():
            return engine_for(path).forkable
        source = path / MANIFEST_NAME
        manifest = manifest_from_toml(source.read_bytes(), str(source))
        return manifest.prepare is None and engine_named(manifest.runtime, path).forkable
    except (StartupError, OSError):
        return False


def stamp(path: Path, labels: str | None = None) -> Stamp:
    """What changes when a model's files do; empty where there are none.

    Those of weights beside a bare file are among them, and the label file that is named by the setting `labels`.
    """
    facts = facts_of(path)
    side_files = () if facts is None or path.is_dir() else _side_files(path, facts)
    return (*short_stamp(path, labels), *_found(path.parent / name for name in side_files))


def short_stamp(path: Path, labels: str | None = None) -> Stamp:
    """The same without the weights beside a bare file: to know their names, that file would have to be read."""
    return tuple(_found((*_files(path), *(() if labels is None else (Path(labels),)))))


def _found(files: Iterable[Path]) -> Iterator[tuple[str, FileFacts]]:
    for file in files:
        facts = facts_of(file)
        if facts is not None:
            yield str(file), facts


def _files(path: Path) -> list[Path]:
    try:
        if path.is_dir():
            return sorted(path.rglob("*"))
    except OSError:  # no path at all, such as one that is too long
        return []
    return [path, *(path.parent / name for name in LABEL_NAMES)]


@lru_cache
def _side_files(path: Path, facts: FileFacts) -> tuple[str, ...]:  # noqa: ARG001 - as it is now, the file says the same
    """The side files of a model file; those of a damaged one are not known. A file is read once, not at every look."""
    try:
        return engine_for(path).side_files(path)
    except StartupError:
        return ()
