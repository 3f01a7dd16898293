"""A server in this process, and what its callers send."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import PIL.Image
from fastapi import FastAPI

from grounded_ram.annotation import Tags
from grounded_ram.app.server.service import Service
from grounded_ram.app.server.serving import StoppableServer, open_socket, url_of
from grounded_ram.app.server.settings import Settings
from grounded_ram.images import Image
from grounded_ram.scenes.scene import make_scene
from grounded_ram.stages import Tagger

SMALL = Settings(max_bytes=100_000, max_pixels=40_000, max_tags=5, max_tag_length=20)
"""Limits that tests can reach."""


def png(seed: int, size: int = 96) -> bytes:
    """Draw a scene, as a file."""
    return encoded(make_scene(seed, size=size).image)


def encoded(pixels: Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


class Gate:
    """A tagger that can be held up; ``sizes`` tells how many pictures it got each time."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.sizes: list[int] = []

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        self.sizes.append(len(images))
        if not self.open.is_set():
            self.entered.set()
            assert self.open.wait(20), "nobody opened the gate"
        return self._tagger.tag(images, threshold=threshold)


@dataclass
class Live:
    """A server that runs.

    Args:
        url: its address.
        server: the server.
        thread: in which it runs.
    """

    url: str
    server: StoppableServer
    thread: threading.Thread

    @property
    def service(self) -> Service:
        return self.server.service

    def stop(self) -> None:
        self.server.handle_exit(signal.SIGTERM, None)


@contextmanager
def serving(app: FastAPI) -> Iterator[Live]:
    """Run an application on a free port until the block ends."""
    sock = open_socket("127.0.0.1", 0)
    url = url_of(sock)
    listening = threading.Event()
    server = StoppableServer(app, listening.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        assert listening.wait(20), "the server does not start"
        yield Live(url, server, thread)
    finally:
        while thread.is_alive():  # the second time it gives up what is left
            server.handle_exit(signal.SIGTERM, None)
            thread.join(5)
        sock.close()
