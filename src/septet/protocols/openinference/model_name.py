"""The one model and version that a server has, as callers name them."""

from septet.errors import NotFound
from septet.types import Identity


class ServedModelName:
    """Knows the name and the version of one model. An empty version means the one that is served."""

    def __init__(self, identity: Identity) -> None:
        self._name = identity.name
        self._version = identity.version

    def knows(self, name: str, version: str) -> bool:
        """Whether that is the model, and the version, that is served."""
        return name == self._name and version in {"", self._version}

    def check(self, name: str, version: str) -> None:
        """Refuse another model, or another version of this one.

        Raises:
            NotFound: it is not served.
        """
        if name != self._name:
            raise NotFound(f"There is no model {name[:80]!r} here, only {self._name!r}.")
        if not self.knows(name, version):
            text = f"There is no version {version[:80]!r} of the model {name!r} here, only {self._version!r}."
            raise NotFound(text)
