"""Get a picture's bytes from an address that a stranger named, and from nowhere he must not reach.

A host's name is resolved once, every address it has is checked, and the connection goes to one of
those that were checked, so that a name which means another address a moment later gains nothing.
Each redirect is checked like the first address. Proxies of the environment are not used: through
one, nobody could tell which address is reached.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, urljoin, urlsplit

from grounded_ram.app.server.public_hosts import is_public
from grounded_ram.errors import InputError

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_ADDRESSES = 4  # of one host that are tried
_LONGEST_URL = 4096
_BLOCK = 2**16


class FetchError(InputError):
    """An address may not be asked, does not answer, or gives too much."""


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """How much one picture may take.

    Args:
        max_bytes: of its file.
        timeout_s: seconds for all of it: connecting, redirects, reading.
        redirects: that are followed.
        ports: that may be asked on public hosts.
    """

    max_bytes: int = 20 * 2**20
    timeout_s: float = 10.0
    redirects: int = 3
    ports: frozenset[int] = frozenset(_DEFAULT_PORTS.values())


class Network:
    """Names to addresses, addresses to sockets; tests put another in its place."""

    def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host.

        Raises:
            OSError: it has none.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(row[4][0]) for row in found))

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        """Connect to an address, which is a number and no name."""
        return socket.create_connection((address, port), timeout=timeout_s)


def fetch(
    url: str,
    limits: FetchLimits | None = None,
    *,
    allowed_origin: str | None = None,
    public: bool = True,
    headers: Mapping[str, str] | None = None,
    network: Network | None = None,
) -> bytes:
    """Get the bytes at an address; it blocks for about ``limits.timeout_s`` at the most.

    Only resolving a host's name has no bound but the system's own, which is often longer.

    Args:
        url: http or https.
        limits: how much it may take.
        allowed_origin: "scheme://host[:port]" that may be asked wherever it lies, on this machine
            too; None for nobody.
        public: ask any host on the public internet too.
        headers: such as a token; sent to ``allowed_origin``, or where that is None to the first
            host; never on to another that either redirects to.
        network: resolves and connects.

    Raises:
        FetchError: the address may not be asked, does not answer, or gives too much.
    """
    limits, network = limits or FetchLimits(), network or Network()
    deadline = time.monotonic() + limits.timeout_s
    trusted = None if allowed_origin is None else Target.parse(allowed_origin).origin
    target = Target.parse(url)
    owner = target.origin if trusted is None else trusted
    for _ in range(limits.redirects + 1):
        is_trusted = target.origin == trusted
        if not is_trusted and not public:
            raise FetchError(f"{_short(target.url)} may not be fetched: expected one on {trusted}")
        addresses = _addresses(target, limits, network, is_trusted=is_trusted)
        sent = dict(headers or {}) if target.origin == owner else {}
        with _Exchange(target, addresses, network, deadline).open(sent) as response:
            place = response.getheader("Location")
            if response.status not in _REDIRECTS or not place:
                return _body(response, target, limits.max_bytes)
        target = target.redirected(place)
    raise FetchError(f"{_short(url)} redirects more than {limits.redirects} times")


@dataclass(frozen=True)
class Target:
    """One address, taken apart.

    Args:
        url: as it was given.
        scheme: "http" or "https".
        host: name or number, without brackets, in small letters.
        port: also where the address names none.
        path: path and query, as a request's first line holds them.
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """Take an address apart.

        Raises:
            FetchError: it is none, not one of http or https, or carries a name and a password.
        """
        expected = "expected an address like https://host/picture.jpg"
        if len(url) > _LONGEST_URL:
            raise FetchError(f"{expected} of at most {_LONGEST_URL} characters, got {len(url)}")
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").encode("idna").decode("ascii").lower()
            port = parts.port
        except ValueError as error:  # UnicodeError, of a host's name, is one too
            raise FetchError(f"{expected}, got {_short(url)}: {error}") from error
        if parts.scheme not in _DEFAULT_PORTS or not host or not url.isprintable() or "\\" in url:
            raise FetchError(f"{expected}, got {_short(url)}")
        if parts.username is not None or parts.password is not None:
            raise FetchError(f"{expected}, without a user's name or password in it")
        text = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
        path = f"{text}?{query}" if query else text
        default = _DEFAULT_PORTS[parts.scheme]
        return cls(url, parts.scheme, host, default if port is None else port, path)

    def redirected(self, place: str) -> Target:
        """Return the address that an answer's Location names, which may be a part of one.

        Raises:
            FetchError: as for ``parse``.
        """
        try:
            url = urljoin(self.url, place)
        except ValueError as error:
            raise FetchError(f"{_short(self.url)} redirects to what is no address") from error
        return Target.parse(url)

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self._bracketed}:{self.port}"

    @cached_property
    def host_header(self) -> str:
        """What the request calls the host."""
        default = self.port == _DEFAULT_PORTS[self.scheme]
        return self._bracketed if default else f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def _addresses(
    target: Target, limits: FetchLimits, network: Network, *, is_trusted: bool
) -> Sequence[str]:
    """Return where a host is, if it may be asked; all of its addresses must be public.

    Raises:
        FetchError: it may not be asked, or is nowhere. The message names no address, so that
            nobody learns from it how the network inside is built.
    """
    if not is_trusted and target.port not in limits.ports:
        ports = ", ".join(map(str, sorted(limits.ports)))
        raise FetchError(f"{_short(target.url)} may not be fetched: expected a port of {ports}")
    try:
        found = network.resolve(target.host, target.port)[:_MOST_ADDRESSES]
        public = bool(found) and all(is_public(ipaddress.ip_address(one)) for one in found)
    except (OSError, ValueError) as error:
        raise FetchError(f"{_short(target.url)}: there is no host {target.host!r}") from error
    if not (is_trusted or public):
        raise FetchError(
            f"{_short(target.url)} may not be fetched: {target.host!r} is no host on the public "
            "internet"
        )
    return found


