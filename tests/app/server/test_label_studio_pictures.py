from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from grounded_ram.app.server.fetching import FetchLimits, Network
from grounded_ram.app.server.label_studio_pictures import Pictures, Place, Studio, place_of
from grounded_ram.errors import InputError

STUDIO = Studio("http://studio.example:8080", "abc123")
FOLDER = Studio("https://example.com/label/", "abc123")


def jwt(**claims: Any) -> str:
    parts = ({"alg": "HS256"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(text.rstrip("=") for text in texts), "c2ln"])


@pytest.mark.parametrize(
    ("told", "studio", "place"),
    [
        ("https://a.example/b.png", None, Place("https://a.example/b.png")),
        (
            "https://a.example/data/upload/1/b.png",
            STUDIO,
            Place("https://a.example/data/upload/1/b.png"),
        ),
        (
            "/data/upload/1/a.png",
            STUDIO,
            Place("http://studio.example:8080/data/upload/1/a.png", True, True),
        ),
        (
            "http://studio.example:8080/data/upload/1/a.png",
            STUDIO,
            Place("http://studio.example:8080/data/upload/1/a.png", True, True),
        ),
        (
            "/data/local-files/?d=a%20b/c..d.png",
            STUDIO,
            Place("http://studio.example:8080/data/local-files/?d=a%20b/c..d.png", True, True),
        ),
        (
            "/label/data/upload/1/a.png",
            FOLDER,
            Place("https://example.com/label/data/upload/1/a.png", True, True),
        ),
        (
            "/data/upload/1/a.png",
            FOLDER,
            Place("https://example.com/label/data/upload/1/a.png", True, True),
        ),
        (
            "/static/samples/s.jpg",
            STUDIO,
            Place("http://studio.example:8080/static/samples/s.jpg", True),
        ),
        (
            "s3://bucket/a b.png",
            STUDIO,
            Place(
                "http://studio.example:8080/tasks/7/presign/?fileuri=czM6Ly9idWNrZXQvYSBiLnBuZw==",
                True,
                True,
            ),
        ),
    ],
)
def test_every_picture_has_one_place(told: str, studio: Studio | None, place: Place) -> None:
    assert place_of(told, studio, 7) == place


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("/etc/passwd", "below /data/upload/"),
        ("/api/users", "below /data/upload/"),
        ("/data/uploads.png", "below /data/upload/"),
        ("http://studio.example:8080/api/users", "below /data/upload/"),
        ("/data/upload/../../api/users", "without '..'"),
        ("/data/upload/%2e%2e/%2E./api/users", "without '..'"),
        ("/data/upload/%252e%252e/api", "without '..'"),
        ("/data/upload/..\\..\\api", "without '..'"),
        ("file:///etc/passwd", "expected an https address"),
        ("//other.example/a.png", "expected an https address"),
        ("C:\\a.png", "expected an https address"),
        ("a.png", "expected an https address"),
        ("", "expected an https address"),
    ],
)
def test_other_places_are_refused(told: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        place_of(told, STUDIO, 7)


def test_without_a_label_studio_its_paths_say_how_to_name_it() -> None:
    for told in ("/data/upload/1/a.png", "s3://bucket/a.png"):
        with pytest.raises(InputError, match="--label-studio URL --label-studio-key TOKEN"):
            place_of(told, None, 7)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("studio", "abc"),
        ("localhost:8080", "abc"),
        ("http://user:secret@a.example", "abc"),
        ("ftp://a.example", "abc"),
        ("http://a.example?b", "abc"),
        ("http://a.example", ""),
        ("http://a.example", "a b"),
        ("http://a.example", "a\nb"),
    ],
)
def test_a_studio_has_an_address_and_a_key(url: str, key: str) -> None:
    with pytest.raises(InputError, match=r"--label-studio.*expected") as told:
        Studio(url, key)
    assert "secret" not in str(told.value)


def test_an_address_without_its_scheme_says_the_right_form() -> None:
    said = "--label-studio .LABEL_STUDIO_URL.: expected .* http://localhost:8080, got 'localhost:1'"
    with pytest.raises(InputError, match=said):
        Studio("localhost:1", "abc")


def test_the_key_is_not_shown() -> None:
    assert "abc123" not in repr(STUDIO)


class Fake:
    """What Label Studio does with keys: tells of each request the path and who asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.access = jwt(exp=time.time() + 300)
        self.redirect: str | None = None


@pytest.fixture
def fake() -> Iterator[tuple[Fake, str]]:
    state = Fake()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["Authorization"]))
            if state.redirect:
                self.send_response(303)
                self.send_header("Location", state.redirect)
                self.end_headers()
                return
            known = ("Token abc123", f"Bearer {state.access}")
            self._say(200 if self.headers["Authorization"] in known else 401, b"picture")

        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append((self.path, None))
            good = told["refresh"] == jwt(token_type="refresh")
            self._say(200 if good else 401, json.dumps({"access": state.access}).encode())

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield state, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def get(pictures: Pictures, told: str = "/data/upload/1/a.png") -> bytes:
    return asyncio.run(pictures(told, 7))


def test_a_legacy_token_is_sent_as_it_is(fake: tuple[Fake, str]) -> None:
    state, url = fake
    assert get(Pictures(Studio(url, "abc123"))) == b"picture"
    assert state.asked == [("/data/upload/1/a.png", "Token abc123")]


def test_a_personal_token_is_exchanged_once_while_the_other_lasts(fake: tuple[Fake, str]) -> None:
    state, url = fake
    pictures = Pictures(Studio(url, jwt(token_type="refresh")))
    assert get(pictures) == get(pictures) == b"picture"
    paths = [path for path, _ in state.asked]
    assert paths == ["/api/token/refresh/", "/data/upload/1/a.png", "/data/upload/1/a.png"]
    state.access = jwt(exp=time.time() + 1)
    pictures = Pictures(Studio(url, jwt(token_type="refresh")))
    get(pictures)
    get(pictures)
    assert [path for path, _ in state.asked[3:]].count("/api/token/refresh/") == 2


def test_a_key_that_is_refused_is_told(fake: tuple[Fake, str]) -> None:
    _, url = fake
    with pytest.raises(InputError, match=r"answers 401; .*--label-studio-key"):
        get(Pictures(Studio(url, "wrong")))
    with pytest.raises(InputError, match=r"refuses --label-studio-key \(status 401\)"):
        get(Pictures(Studio(url, jwt(token_type="other"))))


def test_only_label_studio_is_asked_unless_addresses_are_allowed(fake: tuple[Fake, str]) -> None:
    state, url = fake
    studio = Studio("http://studio.example:8080", "abc123")
    for one in (Pictures(), Pictures(studio)):
        with pytest.raises(InputError, match="--allow-urls"):
            get(one, f"{url}/data/upload/1/a.png")
    with pytest.raises(InputError, match="expected a port of"):
        get(Pictures(studio, public=True), f"{url}/data/upload/1/a.png")
    assert state.asked == []


def test_redirects_out_of_label_studio_are_not_followed(fake: tuple[Fake, str]) -> None:
    state, url = fake
    state.redirect = "http://127.0.0.1:1/secret"
    for public in (False, True):
        with pytest.raises(InputError, match="may not be fetched"):
            get(Pictures(Studio(url, "abc123"), public=public), "s3://bucket/a.png")


class Stuck(Network):
    """A resolver that does not answer for a while."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def resolve(self, host: str, port: int) -> list[str]:
        self.over.wait(20)
        raise OSError


def test_a_slow_host_keeps_no_other_work_from_its_threads() -> None:
    network = Stuck()
    pictures = Pictures(STUDIO, network=network)

    async def work() -> None:
        waiting = [asyncio.ensure_future(pictures("/data/upload/1/a.png")) for _ in range(40)]
        await asyncio.sleep(0)
        try:
            assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 5) == 7
        finally:
            network.over.set()
            await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(work())


def test_pictures_in_the_task_itself_are_read_up_to_the_limit() -> None:
    pictures = Pictures(limits=FetchLimits(max_bytes=10))
    text = base64.b64encode(b"0123456789").decode()
    assert get(pictures, f"data:image/png;base64,{text}") == b"0123456789"
    for told in (
        "data:image/png,abc",
        "data:image/png;base64,!!!",
        "data:image/png;base64,é",
        "data:",
        f"data:;base64,{'A' * 400}",
    ):
        with pytest.raises(InputError, match="expected"):
            get(pictures, told)
