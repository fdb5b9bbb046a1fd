"""What may be named as a sink, and by whom."""

import contextlib
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from septet.errors import Invalid, SettingsInvalid
from septet.sinks.open_sinks import OpenSinks
from septet.sinks.public_addresses import is_public
from septet.sinks.sink_address import (
    FolderAddress,
    LinesAddress,
    StreamAddress,
    TableAddress,
    WebhookAddress,
    parse_sink,
    shown_sink,
)
from septet.sinks.sink_policy import SinkPolicy
from tests.sinks.samples import SECRET

SPELLINGS_OF_LOOPBACK = ["2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "127.1", "0x7f.1", "127.0.0.01"]


def opened(**changes: Any) -> OpenSinks:
    facts: dict[str, Any] = {"webhook_hosts": ("*",), "webhook_secrets": (SECRET,)}
    return OpenSinks(SinkPolicy(**{**facts, **changes}))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://Hooks.Example.com/a?b=c", WebhookAddress("https", "hooks.example.com", 443, "/a?b=c")),
        ("http://example.com:8080", WebhookAddress("http", "example.com", 8080, "/")),
        ("https://[2606:4700::1]:444/", WebhookAddress("https", "2606:4700::1", 444, "/")),
        ("https://xn--bcher-kva.example./", WebhookAddress("https", "xn--bcher-kva.example", 443, "/")),
        ("file:///srv/answers", FolderAddress("/srv/answers")),
        ("file:///srv/my%20answers/", FolderAddress("/srv/my answers")),
        ("file:///srv/answers.jsonl", LinesAddress("/srv/answers.jsonl")),
        (
            "redis://user:pass@host:6380/2?stream=answers",
            StreamAddress("redis://user:pass@host:6380/2", "answers", None, "redis://host:6380/2"),
        ),
        ("rediss://host?stream=a&maxlen=100", StreamAddress("rediss://host/0", "a", 100, "rediss://host/0")),
        ("unix:///run/r.sock?db=1&stream=a", StreamAddress("unix:///run/r.sock?db=1", "a", None, "unix:///run/r.sock")),
        ("sqlite:///answers.db?table=answers", TableAddress("answers.db", "answers")),
        ("sqlite:////srv/answers.db?table=a_1", TableAddress("/srv/answers.db", "a_1")),
    ],
)
def test_addresses_are_read(text: str, address: object) -> None:
    assert parse_sink(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "answers",
        "ftp://host/a",
        "gopher://host/a",
        "data:text/plain,a",
        "javascript:alert(1)",
        "https:",
        "https://",
        "https:///path",
        "https:host",
        "https://user@host/",
        "https://user:secret@host/",
        "https://@host/",
        "https://host/#part",
        "https://host/#",
        "https://host:0/",
        "https://host:65536/",
        "https://host:a/",
        "https://ho st/",
        "https://host/\r\nx: y",
        "https://host\\@other/",
        "https://host/\\other",
        "https://hos\tt/",
        "https://hóst/",
        "https://127.0.0.1%2f@host/",
        "https://ho%73t/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://host..com/",
        "https://-host.com/",
        "https://.com/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[::1]x/",
        "https://[127.0.0.1]/",
        "https://" + "a" * 64 + ".com/",
        "https://host/" + "a" * 3000,
        *(f"https://{each}/" for each in SPELLINGS_OF_LOOPBACK),
        "https://1.2.3.4.5/",
        "https://1.2.3/",
        "https://host.1/",
        "https://host.0x7f/",
        "file://host/folder",
        "file:relative",
        "file:///folder%00",
        "file:///folder%ff",
        "file:///folder?a=b",
        "redis://host/0",
        "redis://host/a?stream=answers",
        "redis://host/0?stream=a&stream=b",
        "redis://host/0?stream=a&ssl_cert_reqs=none",
        "redis://host/0?stream=a&maxlen=0",
        "redis://host/0?stream={a}",
        "redis:///0?stream=a",
        "sqlite:///?table=a",
        "sqlite:///a.db",
        "sqlite:///a.db?table=a;drop",
        "sqlite:///a.db?table=sqlite_master",
        "sqlite:///a.db?table=a&mode=ro",
        "sqlite://host/a.db?table=a",
        "postgresql://host/db?table=a",
        "s3://bucket/key",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="The address of a sink"):
        parse_sink(text)


def test_an_address_that_comes_later_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="postgresql: yet"):
        parse_sink("postgresql://host/db?table=a")