@dataclass(frozen=True)
class _Exchange:
    """One request and its answer.

    Args:
        target: what is asked for.
        addresses: where its host is; the first that answers is used.
        network: connects.
        deadline: when all must be over, by ``time.monotonic``.
    """

    target: Target
    addresses: Sequence[str]
    network: Network
    deadline: float

    @contextmanager
    def open(self, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """Ask, and yield the answer, its body still to be read."""
        target = self.target
        try:
            with closing(self._connect()) as plain, self._on_time(self._secured(plain)) as sock:
                connection = http.client.HTTPConnection(target.host, target.port)
                connection.auto_open = 0  # it would resolve the name again
                connection.sock = sock
                usual = {
                    "Host": target.host_header,
                    "User-Agent": "grounded-ram",
                    "Accept": "image/*,*/*;q=0.1",
                    "Accept-Encoding": "identity",
                    "Connection": "close",
                }
                connection.request("GET", target.path, headers={**headers, **usual})
                with closing(connection.getresponse()) as response:
                    yield response
                self._left()  # a body without a length ends where it is cut off
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, FetchError):
                raise
            late = time.monotonic() >= self.deadline or isinstance(error, TimeoutError)
            why = "it took too long" if late else "the host does not answer as a web server does"
            raise FetchError(f"{_short(target.url)} cannot be fetched: {why}") from error

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _connect(self) -> socket.socket:
        """Connect to the first address that lets us."""
        last: OSError = OSError("no address")
        for address in self.addresses:
            try:
                return self.network.connect(address, self.target.port, self._left())
            except OSError as error:
                last = error
        raise last

    def _secured(self, plain: socket.socket) -> socket.socket:
        """Wrap a socket where the address says https; hands are shaken later."""
        if self.target.scheme == "http":
            return plain
        return ssl.create_default_context().wrap_socket(
            plain, server_hostname=self.target.host, do_handshake_on_connect=False
        )

    @contextmanager
    def _on_time(self, sock: socket.socket) -> Iterator[socket.socket]:
        """Cut a socket off at the deadline: a peer that sends a byte now and then never times out.

        Yields:
            The socket, its hands shaken.
        """
        timer = threading.Timer(self._left(), _cut, [sock])
        timer.daemon = True
        timer.start()
        try:
            with closing(sock):
                sock.settimeout(self._left())
                if isinstance(sock, ssl.SSLSocket):
                    sock.do_handshake()
                yield sock
        finally:
            timer.cancel()


def _cut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # closed by now
        return


def _body(response: http.client.HTTPResponse, target: Target, max_bytes: int) -> bytes:
    """Read an answer's body."""
    name = _short(target.url)
    if response.status != 200:
        raise FetchError(f"{name} cannot be fetched: its host answers {response.status}")
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise FetchError(f"{name} cannot be fetched: its host sends it compressed, unasked")
    if response.length is not None and response.length > max_bytes:
        raise FetchError(f"{name}: expected at most {max_bytes:,} bytes, got {response.length:,}")
    blocks, count, expected = [], 0, response.length
    while block := response.read(_BLOCK):
        blocks.append(block)
        count += len(block)
        if count > max_bytes:
            raise FetchError(f"{name}: expected at most {max_bytes:,} bytes, got more")
    if expected is not None and count < expected:
        raise http.client.IncompleteRead(b"", expected - count)
    return b"".join(blocks)


def _short(url: str) -> str:
    return repr(url) if len(url) <= 200 else repr(url[:200]) + "..."
