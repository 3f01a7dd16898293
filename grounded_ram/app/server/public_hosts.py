"""Which addresses are those of hosts on the public internet."""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Of IANA's registries of special addresses, those inside the public ranges: what Python counts as
# global differs from version to version. The last is public by number, and a cloud's own service.
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
            *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "168.63.129.16/32"),
        ),
    )
)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of a host on the public internet, and no way round to another.

    Addresses that carry an IPv4 address inside count as that one where networks translate them
    today (mapped, NAT64); the older kinds (6to4, Teredo, compatible) are refused.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _UNICAST or address.scope_id:
            return False
    return address.is_global and not any(address in network for network in _SPECIAL)
