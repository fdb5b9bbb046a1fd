"""How a receiver verifies a webhook: by the specification, apart from the code that signs."""

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping


def verified(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether one of the signatures is that of this secret."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, each) for each in headers["webhook-signature"].split(" "))