@given(
    st.sampled_from(["https://", "http://", "file://", "redis://", "sqlite://", ""]),
    st.text() | st.text("ab.:/?=@[]%1"),
)
def test_a_text_is_read_or_refused_and_what_is_sent_has_no_end_of_line(begin: str, rest: str) -> None:
    with contextlib.suppress(ValueError):
        address = parse_sink(begin + rest)
        assert address.shown.isprintable()
        if isinstance(address, WebhookAddress):
            assert address.target.startswith("/")
            assert not set(address.target + address.netloc) & set(" \r\n\t\\@#") - set(
                "@" if "@" in address.target else ""
            )
            assert "@" not in address.netloc


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.31.255.255"),
        *("192.0.0.8", "192.168.1.1", "198.18.0.1", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::a00:1", "64:ff9b:1::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *("2001::1", "2002:7f00:1::", "100::1", "5f00::1", "3fff::1"),
    ],
)
def test_addresses_beside_the_public_internet_are_told(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_are_told(text: str) -> None:
    assert is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_each_form_and_never_more_freely_than_by_python(
    address: IPv4Address,
) -> None:
    public = is_public(address)
    assert is_public(IPv6Address(f"::ffff:{address}")) == public
    assert is_public(IPv6Address(int(IPv6Address("64:ff9b::")) + int(address))) == public
    assert not is_public(IPv6Address(int(address)))
    assert not public or not (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_is_never_judged_more_freely_than_by_python(address: IPv6Address) -> None:
    if is_public(address) and address.ipv4_mapped is None and not str(address).startswith("64:ff9b::"):
        assert not (address.is_private)
        assert not (address.is_link_local)
        assert not (address.is_multicast)
        assert not (address.is_reserved)


def test_callers_name_hooks_only_where_the_owner_allows_it() -> None:
    nothing = OpenSinks(SinkPolicy())
    with pytest.raises(Invalid, match="host"):
        nothing.named_by_caller("https://example.com/")
    some = opened(webhook_hosts=("hooks.example.com", "*.example.org", "1.1.1.1"))
    for text in ("https://hooks.example.com/a", "https://a.b.example.org/?a=b", "https://1.1.1.1/"):
        assert some.named_by_caller(text) == text
    for text in ("https://example.com/", "https://example.org/", "https://evilexample.org/", "https://8.8.8.8/"):
        with pytest.raises(Invalid, match="host"):
            some.named_by_caller(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://example.com/", "https"),
        ("https://example.com:8443/", "port"),
        ("https://example.com:80@127.0.0.1/", "user"),
        ("https://127.0.0.1/", "network"),
        ("https://[::ffff:169.254.169.254]/", "network"),
        ("https://[64:ff9b::10.0.0.1]/", "network"),
        ("file:///etc", "by its name"),
        ("redis://host/0?stream=a", "by its name"),
        ("sqlite:///a.db?table=a", "by its name"),
        ("nothing", "no sink of this name"),
    ],
)
def test_callers_are_told_why_they_may_not_name_a_sink(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        opened().named_by_caller(text)


def test_the_owner_allows_plain_http_ports_and_networks() -> None:
    sinks = opened(webhook_http=True, webhook_ports=(9000,), webhook_networks=("10.0.0.0/8",))
    assert sinks.named_by_caller("http://10.1.2.3:9000/") == "http://10.1.2.3:9000/"
    assert sinks.named_by_caller("http://[::ffff:10.1.2.3]:9000/")
    with pytest.raises(Invalid, match="network"):
        sinks.named_by_caller("http://192.168.0.1:9000/")


def test_sinks_of_the_owner_go_by_their_names() -> None:
    sinks = opened(sinks=("answers=file:///srv/answers", "hook=http://127.0.0.1:1234/secret"))
    assert [sinks.named_by_caller(each) for each in ("answers", "hook")] == ["answers", "hook"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"webhook_secrets": ()}, "need a secret"),
        ({"webhook_hosts": (), "sinks": ("hook=https://example.com/",), "webhook_secrets": ()}, "need a secret"),
        ({"webhook_secrets": ("whsec_short",)}, "24 to 64"),
        ({"webhook_secrets": ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)}, "whsec_"),
        ({"webhook_networks": ("10.0.0.1/8",)}, "host bits"),
        ({"webhook_hosts": ("127.1",)}, "usual spelling"),
        ({"sinks": ("a=file:///a", "a=file:///b")}, "Two sinks"),
        ({"sinks": ("a=mysql://user:hidden@host/a",)}, "mysql: yet"),
    ],
)
def test_a_policy_that_cannot_be_followed_stops_the_start(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsInvalid, match=why) as refused:
        opened(**changes)
    assert "hidden" not in str(refused.value)


def test_texts_of_a_policy_are_checked_when_they_are_read() -> None:
    facts = {"sinks": ["answers=file:///a"], "webhook_hosts": ["*", "*.a.com", "[::1]"], "webhook_secrets": [SECRET]}
    assert msgspec.convert(facts, SinkPolicy).webhook_hosts == ("*", "*.a.com", "[::1]")
    for name, text in (("sinks", "file:///a"), ("webhook_hosts", "https://a"), ("webhook_secrets", "secret")):
        with pytest.raises(msgspec.ValidationError, match="regex"):
            msgspec.convert({name: [text]}, SinkPolicy)


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ("answers", "answers"),
        ("https://example.com:444/services/hidden?token=hidden", "https://example.com:444/***"),
        ("redis://user:hidden@host:6379/0?stream=a", "redis://host:6379/0?stream=a"),
        ("https://user:hidden@example.com/", "***"),
        ("file:///srv/a", "file:///srv/a"),
        ("sqlite:///a.db?table=a", "sqlite:///a.db?table=a"),
    ],
)
def test_nothing_secret_is_shown_of_a_sink(kept: str, shown: str) -> None:
    assert shown_sink(kept) == shown


def test_a_policy_shows_no_secret() -> None:
    text = repr(SinkPolicy(sinks=("a=redis://user:hidden@host/0?stream=a",), webhook_secrets=(SECRET,)))
    assert "hidden" not in text
    assert SECRET not in text
