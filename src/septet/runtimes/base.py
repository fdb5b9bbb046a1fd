"""The seam between Septet and an engine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from septet.model.signature import Signature
from septet.types import Tensors


class InputRejected(Exception):
    """Raised by `Runtime.run` when the engine refused the values of a valid request.

    Its text is the engine's own first line, without paths, addresses or status codes: fit to be shown to a caller.
    """


class Independence(msgspec.Struct, frozen=True):
    """Whether each row's answer depends on that row alone, as a fact of what really runs.

    Only where that is proven may rows of different callers share a run.

    Attributes:
        proven: whether it is.
        reason: in words: what proves it, or what stands against it.
        exact: where proven: whether a row has the same answer to the bit, whatever is computed beside it; else sums may
            be rounded in another order.
        foreign: where not proven: whether that is only because it is code which Septet does not know, so that a
            package may declare its rows independent.
        kept: whether every output certainly has one row for each row asked; where not, other numbers are no fault.
    """

    proven: bool
    reason: str
    exact: bool = False
    foreign: bool = False
    kept: bool = True


class LoadOptions(msgspec.Struct, frozen=True):
    """Options with which an engine loads an artefact.

    `threads` is the number of intra-op threads it may use, at least 1.
    `trust` holds the SHA-256 digests of files whose code may run (`sha256:` optional, 12 digits or more).
    `signature` is the package's: an engine that takes a DataFrame rebuilds it by that.
    `rows` are some that the model is known to answer, as the signature's tensors.
    """

    threads: int = 1
    trust: tuple[str, ...] = ()
    signature: Signature | None = None
    rows: Tensors | None = None


class Runtime(Protocol):
    """A loaded model. Thread-safe for `run`."""

    @property
    def signature(self) -> Signature:
        """The artefact's own signature; that of a package's manifest may have more, such as columns."""

    @property
    def independence(self) -> Independence:
        """Whether each row's answer depends on that row alone."""

    @property
    def open_ended(self) -> str | None:
        """Why the values of a request may decide how long a run takes; None where its rows and shapes alone do."""

    def run(self, tensors: Tensors, outputs: Sequence[str] | None = None) -> Tensors:
        """Compute the wanted outputs (None: all) for arrays of the signature's dtypes and shapes.

        The arrays may be read-only and are not the runtime's own: it must not write into them.

        Raises:
            InputRejected: the engine refused these values.
            RunStopped: the run was told to stop; see `septet.runtimes.run_control`.
            Exception: anything else the engine raises, untranslated.
        """

    def close(self) -> None:
        """Free the engine's memory."""


class Loader(Protocol):
    """Reads an artefact of one format."""

    def __call__(self, path: Path, options: LoadOptions) -> Runtime:
        """Load the artefact.

        Raises:
            DamagedModel: it cannot be read.
            UnsupportedModel: it has parts that cannot be served.
            MissingExtra: its engine is not installed.
        """
