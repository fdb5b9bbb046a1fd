"""Whether a model may be loaded once, before the workers are forked, so that they have it in the same memory.

Four workers with a model of 500 MB then need little more than 500 MB, whatever the engine makes of the weights when it
loads them. What forbids it is threads: those of a pool that an engine has made do not exist in a forked process, and a
run that waits for them never ends. onnxruntime makes none where a session has one thread, as it has with a worker for
each CPU; training libraries bring pools of their own.
"""

from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from septet.errors import StartupError
from septet.model.label_files import LABEL_NAMES
from septet.model.package import MANIFEST_NAME
from septet.model.septet_toml import manifest_from_toml
from septet.runtimes.engine_table import engine_for, engine_named
from septet.runtimes.quota import threads_for
from septet.settings import Settings

#: Path, inode, size in bytes and time of the last change in nanoseconds, of each file of a model.
Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]


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


def stamp(path: Path) -> Stamp:
    """What changes when a model's files do; empty where there are none."""
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path, *(path.parent / name for name in _beside(path))]
    except OSError:  # no path at all, such as one that is too long
        return ()
    found = []
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            continue
        found.append((str(file), facts.st_ino, facts.st_size, facts.st_mtime_ns))
    return tuple(found)


def _beside(path: Path) -> tuple[str, ...]:
    """The other files of a bare model, by their names; those that cannot be there are found when it is loaded."""
    try:
        facts = path.stat()
        return (*LABEL_NAMES, *_side_files(path, facts.st_ino, facts.st_size, facts.st_mtime_ns))
    except (StartupError, OSError):
        return LABEL_NAMES


@lru_cache(maxsize=64)
def _side_files(path: Path, *_: int) -> tuple[str, ...]:
    # A model is read again only when it has changed: it is looked at every second.
    return engine_for(path).side_files(path)
