"""Whom a server on this machine listens to."""

from __future__ import annotations

import ipaddress

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""The names by which this machine calls itself."""


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an interface, by its name or number."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
