"""API keys: which a request presents, and whose it is.

A server knows the SHA-256 of each key and not the key. Keys are random and long, so that no slow hash is needed: nobody
can try them all.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from hmac import compare_digest
from typing import Final

import msgspec

BEARER: Final = b"authorization"
API_KEY: Final = b"x-api-key"
DIGEST_PREFIX: Final = "sha256:"
# RFC 6750, 2.1, and RFC 9110, 11.1: the scheme is of no case.
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)
_KEY = re.compile(rb" *([A-Za-z0-9._~+/-]+=*) *")
#: Longer texts are no keys, and are not hashed.
LONGEST_KEY: Final = 520


class ApiKey(msgspec.Struct, frozen=True):
    """One key by its name.

    Attributes:
        name: of the caller, for the log and the metrics.
        digests: the SHA-256 of the key, 32 bytes; of several while one takes the place of another.
        requests_per_second: how many it may ask on average, and at once after a pause; None for any number.
        in_flight: how many may be under way at once; None for any number.
    """

    name: str
    digests: tuple[bytes, ...]
    requests_per_second: float | None = None
    in_flight: int | None = None

    def __repr__(self) -> str:
        """Show the name alone."""
        return f"ApiKey({self.name!r})"


class KeyRing:
    """The keys that are good now.

    Attributes:
        names: of the keys, in order.
    """

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self.names = tuple(key.name for key in keys)
        self._known = [(digest, key) for key in keys for digest in key.digests]

    def find(self, presented: Iterable[bytes]) -> ApiKey | None:
        """Whose the first good one of the presented keys is.

        Each is compared with every digest, so that the time tells nothing.
        """
        found = None
        for each in presented:
            digest = hashlib.sha256(each).digest()
            for known, key in self._known:
                if compare_digest(known, digest) and found is None:
                    found = key
        return found


def presented_keys(headers: Mapping[bytes, bytes]) -> list[bytes]:
    """The keys of a request's headers `Authorization: Bearer KEY` and `X-API-Key: KEY`, two at most."""
    found = []
    for name, pattern in ((BEARER, _BEARER), (API_KEY, _KEY)):
        value = headers.get(name)
        if value is not None and len(value) <= LONGEST_KEY:
            match = pattern.fullmatch(value)
            if match is not None:
                found.append(match[1])
    return found


def stated_keys(texts: Iterable[str]) -> tuple[ApiKey, ...]:
    """The keys of texts `NAME=KEY` and `NAME=sha256:DIGEST`, as the settings have them.

    A name that comes again has several digests.
    """
    found: dict[str, tuple[bytes, ...]] = {}
    for text in texts:
        name, _, secret = text.partition("=")
        if secret.startswith(DIGEST_PREFIX):
            digest = bytes.fromhex(secret.removeprefix(DIGEST_PREFIX))
        else:
            digest = hashlib.sha256(secret.encode()).digest()
        found[name] = (*found.get(name, ()), digest)
    return tuple(ApiKey(name, digests) for name, digests in found.items())
