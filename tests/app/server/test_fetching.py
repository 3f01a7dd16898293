import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from grounded_ram.app.server.fetching import (
    FetchError,
    FetchLimits,
    Network,
    Target,
    fetch,
)
from grounded_ram.app.server.public_hosts import is_public

PUBLIC = "93.184.216.34"


class Pages(BaseHTTPRequestHandler):
    """Pictures, redirects and odd answers; notes what it was asked."""

    asked: list[tuple[str, dict[str, str]]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.asked.append((self.path, {name.lower(): text for name, text in self.headers.items()}))
        part, _, rest = self.path[1:].partition("?")
        if part == "to":
            self._answer(302, b"", Location=rest)
        elif part == "nowhere":
            self._answer(302, b"", Location="http://[bad")
        elif part == "chunked":
            self._answer(200, None)
            self._write(*[b"1000\r\n" + b"x" * 4096 + b"\r\n"] * int(rest), b"0\r\n\r\n")
        elif part == "slow":
            self._answer(200, None, Connection="close")
            for _ in range(100):
                if self.server.over.wait(0.05):  # type: ignore[attr-defined]
                    break
                self._write(b"x")
        elif part == "short":
            self._answer(200, b"xyz", **{"Content-Length": "10"})
        elif part == "zipped":
            self._answer(200, b"xyz", **{"Content-Encoding": "gzip"})
        elif part == "missing":
            self._answer(404, b"secret")
        else:
            self._answer(200, b"picture of " + self.path.encode())

    def _answer(self, status: int, body: bytes | None, **headers: str) -> None:
        self.send_response(status)
        length = {} if body is None else {"Content-Length": str(len(body))}
        if body is None and "Connection" not in headers:
            headers["Transfer-Encoding"] = "chunked"
        for name, text in {**length, **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self._write(body or b"")

    def _write(self, *parts: bytes) -> None:
        try:
            for part in parts:
                self.wfile.write(part)
                self.wfile.flush()
        except OSError:  # whoever asked has heard enough
            return

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def pages() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    server.over = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    Pages.asked.clear()
    try:
        yield server.server_address[1]
    finally:
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def host() -> Iterator[int]:
    """The port on which ``Pages`` answers."""
    with pages() as port:
        yield port


@dataclass
class Pretended(Network):
    """Believes in hosts that are named, and reaches this machine instead of them.

    Args:
        port: on this machine.
        hosts: addresses by name; of each, a list that may change from call to call.
        connected: addresses that were asked for a connection; grows.
    """

    port: int
    hosts: dict[str, list[list[str]]]
    connected: list[str] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> list[str]:
        if host not in self.hosts:
            try:
                return [str(ipaddress.ip_address(host))]
            except ValueError:
                raise OSError("no such host") from None
        answers = self.hosts[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.connected.append(address)
        return super().connect("127.0.0.1", self.port, timeout_s)


def public(port: int, **hosts: list[list[str]]) -> Pretended:
    named = {name.replace("_", "."): addresses for name, addresses in hosts.items()}
    return Pretended(port, {"pictures.example": [[PUBLIC]], **named})


def test_a_picture_comes_from_the_address_that_was_checked(host: int) -> None:
    network = public(host)
    assert fetch("http://pictures.example/a%20b?c=1", network=network) == (b"picture of /a%20b?c=1")
    assert network.connected == [PUBLIC]
    path, headers = Pages.asked[-1]
    assert (path, headers["host"]) == ("/a%20b?c=1", "pictures.example")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:5db8:d822::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "100::1",
        "3fff::1",
        "5f00::1",
    ],
)
def test_no_address_but_a_public_one_is_asked(host: int, address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))
    network = public(host, inside_example=[[address]], mixed_example=[[PUBLIC, address]])
    for name in ("inside.example", "mixed.example"):
        with pytest.raises(FetchError, match="no host on the public internet") as told:
            fetch(f"http://{name}/", network=network)
        assert address not in str(told.value)
    assert network.connected == []


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_addresses_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "name", ["localhost", "127.1", "0x7f.1", "2130706433", "017700000001", "0", "[::1]", "[::]"]
)
def test_this_machine_is_not_asked_by_any_of_its_names(name: str) -> None:
    with pytest.raises(FetchError, match=r"public internet|there is no host"):
        fetch(f"http://{name}/")


def test_a_name_that_means_another_address_a_moment_later_gains_nothing(host: int) -> None:
    network = public(host, rebound_example=[[PUBLIC], ["127.0.0.1"]])
    assert fetch("http://rebound.example/", network=network)
    assert network.connected == [PUBLIC]
    with pytest.raises(FetchError, match="public internet"):
        fetch("http://rebound.example/", network=network)


