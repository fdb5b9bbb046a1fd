"""Signatures of webhooks, against the specification's own example and a verifier that is written apart."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.sinks.webhook_signature import parse_secret, signature_headers
from tests.sinks.verification import verified

KEYS = st.binary(min_size=24, max_size=64)


def secret(key: bytes) -> str:
    return "whsec_" + b64encode(key).decode()


def test_the_known_example_is_signed_as_others_sign_it() -> None:
    key = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.from_regex("[0-9a-f]{32}", fullmatch=True), st.integers(0, 1 << 33), st.binary(), st.lists(KEYS, min_size=1))
def test_each_key_gives_a_signature_that_verifies(identifier: str, at: int, body: bytes, keys: list[bytes]) -> None:
    assert [parse_secret(secret(key)) for key in keys] == keys
    headers = signature_headers(identifier, at, body, keys)
    assert all(verified(headers, body, secret(key)) for key in keys)


@given(st.binary(), st.binary(), KEYS, KEYS)
def test_neither_another_body_nor_id_nor_time_nor_key_verifies(
    body: bytes, other: bytes, key: bytes, wrong: bytes
) -> None:
    headers = signature_headers("id", 5, body, [key])
    assert verified(headers, other, secret(key)) == (other == body)
    # HMAC fills short keys up with zeros.
    assert verified(headers, body, secret(wrong)) == (wrong.rstrip(b"\0") == key.rstrip(b"\0"))
    assert not verified({**headers, "webhook-id": "di"}, body, secret(key))
    assert not verified({**headers, "webhook-timestamp": "6"}, body, secret(key))


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_!!!!", "whsec_" + "A" * 31, "whsec_" + "A" * 28, "hwsec_" + "A" * 32]
)
def test_what_is_no_secret_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="24 to 64") as refused:
        parse_secret(text)
    assert "AAAA" not in str(refused.value)
