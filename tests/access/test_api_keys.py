"""Which keys a request presents, and whose they are."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.access.api_keys import LONGEST_KEY, ApiKey, KeyRing, presented_keys, stated_keys
from tests.budgets import examples

KEYS = st.from_regex(rb"[A-Za-z0-9._~+/-]{1,40}={0,2}", fullmatch=True)
SPACES = st.sampled_from([b" ", b"  ", b"   "])
SCHEMES = st.sampled_from([b"Bearer", b"bearer", b"BEARER", b"beaReR"])


@settings(max_examples=examples(50))
@given(KEYS, KEYS, SCHEMES, SPACES, st.sampled_from([b"", b" "]))
def test_both_headers_present_the_key_that_they_hold(
    one: bytes, other: bytes, scheme: bytes, space: bytes, end: bytes
) -> None:
    assert presented_keys({b"authorization": scheme + space + one + end}) == [one]
    assert presented_keys({b"x-api-key": other + end}) == [other]
    assert presented_keys({b"authorization": scheme + space + one, b"x-api-key": other}) == [one, other]


@settings(max_examples=examples(200))
@given(st.binary(max_size=80), st.binary(max_size=80))
def test_whatever_the_headers_hold_is_a_key_of_its_characters_or_none(authorization: bytes, key: bytes) -> None:
    allowed = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/-=")
    found = presented_keys({b"authorization": authorization, b"x-api-key": key})
    assert len(found) <= 2
    assert all(each and set(each) <= allowed for each in found)


@pytest.mark.parametrize(
    "value",
    [b"", b"Bearer", b"Bearer ", b"Basic abc", b"Bearer a b", b"Bearer a,b", b"Bearerabc", b"Bearer \xff", b"x"],
)
def test_other_credentials_are_no_key(value: bytes) -> None:
    assert presented_keys({b"authorization": value}) == []


def test_a_text_that_is_longer_than_any_key_is_none() -> None:
    assert presented_keys({b"x-api-key": b"a" * (LONGEST_KEY + 1)}) == []


def digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


@settings(max_examples=examples(50))
@given(st.lists(KEYS, min_size=1, max_size=8, unique=True), st.data())
def test_a_ring_finds_whose_key_it_is_and_nobodys_where_it_is_none(keys: list[bytes], data: st.DataObject) -> None:
    known, others = keys[::2], keys[1::2]
    ring = KeyRing([ApiKey(f"name-{at}", (digest(each),)) for at, each in enumerate(known)])
    chosen = data.draw(st.integers(0, len(known) - 1))
    found = ring.find([*others, known[chosen]])
    assert found is not None
    assert found.name == f"name-{chosen}"
    assert ring.find(others) is None
    assert ring.find([]) is None


def test_both_keys_of_a_rotation_are_of_one_name() -> None:
    ring = KeyRing([ApiKey("shop", (digest(b"old"), digest(b"new")))])
    assert [ring.find([each]).name for each in (b"old", b"new")] == ["shop", "shop"]  # type: ignore[union-attr]


def test_settings_state_keys_and_digests() -> None:
    one, two = stated_keys(["a=key-of-16-or-more==", "b=sha256:" + "0a" * 32])
    assert one == ApiKey("a", (digest(b"key-of-16-or-more=="),))
    assert two == ApiKey("b", (bytes.fromhex("0a" * 32),))


def test_a_key_shows_its_name_alone() -> None:
    assert repr(stated_keys(["a=key-of-16-or-more"])) == "(ApiKey('a'),)"