@pytest.mark.parametrize(
    "place",
    [
        "http://127.0.0.1/",
        "http://inside.example/",
        "//169.254.169.254/latest",
        "file:///etc/passwd",
        "ftp://pictures.example/a",
        "http://pictures.example:22/",
        "http://user:word@pictures.example/",
        "gopher://127.0.0.1/",
    ],
)
def test_a_redirect_is_checked_like_the_first_address(host: int, place: str) -> None:
    network = public(host, inside_example=[["10.0.0.1"]])
    with pytest.raises(FetchError):
        fetch(f"http://pictures.example/to?{place}", network=network)
    assert network.connected == [PUBLIC]


def test_a_redirect_to_what_is_no_address_is_told(host: int) -> None:
    with pytest.raises(FetchError, match="redirects to what is no address"):
        fetch("http://pictures.example/nowhere", network=public(host))


def test_three_redirects_are_followed_and_no_fourth(host: int) -> None:
    network = public(host, other_example=[["93.184.216.35"]])
    three = "http://pictures.example/to?http://other.example/to?/to?/end"
    assert fetch(three, network=network) == b"picture of /end"
    assert network.connected == [PUBLIC, *["93.184.216.35"] * 3]
    with pytest.raises(FetchError, match="more than 3 times"):
        fetch("http://pictures.example/to?/to?/to?/to?/end", network=network)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "pictures.example/a.png",
        "http://",
        "http:///a",
        "http://host.example:99999/",
        "http://host.example/\r\nX: y",
        "http://host.example\\@127.0.0.1/",
        "http://user@host.example/",
        "http://[::1/",
        "http://" + "a" * 70 + ".example/",
        "http://host.example/" + "a" * 5000,
    ],
)
def test_what_is_no_address_of_a_picture_is_refused(url: str) -> None:
    with pytest.raises(FetchError, match="expected an address like"):
        Target.parse(url)


def test_only_usual_ports_are_asked_in_public(host: int) -> None:
    with pytest.raises(FetchError, match="port of 80, 443"):
        fetch("http://pictures.example:8080/", network=public(host))


def test_an_origin_that_is_trusted_may_lie_anywhere(host: int) -> None:
    origin = f"http://127.0.0.1:{host}"
    key = {"Authorization": "Token abc"}
    assert fetch(f"{origin}/x", allowed_origin=origin, headers=key) == b"picture of /x"
    assert Pages.asked[-1][1]["authorization"] == "Token abc"
    with pytest.raises(FetchError):
        fetch(f"http://localhost:{host}/x", allowed_origin=origin)
    with pytest.raises(FetchError, match="expected one on"):
        fetch("http://pictures.example/", allowed_origin=origin, public=False, network=public(host))
    with pytest.raises(FetchError):
        fetch(f"{origin}/to?http://127.0.0.1:1/", allowed_origin=origin)


def test_a_key_is_sent_to_its_owner_and_not_on_from_there(host: int) -> None:
    key = {"Authorization": "Token abc"}
    network = public(host, other_example=[[PUBLIC]])
    fetch("http://pictures.example/to?http://other.example/end", headers=key, network=network)
    sent = [headers.get("authorization") for _, headers in Pages.asked[-2:]]
    assert sent == ["Token abc", None]
    origin = f"http://127.0.0.1:{host}"
    fetch("http://pictures.example/", allowed_origin=origin, headers=key, network=network)
    assert "authorization" not in Pages.asked[-1][1]


@pytest.mark.parametrize("path", ["chunked?30", "/" + "a" * 100])
def test_what_is_too_large_is_not_read_to_its_end(host: int, path: str) -> None:
    limits = FetchLimits(max_bytes=50)
    with pytest.raises(FetchError, match="at most 50 bytes"):
        fetch(f"http://pictures.example/{path}", limits, network=public(host))
    assert len(fetch("http://pictures.example/chunked?3", network=public(host))) == 3 * 4096


def test_a_host_that_sends_a_byte_now_and_then_is_cut_off(host: int) -> None:
    with pytest.raises(FetchError, match="took too long"):
        fetch("http://pictures.example/slow", FetchLimits(timeout_s=0.4), network=public(host))


def test_a_host_that_says_nothing_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        network = public(silent.getsockname()[1])
        for scheme in ("http", "https"):
            with pytest.raises(FetchError, match="took too long"):
                fetch(f"{scheme}://pictures.example/", FetchLimits(timeout_s=0.2), network=network)


@pytest.mark.parametrize(
    ("path", "said"),
    [("short", "does not answer"), ("zipped", "compressed"), ("missing", "answers 404")],
)
def test_an_answer_that_is_no_picture_is_told(host: int, path: str, said: str) -> None:
    with pytest.raises(FetchError, match=said) as told:
        fetch(f"http://pictures.example/{path}", network=public(host))
    assert "secret" not in str(told.value)


def test_https_needs_a_certificate_of_that_host(host: int) -> None:
    with pytest.raises(FetchError, match="does not answer"):
        fetch("https://pictures.example/", network=public(host))


def test_a_host_that_is_nowhere_is_told(host: int) -> None:
    with pytest.raises(FetchError, match=r"there is no host 'nowhere\.example'"):
        fetch("http://nowhere.example/", network=public(host))
