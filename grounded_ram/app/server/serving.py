"""A server that runs until it is told to stop, and then answers what it has accepted."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from grounded_ram.app.hosts import LOOPBACK, is_loopback
from grounded_ram.app.server.service import Service
from grounded_ram.errors import InputError

_KEEP_ALIVE_S = 20


def open_socket(host: str, port: int) -> socket.socket:
    """Take a port.

    Args:
        host: name or number of an interface of this machine.
        port: 0 for any that is free.

    Raises:
        InputError: it is not to be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # UnicodeError, of a host's name, is one too
        raise InputError(f"--host: expected an address of this machine, got {host!r}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        what = "is taken by another program" if taken else f"cannot be opened: {error}"
        raise InputError(
            f"port {port} of {host} {what}; choose another with --port, or --port 0 for any"
        ) from error
    return sock


def url_of(sock: socket.socket) -> str:
    """Return the address under which a browser on this machine reaches a socket."""
    host, port = sock.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def hosts_of(host: str, *further: str) -> tuple[str, ...] | None:
    """Return the names by which a server on an interface may be called; None for any.

    They are in small letters, as ``guard.host_of`` returns those that callers use.
    """
    if not is_loopback(host):
        return None
    return tuple(dict.fromkeys(map(str.lower, [*LOOPBACK, host, *further])))


def serve(app: FastAPI, sock: socket.socket, on_listening: Callable[[str], None]) -> bool:
    """Answer requests until SIGINT or SIGTERM comes; a second one ends it at once.

    Args:
        app: made by ``api.create_app``.
        sock: bound; closed in the end.
        on_listening: told the server's address once it answers.

    Returns:
        Whether all that was accepted has been answered.

    Raises:
        Exception: what kept the weights from being loaded.
    """
    server = StoppableServer(app, lambda: on_listening(url_of(sock)))
    with sock:
        server.run(sockets=[sock])
    if server.service.failure is not None:
        raise server.service.failure
    return server.drained


class StoppableServer(uvicorn.Server):
    """Uvicorn's, but that it refuses requests with a word while it finishes the earlier ones.

    Attributes:
        service: the application's.
        drained: all that was accepted has been answered.
    """

    def __init__(self, app: FastAPI, on_listening: Callable[[], None]) -> None:
        self.service: Service = app.state.service
        self.drained = True
        self._on_listening = on_listening
        self._stopping: asyncio.Task[None] | None = None
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                ws="none",
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,  # for answers on their way; we have waited before
                backlog=1024,
            )
        )

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until told to stop; signals may come from the first moment on."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether to end."""
        if self.service.failure is not None:
            return True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish what was accepted, then end; the second time, end at once."""
        if self.service.stopping:
            self.drained = not self.service.in_flight
            self.config.timeout_graceful_shutdown = 0
            self.should_exit = True
            return
        self.service.stopping = True
        self._loop.call_soon_threadsafe(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        self._stopping = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        drained = await self.service.drained()
        if not self.should_exit:
            self.drained = drained
            self.should_exit = True
