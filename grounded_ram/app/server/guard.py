"""What every request passes before any of it is read: host, key, and whether the server stops."""

from __future__ import annotations

import base64
import hmac
import time
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grounded_ram.app.server.incoming import Incoming
from grounded_ram.app.server.problems import Problem, answer
from grounded_ram.app.server.service import Service

HEALTH = ("/health", "/health/ready")
"""Open to everybody, at all times."""

_WHILE_STOPPING = (*HEALTH, "/metrics")


class Guard:
    """Refuses requests, and counts all of them.

    Args:
        app: answers those that pass.
        service: whose settings, state and counters they are.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        service, started, status = self._service, time.monotonic(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        counts = scope["path"] not in _WHILE_STOPPING
        service.in_flight += counts
        service.metrics.in_flight.set(service.in_flight)
        try:
            self._check(scope)
            room = service.body_room.get(scope["path"], 0)
            await self._app(scope, Incoming(scope, receive, service.settings, room=room), noted)
        except Problem as problem:
            service.metrics.reject(problem.code)
            await answer(problem)(scope, receive, noted)
        finally:
            service.in_flight -= counts
            service.metrics.in_flight.set(service.in_flight)
            route = getattr(scope.get("route"), "path", "other")
            service.metrics.answered(route, status, time.monotonic() - started)

    def _check(self, scope: Scope) -> None:
        """Refuse a request by its headers.

        Raises:
            Problem: it may not pass.
        """
        headers = {name.lower(): value for name, value in scope["headers"]}
        settings, path = self._service.settings, scope["path"]
        host = host_of(headers.get(b"host", b""))
        if settings.allowed_hosts is not None and host not in settings.allowed_hosts:
            names = ", ".join(settings.allowed_hosts)
            raise Problem("wrong_host", f"expected a Host of {names}; got {host[:100]!a}")
        if path in HEALTH:
            return
        if settings.api_key is not None and not knows(headers, settings.api_key):
            raise Problem(
                "unauthorized",
                "expected the server's API key, in a header Authorization: Bearer KEY or "
                "X-API-Key: KEY",
            )
        if self._service.stopping and path not in _WHILE_STOPPING:
            raise Problem("stopping", "the server is stopping; send the picture again later")


def host_of(header: bytes) -> str:
    """Return the name in a Host header, without its port and brackets; "" where it is none."""
    try:
        return urlsplit(f"//{header.decode('ascii')}").hostname or ""
    except ValueError:
        return ""


def knows(headers: dict[bytes, bytes], key: str) -> bool:
    """Tell whether a request's headers hold the key, in a time that does not depend on how much."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    given = headers.get(b"x-api-key", b"")
    if scheme.lower() == b"bearer":
        given = token.strip()
    elif scheme.lower() == b"basic":  # all that Label Studio can send: user and password
        with suppress(ValueError):
            given = base64.b64decode(token, validate=True).partition(b":")[2]
    return hmac.compare_digest(given, key.encode())
