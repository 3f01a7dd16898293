"""The body of a request as it comes in: no more than the limits allow, in time."""

from __future__ import annotations

import asyncio
import time

from starlette.types import Message, Receive, Scope

from grounded_ram.app.server.problems import Problem
from grounded_ram.app.server.settings import Settings

_ROOM = 2**16  # bytes of a body beside its picture


class Incoming:
    """Receives a request for the application.

    A body that is a little too long is read to its end, and thrown away: whoever still writes does
    not listen to answers.

    Args:
        scope: the request's head.
        receive: gets its parts.
        settings: the limits.
        room: bytes that a body may have even where a picture may have fewer.

    Raises:
        Problem: its head says that it is far too large.
    """

    def __init__(
        self, scope: Scope, receive: Receive, settings: Settings, *, room: int = 0
    ) -> None:
        self._receive = receive
        self._deadline = time.monotonic() + settings.timeout_s
        headers = dict(scope["headers"])
        in_base64 = (
            headers.get(b"content-type", b"").strip().lower().startswith(b"application/json")
        )
        self._most = max(room, settings.max_bytes * (4 if in_base64 else 3) // 3 + _ROOM)
        self._count = 0
        self._is_whole = False
        declared = headers.get(b"content-length", b"")[:20]
        if declared.isdigit() and int(declared) > 2 * self._most:
            raise self._too_large(f"{int(declared):,}")

    async def __call__(self) -> Message:
        """Return the next part.

        Raises:
            Problem: it is too large, or late.
        """
        if self._is_whole:  # what comes now is news of the caller going away
            return await self._receive()
        while True:
            message = await self._next()
            self._count += len(message.get("body", b""))
            self._is_whole = not message.get("more_body")
            if self._count <= self._most:
                return message
            if self._is_whole or self._count > 2 * self._most:
                raise self._too_large("more")

    async def _next(self) -> Message:
        try:
            return await asyncio.wait_for(self._receive(), self._deadline - time.monotonic())
        except asyncio.TimeoutError as error:
            raise Problem("timed_out_reading", "the body did not arrive in time") from error

    def _too_large(self, got: str) -> Problem:
        most = f"{self._most:,}"
        return Problem("too_large", f"expected a body of at most {most} bytes, got {got}")
