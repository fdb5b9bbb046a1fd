"""How a webhook is signed: Standard Webhooks 1.0.0, symmetric signatures.

<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
"""

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - it is the form of one
#: Bytes of a key; the specification asks for so many.
SHORTEST_KEY, LONGEST_KEY = 24, 64


def parse_secret(text: str) -> bytes:
    """The key in a secret: `whsec_` and the base64 of 24 to 64 bytes.

    Raises:
        ValueError: it is none. The text of the error does not hold the secret.
    """
    try:
        if not text.startswith(SECRET_PREFIX):
            raise ValueError
        key = b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        wanted = f"{SECRET_PREFIX} and the base64 of {SHORTEST_KEY} to {LONGEST_KEY} random bytes"
        raise ValueError(f"A secret of webhooks must be {wanted}; make one with: openssl rand -base64 32")
    return key


def signature_headers(identifier: str, timestamp: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers of a webhook.

    Args:
        identifier: the same at each attempt.
        timestamp: of the attempt, in seconds since 1970.
        body: the exact bytes that are sent.
        keys: each gives one signature, so that a receiver may know the old or the new one.
    """
    signed = b"%s.%d.%s" % (identifier.encode(), timestamp, body)
    signatures = [b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }
