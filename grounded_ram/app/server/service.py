"""What all routes share: the model behind its queue, the limits, the counters."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Awaitable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from fastapi import Request

from grounded_ram.annotation import Annotation
from grounded_ram.app.server.batching import Batcher
from grounded_ram.app.server.bodies import clean_tags
from grounded_ram.app.server.fetching import FetchError, fetch
from grounded_ram.app.server.metrics import Metrics
from grounded_ram.app.server.problems import Problem
from grounded_ram.app.server.settings import Settings
from grounded_ram.app.server.work import Ask, AskLabels
from grounded_ram.decoding import open_picture
from grounded_ram.errors import InputError

if TYPE_CHECKING:
    from grounded_ram.pipeline import GroundedRAM

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FETCHERS = 8


class Service:
    """Answers questions about pictures; the routes are its callers.

    Args:
        model: that answers.
        settings: the limits.
        metrics: count what happens.

    Attributes:
        failure: why the weights cannot be loaded, or nothing is annotated any more; None while
            all is well.
        stopping: nothing new is accepted any more.
        in_flight: requests that are being answered, those about health left out.
        body_room: bytes of bodies that may be longer than a picture's, by the route's path.
    """

    def __init__(self, model: GroundedRAM, settings: Settings, metrics: Metrics) -> None:
        self.model, self.settings, self.metrics = model, settings, metrics
        self.failure: Exception | None = None
        self.ready = False
        self.stopping = False
        self.in_flight = 0
        self.body_room: dict[str, int] = {}
        self._coming = 0
        self._batcher: Batcher | None = None
        self._fetchers = ThreadPoolExecutor(_FETCHERS, "grounded-ram-fetch")

    async def start(self) -> None:
        """Start the thread of the model, and let it load the weights."""
        self._batcher = Batcher(self.model, self.settings, self.metrics, on_failure=self._fail)
        self._loading = asyncio.create_task(self._load())

    async def close(self) -> None:
        """Give up what still waits, and end the threads."""
        self.stopping = True
        if self._batcher is not None:
            self._loading.cancel()
            await self._batcher.close()
        self._fetchers.shutdown(wait=False, cancel_futures=True)

    async def drained(self) -> bool:
        """Accept nothing new, and wait for what was accepted; tell whether it was all answered."""
        self.stopping = True
        deadline = time.monotonic() + self.settings.stop_s
        while self.in_flight and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return not self.in_flight

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place for a picture that is on its way in.

        Raises:
            Problem: too many wait or are on their way.
        """
        self.batcher.refuse_if_full()
        if self._coming >= self.settings.max_queue:
            raise Problem(
                "queue_full",
                f"{self._coming} pictures are being sent already; try again in a moment",
            )
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def ask(self, data: bytes, ask: Ask) -> Any:
        """Return what is asked of a picture, when its turn has come.

        Args:
            data: the picture's file: JPEG, PNG and the like.
            ask: such as ``AskLabels``, which gives an ``Annotation``.

        Raises:
            Problem: it is no picture, damaged or too large, or the queue is full.
        """
        await asyncio.to_thread(self._check_header, data)
        try:
            return await self.batcher.submit(data, ask)
        except InputError as error:
            raise Problem("invalid", str(error)) from error
        except (Problem, asyncio.CancelledError):
            raise
        except Exception as error:  # logged where it came up
            raise Problem("internal", "the picture failed; the server's log says why") from error

    async def annotate(self, data: bytes, tags: Sequence[str] | None = None) -> Annotation:
        """Annotate a picture, when its turn has come.

        Args:
            data: the picture's file.
            tags: what to look for instead of asking the tagger.

        Raises:
            Problem: as for ``ask``; there are too many tags, or one is no name.
        """
        names = None if tags is None else tuple(clean_tags(tags, self.settings))
        found: Annotation = await self.ask(data, AskLabels(tags=names))
        return found

    async def fetch(self, url: str) -> bytes:
        """Get the file of a picture at an address, if that is allowed at all.

        Raises:
            Problem: it is not, or the address gives none.
        """
        if not self.settings.allow_urls:
            raise Problem(
                "urls_not_allowed",
                "this server fetches no pictures; send the picture itself, or start the server "
                "with --allow-urls",
            )
        work = partial(fetch, url, self.settings.fetching)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._fetchers, work)
        except FetchError as error:
            raise Problem("url_refused", str(error)) from error

    @property
    def waiting(self) -> int:
        """How many pictures are in the queue."""
        return 0 if self._batcher is None else len(self._batcher)

    @property
    def batcher(self) -> Batcher:
        """The queue.

        Raises:
            Problem: the server has not started.
        """
        if self._batcher is None:
            raise Problem("loading", "the server is starting; try again in a moment")
        return self._batcher

    async def _load(self) -> None:
        try:
            await self.batcher.do(self._load_weights)
            self.ready = True
            self.metrics.ready.set(1)
        except Exception as error:
            logger.exception("the weights cannot be loaded")
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.failure, self.ready = error, False
        self.metrics.ready.set(0)

    def _load_weights(self) -> None:
        self.model.annotate(np.zeros((32, 32, 3), np.uint8))  # the tagger, unless none is asked
        _ = self.model.detector, self.model.segmenter

    def _check_header(self, data: bytes) -> None:
        """Refuse what is no picture or too large before it takes a place in the queue."""
        try:
            with open_picture(io.BytesIO(data), "the file") as picture:
                width, height = picture.size
        except InputError as error:
            raise Problem("unsupported_media_type", str(error)) from error
        most = self.settings.max_pixels
        if width * height > most:
            raise Problem(
                "too_large",
                f"expected at most {most:,} pixels, got {width} x {height} = {width * height:,}; "
                "make the picture smaller",
            )


async def in_time(request: Request, work: Awaitable[T], deadline: float) -> T:
    """Wait for something, no longer than somebody waits for the answer.

    Args:
        request: whose body was read.
        work: cancelled where the caller goes away or the time is over.
        deadline: by ``time.monotonic``.

    Raises:
        Problem: the time is over, or the caller is gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    left = max(0.0, deadline - time.monotonic())
    try:
        await asyncio.wait({task, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise Problem("client_gone", "nobody waits for the answer any more")
        raise Problem(
            "timed_out", "the picture was not annotated in time; try again when less is asked"
        )
    finally:
        for one in (task, gone):
            one.cancel()
        with suppress(BaseException):
            await asyncio.gather(task, gone, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
