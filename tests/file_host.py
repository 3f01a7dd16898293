"""A real HTTP server on this machine that serves files, and misbehaves where it is told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = bytes(range(256)) * 1200
"""300 KB: several blocks of a transfer."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How one GET is answered, where that is not the right way."""

    status: int | None = None  # without a body
    cut: int | None = None  # the connection ends after so many bytes of the body
    stalls: bool = False  # with ``cut``: it does not end, nothing comes any more
    ranges: bool = True  # whether a Range is heeded
    start: int | None = None  # the first byte given, whatever was asked for
    end: int | None = None  # the byte before which the body ends, as if more was not asked for
    length: int | None = None  # Content-Length, where it is a lie
    body: bytes | None = None  # another file
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Host:
    """What a server has, how it answers, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/ram.pth": CONTENT})
    tag: str | None = '"one"'  # ETag
    date: str | None = None  # Last-Modified
    commit: str | None = None  # of a hub's repository
    answers: list[Answer] = field(default_factory=list)  # of the next GETs; then all is right
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range of each GET
    heads: list[str] = field(default_factory=list)  # paths of HEADs
    gated: bool = False  # whether HEADs are refused until terms are accepted
    released: threading.Event = field(default_factory=threading.Event)  # stalls end
    address: str = ""

    @property
    def ranges(self) -> list[str | None]:
        """The Range of each GET."""
        return [wanted for _, wanted in self.asked]

    def facts(self) -> dict[str, str]:
        """Return the headers that go with every file."""
        facts = {"ETag": self.tag, "Last-Modified": self.date, "X-Repo-Commit": self.commit}
        return {name: value for name, value in facts.items() if value is not None}


@contextmanager
def serve(host: Host) -> Iterator[Host]:
    """Run a server for a host; stopping it more than once does no harm."""

    class Handler(_Handler):
        pass

    Handler.host = host
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        host.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield host
        finally:
            host.released.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    host: Host

    def do_HEAD(self) -> None:
        self.host.heads.append(self.path)
        found = self.host.files.get(self.path)
        if self.host.gated:
            self._refuse(403, {"X-Error-Code": "GatedRepo"})
        elif found is None:
            self._refuse(404, {"X-Error-Code": "EntryNotFound", **self.host.facts()})
        else:
            self._start(200, len(found))

    def do_GET(self) -> None:
        host = self.host
        wanted = self.headers.get("Range")
        host.asked.append((self.path, wanted))
        answer = host.answers.pop(0) if host.answers else Answer()
        path = re.sub(r"^http://[^/]+", "", self.path)  # as a proxy is asked
        if answer.status or path not in host.files:
            self._refuse(answer.status or 404, answer.headers)
            return
        body = host.files[path] if answer.body is None else answer.body
        start, total = self._first(wanted, answer), len(body)
        if start > 0 and start >= total:
            self._refuse(416, {"Content-Range": f"bytes */{total}"})
            return
        rest = body[max(start, 0) : answer.end]
        length = len(rest) if answer.length is None else answer.length
        span = {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if start >= 0 else {}
        self._start(206 if span else 200, length, {**span, **answer.headers})
        self.wfile.write(rest if answer.cut is None else rest[: answer.cut])
        self.wfile.flush()
        if answer.stalls:
            host.released.wait(20)

    def _first(self, wanted: str | None, answer: Answer) -> int:
        """Return the first byte to give; -1 for all of the file as if no Range was asked for."""
        if wanted is None or not answer.ranges:
            return -1
        if answer.start is not None:
            return answer.start
        version = self.headers.get("If-Range")
        if version is not None and version not in (self.host.tag, self.host.date):
            return -1
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        assert found, wanted
        return int(found[1])

    def _start(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**self.host.facts(), **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _refuse(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass
