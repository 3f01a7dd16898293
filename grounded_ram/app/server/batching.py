"""One thread owns the model; pictures that ask the same are handed to it together.

A picture is decoded when its turn comes, not when it arrives: a full queue holds files, not
pixels. What is wrong with one picture is told to whoever sent it, and to nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from grounded_ram.app.server.metrics import Metrics
from grounded_ram.app.server.problems import Problem
from grounded_ram.app.server.settings import Settings
from grounded_ram.app.server.work import Ask
from grounded_ram.errors import InputError
from grounded_ram.images import LoadedImage, load_image

if TYPE_CHECKING:
    from grounded_ram.pipeline import GroundedRAM

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """One picture on its way through.

    Args:
        data: its file.
        ask: what is asked of it.
        done: gets the answer, or the exception.
        arrived: when, by ``time.monotonic``.
    """

    data: bytes
    ask: Ask
    done: asyncio.Future[Any]
    arrived: float = field(default_factory=time.monotonic)

    def finish(self, outcome: Any) -> None:
        """Hand over an answer, or an exception, if somebody still waits for it."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(_bearable(outcome))
        else:
            self.done.set_result(outcome)


class Batcher:
    """Annotates pictures of many callers, several at a time.

    Made and used inside one event loop.

    Args:
        model: whose ``batch_size`` is the most that are annotated together.
        settings: its limits of the queue, of pixels and of waiting.
        metrics: count what happens.
        on_failure: told what ended it, if anything but ``close`` does.
    """

    def __init__(
        self,
        model: GroundedRAM,
        settings: Settings,
        metrics: Metrics,
        *,
        on_failure: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._model, self._settings, self._metrics = model, settings, metrics
        self._on_failure = on_failure
        self._waiting: dict[Job, None] = {}  # in the order of arrival
        self._arrived = asyncio.Event()
        self._thread = _Thread()
        self._task = asyncio.create_task(self._work())
        metrics.queue.set_function(self.__len__)

    def __len__(self) -> int:
        """Return how many pictures wait."""
        return len(self._waiting)

    async def submit(self, data: bytes, ask: Ask) -> Any:
        """Return what is asked of a picture; where the caller is cancelled, it leaves the queue.

        Args:
            data: the picture's file.
            ask: what is asked.

        Raises:
            Problem: the queue is full.
            InputError: it is no picture, damaged or too large, or cannot be asked that.
        """
        self.refuse_if_full()
        job = Job(data, ask, asyncio.get_running_loop().create_future())
        self._waiting[job] = None
        self._arrived.set()
        try:
            return await job.done
        finally:
            if self._waiting.pop(job, job) is None:
                self._metrics.dropped.inc()

    def refuse_if_full(self) -> None:
        """Refuse a picture if too many wait.

        Raises:
            Problem: they do.
        """
        if len(self) >= self._settings.max_queue:
            raise Problem(
                "queue_full",
                f"{self._settings.max_queue} pictures are waiting already; try again in a moment",
            )

    async def do(self, work: Callable[[], Any]) -> Any:
        """Do something else in the thread that owns the model."""
        return await self._thread.run(work)

    async def close(self) -> None:
        """Stop; what still waits is given up."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for job in list(self._waiting):
            job.finish(Problem("stopping", "the server is stopping; send the picture again later"))
        self._thread.stop()

    async def _work(self) -> None:
        try:
            while True:
                await self._answer_next()
        except Exception as error:
            logger.exception("pictures are not annotated any more")
            self._on_failure(error)

    async def _answer_next(self) -> None:
        batch = await self._next_batch()
        started = time.monotonic()
        try:
            outcomes = await self._thread.run(partial(self._answer, batch))
        except Exception as error:
            logger.exception("a batch of %d pictures failed", len(batch))
            outcomes = [error] * len(batch)
        self._metrics.batch.observe(len(batch))
        self._metrics.batch_seconds.observe(time.monotonic() - started)
        for job, outcome in zip(batch, outcomes, strict=True):
            job.finish(outcome)

    async def _next_batch(self) -> list[Job]:
        """Wait for pictures; take the first, and others that ask the same."""
        while True:
            self._arrived.clear()
            first = next(iter(self._waiting), None)
            if first is None:
                await self._arrived.wait()
                continue
            same = [job for job in self._waiting if job.ask == first.ask]
            left = first.arrived + self._settings.batch_wait_s - time.monotonic()
            if len(same) < self._model.batch_size and left > 0:
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._arrived.wait(), left)
                continue
            batch = same[: self._model.batch_size]
            for job in batch:
                del self._waiting[job]
            return batch

    def _answer(self, batch: Sequence[Job]) -> list[Any]:
        """Return an answer or an exception for each picture; runs in the model's thread."""
        outcomes: list[Any] = [self._load(job) for job in batch]
        rows = [i for i, one in enumerate(outcomes) if isinstance(one, LoadedImage)]
        if not rows:
            return outcomes
        found = self._ask(batch[0].ask, [outcomes[i] for i in rows])
        for row, one in zip(rows, found, strict=True):
            outcomes[row] = one
        return outcomes

    def _load(self, job: Job) -> LoadedImage | Exception:
        try:
            return load_image(job.data, max_pixels=self._settings.max_pixels)
        except InputError as error:
            return error
        except Exception as error:
            logger.exception("a picture of %d bytes cannot be decoded", len(job.data))
            return error

    def _ask(self, ask: Ask, images: list[LoadedImage]) -> list[Any]:
        """Answer for pictures together; where that fails, for each alone."""
        try:
            answers = list(ask.of(self._model, images))
            self._metrics.pictures.inc(len(answers))
            return answers
        except Exception as error:
            if len(images) > 1:
                return [one for image in images for one in self._ask(ask, [image])]
            if not isinstance(error, InputError):
                logger.exception(
                    "a picture of %s pixels cannot be annotated", images[0].pixels.shape
                )
            return [error]


def _bearable(error: BaseException) -> Exception:
    """Return what a future may hold and a task may raise without ending for good."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"the model raised {error!r}")
    wrapped.__cause__ = error
    return wrapped


class _Thread:
    """A thread that does one thing after another, and that nobody waits for at the end.

    An executor's thread would keep a process from ending while the model is busy.
    """

    def __init__(self) -> None:
        self._things: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="grounded-ram-model", daemon=True).start()

    async def run(self, work: Callable[[], Any]) -> Any:
        """Do something there, and return what comes of it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def tell(outcome: Any, failure: BaseException | None) -> None:
            if done.done():
                return
            if failure is None:
                done.set_result(outcome)
            else:
                done.set_exception(_bearable(failure))

        def do() -> None:
            outcome, failure = None, None
            try:
                outcome = work()
            except BaseException as error:
                failure = error
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, outcome, failure)

        self._things.put(do)
        return await done

    def stop(self) -> None:
        """End after what is being done."""
        self._things.put(None)

    def _run(self) -> None:
        while (do := self._things.get()) is not None:
            do()
