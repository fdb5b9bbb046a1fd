"""The sinks of a server: those that its owner has named, and the hooks that callers name."""

import ssl
from pathlib import Path
from typing import Final

from septet.errors import Invalid, SettingsInvalid
from septet.sinks.delivery import Delivery, DeliveryFailed, DeliveryRefused, Sink
from septet.sinks.folder_sink import FolderSink
from septet.sinks.lines_sink import LinesSink
from septet.sinks.public_addresses import is_allowed, parse_ip, parse_network
from septet.sinks.sink_address import (
    FolderAddress,
    LinesAddress,
    SinkAddress,
    StreamAddress,
    WebhookAddress,
    checked_host,
    parse_sink,
)
from septet.sinks.sink_policy import SinkPolicy
from septet.sinks.stream_sink import StreamSink
from septet.sinks.table_sink import TableSink
from septet.sinks.webhook_client import WebhookClient
from septet.sinks.webhook_signature import parse_secret
from septet.sinks.webhook_sink import WebhookSink

ANY_HOST: Final = "*"
_BELOW: Final = "*."


class OpenSinks:
    """What a job keeps as its sink, and where that leads.

    A job keeps the name of a sink of the owner's, or the URL of a caller's hook. So no password of the owner's is in
    a store of jobs, and what the owner changes holds for jobs that wait. Threads may share it.

    Args:
        policy: what the owner says.
        context: for the certificates of hooks; by default those that the system trusts.

    Raises:
        SettingsInvalid: the policy cannot be followed.
        MissingExtra: a sink that it names needs a library that lacks.
    """

    def __init__(self, policy: SinkPolicy, context: ssl.SSLContext | None = None) -> None:
        self._policy = policy
        self._hosts = tuple(map(_host_pattern, policy.webhook_hosts))
        try:
            self._keys = tuple(map(parse_secret, policy.webhook_secrets))
            self._networks = tuple(map(parse_network, policy.webhook_networks))
            addresses = _named(policy.sinks)
        except ValueError as error:
            raise SettingsInvalid(str(error)) from None
        hooks = [name for name, address in addresses.items() if isinstance(address, WebhookAddress)]
        if (hooks or policy.webhook_hosts) and not self._keys:
            raise SettingsInvalid(
                "Hooks need a secret that signs what is sent to them: whsec_ and the base64 of 24 to 64 random bytes."
            )
        self._client = WebhookClient(policy, context) if hooks or policy.webhook_hosts else None
        self._sinks = {name: self._opened(address) for name, address in addresses.items()}

    def named_by_caller(self, text: str) -> str:
        """What a job keeps of the sink that its caller names. Asks no other server: names of hosts are not resolved.

        Raises:
            Invalid: it is none that callers may name here.
        """
        if text in self._sinks:
            return text
        if "://" not in text:
            raise Invalid(f"There is no sink of this name here; known are: {', '.join(self._sinks) or 'none'}.")
        try:
            address = parse_sink(text)
        except ValueError as error:
            raise Invalid(str(error)) from None
        if not isinstance(address, WebhookAddress):
            raise Invalid("A caller names a sink by its name, or a hook by its URL.")
        self._check_hook(address)
        return text

    def deliver(self, kept: str, delivery: Delivery) -> None:
        """Bring an answer to what a job keeps as its sink. Blocks.

        Raises:
            DeliveryFailed: it may be brought once more.
            DeliveryRefused: it will never be taken.
        """
        self._sink(kept).deliver(delivery)

    def close(self) -> None:
        """Close what is open."""
        for sink in self._sinks.values():
            sink.close()

    def _sink(self, kept: str) -> Sink:
        if sink := self._sinks.get(kept):
            return sink
        if "://" not in kept:
            # The owner may have taken it away by mistake, or this worker was not told of it.
            raise DeliveryFailed(f"There is no sink {kept!r} here.")
        try:
            self.named_by_caller(kept)
            address = parse_sink(kept)
        except (Invalid, ValueError) as error:
            raise DeliveryRefused(str(error)) from None
        return self._opened(address)

    def _opened(self, address: SinkAddress) -> Sink:
        if isinstance(address, WebhookAddress):
            assert self._client is not None  # noqa: S101 - made wherever a hook is allowed
            return WebhookSink(address, self._client, self._keys)
        if isinstance(address, FolderAddress):
            return FolderSink(Path(address.path))
        if isinstance(address, LinesAddress):
            return LinesSink(Path(address.path))
        return StreamSink(address) if isinstance(address, StreamAddress) else TableSink(address)

    def _check_hook(self, address: WebhookAddress) -> None:
        if not any(_matches(address.host, each) for each in self._hosts):
            raise Invalid(
                "Hooks may not be on this host; the owner of this server names the hosts that they may be on."
            )
        if address.scheme == "http" and not self._policy.webhook_http:
            raise Invalid("The URL of a hook begins with https: here.")
        if address.port not in self._policy.webhook_ports:
            raise Invalid(f"Hooks may not have the port {address.port} here.")
        try:
            ip = parse_ip(address.host)
        except ValueError:
            return
        if not is_allowed(ip, self._networks):
            raise Invalid("The address of this hook is in no network that hooks may be in.")


def _named(sinks: tuple[str, ...]) -> dict[str, SinkAddress]:
    found: dict[str, SinkAddress] = {}
    for each in sinks:
        name, _, text = each.partition("=")
        if name in found:
            raise ValueError(f"Two sinks have the name {name}.")
        try:
            found[name] = parse_sink(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return found


def _host_pattern(text: str) -> str:
    if text == ANY_HOST:
        return text
    prefix = _BELOW if text.startswith(_BELOW) else ""
    try:
        return prefix + checked_host(text.removeprefix(_BELOW).lower())
    except ValueError as error:
        raise SettingsInvalid(f"webhook_hosts: {error}") from None


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith(_BELOW):
        return host.endswith(pattern[1:])
    return pattern in (ANY_HOST, host)
