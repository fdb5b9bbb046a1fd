"""The names by which a server may be asked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from septet.access.allowed_hosts import AllowedHosts
from septet.errors import Misdirected
from tests.budgets import examples

HOSTS = AllowedHosts(["api.example.com", "*.example.org", "10.0.0.1:8000", "[::1]", "*.local:81"])


@pytest.mark.parametrize(
    "host",
    [
        *("api.example.com", "API.Example.com", "api.example.com:8000", "api.example.com.", "api.example.com:"),
        *("a.example.org", "a.b.example.org:1", "10.0.0.1:8000", "[::1]", "[::1]:8000", "a.local:81"),
    ],
)
def test_these_hosts_are_the_servers(host: str) -> None:
    HOSTS.check({b"host": host.encode()}, probing=False)


@pytest.mark.parametrize(
    "host",
    [
        *("", "example.com", "evil.com", "xapi.example.com", "api.example.com.evil.com", "example.org", ".example.org"),
        *("xexample.org", "10.0.0.1", "10.0.0.1:80", "10.0.0.2:8000", "a.local", "a.local:80", "[::2]", "127.0.0.1"),
        *("api.example.com:80:81", "user@api.example.com", "api.example.com\xff"),
    ],
)
def test_these_are_not(host: str) -> None:
    with pytest.raises(Misdirected):
        HOSTS.check({b"host": host.encode("latin-1")}, probing=False)


def test_a_request_without_a_host_is_refused() -> None:
    with pytest.raises(Misdirected):
        HOSTS.check({}, probing=True)


@pytest.mark.parametrize("address", ["10.1.2.3:8000", "127.0.0.1", "[fe80::1]:8000"])
def test_a_probe_may_ask_for_an_address_and_for_no_other_name(address: str) -> None:
    HOSTS.check({b"host": address.encode()}, probing=True)
    with pytest.raises(Misdirected):
        HOSTS.check({b"host": b"evil.com"}, probing=True)
    with pytest.raises(Misdirected):
        HOSTS.check({b"host": b"1.2.3.4.evil.com"}, probing=True)


@settings(max_examples=examples(100))
@given(st.binary(max_size=40))
def test_whatever_the_host_is_it_is_refused_or_not(host: bytes) -> None:
    try:
        HOSTS.check({b"host": host}, probing=True)
    except Misdirected as error:
        assert "allowed_hosts" in error.message  # noqa: PT017 - whatever is refused is refused so
