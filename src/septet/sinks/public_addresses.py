"""Which IP addresses belong to the public internet, so that a caller's hook cannot reach what stands beside the server.

The networks are those of the IANA registries of special-purpose addresses (RFC 6890 and what updates it). They are
written down here because what `ipaddress` counts as global differs between releases of Python.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_NOT_PUBLIC_IPV4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network, and the unspecified address
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by carriers
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and the metadata of clouds
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
#: Only of this network is any IPv6 address public; loopback, private, link-local and multicast ones lie outside.
_PUBLIC_IPV6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo, ORCHID, benchmarks and other protocols
            "2001:db8::/32",
            "2002::/16",  # 6to4: holds an IPv4 address, and is out of use
            "3fff::/20",
        ),
    )
)
#: RFC 6052: the last 32 bits are an IPv4 address.
_NAT64: Final = IPv6Network("64:ff9b::/96")
_IPV4_BITS: Final = 0xFFFFFFFF


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet; one that holds an IPv4 address is judged by that."""
    address = reached(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    return address in _PUBLIC_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)


def is_allowed(address: Address, networks: tuple[Network, ...]) -> bool:
    """Whether an address is public, or in one of these networks."""
    held = reached(address)
    return is_public(address) or any(each.version == held.version and held in each for each in networks)


def reached(address: Address) -> Address:
    """The address that is spoken to: IPv4 where it is mapped into IPv6 (RFC 4291, 2.5.5.2) or translated (NAT64)."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & _IPV4_BITS)
    return address


def parse_network(text: str) -> Network:
    """A network such as `10.0.0.0/8`.

    Raises:
        ValueError: it is none.
    """
    return ip_network(text)


def parse_ip(text: str) -> Address:
    """An address as `getaddrinfo` tells it; the zone of a link-local one is left out.

    Raises:
        ValueError: it is none.
    """
    return ip_address(text.partition("%")[0])
