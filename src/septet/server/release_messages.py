"""What workers and their parent tell each other about releases: one JSON object a line."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from septet.settings import DIGEST_PATTERN, NAME_PATTERN, VERSION_PATTERN
from septet.types import Identity


class ReleaseOrder(msgspec.Struct, frozen=True):
    """A new version of a model that is to take the old one's place.

    Attributes:
        path: of the model, absolute.
        name: of the model that it replaces; None for its own name.
        version: as which it is served; None for its own.
        trust: digests of files that may run code when they are loaded, besides those of the server's settings.
        force: serve it even where its signature breaks what callers send, or its training data is too old.
    """

    path: str
    name: Annotated[str, Meta(pattern=NAME_PATTERN)] | None = None
    version: Annotated[str, Meta(pattern=VERSION_PATTERN)] | None = None
    trust: tuple[Annotated[str, Meta(pattern=DIGEST_PATTERN)], ...] = ()
    force: bool = False


class ReleaseResult(msgspec.Struct, frozen=True):
    """What a release has done.

    Attributes:
        before: the version that was served; None where the model could not be loaded at the start.
        after: the version that is served.
        workers: how many processes serve it.
        changed: whether it is another one than before.
    """

    before: Identity | None
    after: Identity
    workers: int
    changed: bool


def described(result: ReleaseResult) -> str:
    """What a release has done, in a line for people."""
    after, many = result.after, f"{result.workers} worker{'s' if result.workers > 1 else ''}"
    new = f"version {after.version} ({after.digest[:19]})"
    if not result.changed:
        return f"{after.name}: {new} is served already"
    before = result.before
    old = "nothing" if before is None else f"version {before.version} ({before.digest[:19]})"
    return f"{after.name}: {new} is served in place of {old}, in {many}"


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """To a worker: load and prove a new version beside the old one."""

    key: int
    order: ReleaseOrder


class Commit(msgspec.Struct, frozen=True, tag="commit"):
    """To a worker: serve what it has prepared."""

    key: int


class Abandon(msgspec.Struct, frozen=True, tag="abandon"):
    """To a worker: forget what it has prepared, or is preparing."""

    key: int


class ReleaseOutcome(msgspec.Struct, frozen=True, tag="outcome"):
    """To the worker that asked: how its release went; either `result` or `error`."""

    asked: int
    result: ReleaseResult | None = None
    error: str | None = None


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """From a worker: somebody asks for a release; `asked` numbers what this worker has asked."""

    asked: int
    order: ReleaseOrder


class Withdraw(msgspec.Struct, frozen=True, tag="withdraw"):
    """From a worker: who asked has gone away. What is not committed yet is abandoned."""

    asked: int


class Prepared(msgspec.Struct, frozen=True, tag="prepared"):
    """From a worker: the new version is loaded and proven. `index` is the model's place among those served."""

    key: int
    index: int
    before: Identity | None
    after: Identity


class NotPrepared(msgspec.Struct, frozen=True, tag="not_prepared"):
    """From a worker: the new version cannot be served."""

    key: int
    error: str


class Committed(msgspec.Struct, frozen=True, tag="committed"):
    """From a worker: it serves the new version."""

    key: int


ToWorker: TypeAlias = Prepare | Commit | Abandon | ReleaseOutcome
FromWorker: TypeAlias = Ask | Withdraw | Prepared | NotPrepared | Committed
