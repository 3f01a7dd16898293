"""What a server lets its callers do: one row of limits."""

from __future__ import annotations

from dataclasses import dataclass, fields

from grounded_ram.app.hosts import LOOPBACK
from grounded_ram.app.server.fetching import FetchLimits
from grounded_ram.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The limits of one server, and whom it answers.

    Raises:
        InputError: a limit is not positive, or the key is empty or no plain text.
    """

    max_queue: int = 64
    """Pictures that wait; more are refused with status 503. As many more may be on their way in."""
    batch_wait_s: float = 0.005
    """How long an idle model waits for a second picture to take along with the first."""
    timeout_s: float = 60.0
    """Seconds from the first byte of a request to its answer."""
    stop_s: float = 30.0
    """Seconds that a stopping server gives to what it has accepted."""
    max_bytes: int = 20 * 2**20
    """Of one picture's file."""
    max_pixels: int = 50_000_000
    """Of one picture."""
    max_tags: int = 100
    """Names in one request."""
    max_tag_length: int = 100
    """Characters of one name."""
    api_key: str | None = None
    """What callers must know; None means that nobody is asked."""
    allow_urls: bool = False
    """Fetch pictures from public hosts."""
    allowed_hosts: tuple[str, ...] | None = LOOPBACK
    """Names by which callers may address the server; None for any. A page on the web that makes its
    own name mean this machine reaches a server on loopback through its visitors' browsers, but
    cannot choose what they call it."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value) in (int, float) and not value > 0:
                raise InputError(f"{field.name}: expected a number above 0, got {value!r}")
        key = self.api_key
        if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
            raise InputError(
                "the API key: expected printable ASCII characters without spaces; make one with "
                'python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )

    @property
    def fetching(self) -> FetchLimits:
        """How much a picture at an address may take."""
        return FetchLimits(max_bytes=self.max_bytes, timeout_s=min(10.0, self.timeout_s))
