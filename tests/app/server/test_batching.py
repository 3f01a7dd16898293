import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grounded_ram.annotation import SCORE_COLUMNS, Annotation
from grounded_ram.app.server.batching import Batcher
from grounded_ram.app.server.metrics import Metrics
from grounded_ram.app.server.problems import Problem
from grounded_ram.app.server.service import Service
from grounded_ram.app.server.settings import Settings
from grounded_ram.app.server.work import AskLabels, AskTags
from grounded_ram.errors import InputError
from grounded_ram.export.records import encode
from grounded_ram.images import LoadedImage, load_image
from grounded_ram.pipeline import GroundedRAM
from tests.app.server.live import encoded, png

PIXEL = encoded(np.zeros((1, 1, 3), np.uint8))


class Log:
    """Notes what was asked together; can hold the model's thread up."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int]] = []
        self.open, self.entered = threading.Event(), threading.Event()
        self.open.set()


@dataclass(frozen=True)
class Sizes:
    """Asks for the widths of pictures; one of 13 pixels cannot be asked.

    Args:
        log: notes what was asked.
        name: what tells this question from others.
    """

    log: Log
    name: str = ""

    def of(self, model: Any, images: Sequence[LoadedImage]) -> list[int]:
        self.log.batches.append((self.name, len(images)))
        self.log.entered.set()
        assert self.log.open.wait(20)
        widths = [image.pixels.shape[1] for image in images]
        if 13 in widths:
            raise RuntimeError("unlucky")
        return widths


def picture(width: int) -> bytes:
    return encoded(np.zeros((2, width, 3), np.uint8))


@asynccontextmanager
async def batcher(model: Any = None, **limits: Any) -> AsyncIterator[tuple[Batcher, Metrics]]:
    metrics = Metrics()
    one = Batcher(model or SimpleNamespace(batch_size=3), Settings(**limits), metrics)
    try:
        yield one, metrics
    finally:
        await one.close()


async def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.002)


async def held(one: Batcher, log: Log) -> "asyncio.Future[Any]":
    """Hold the model's thread up with a picture of one pixel."""
    log.open.clear()
    first = asyncio.ensure_future(one.submit(PIXEL, Sizes(log, "first")))
    await until(log.entered.is_set)
    return first


async def outcomes(*calls: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


def run(work: Awaitable[Any]) -> Any:
    async def limited() -> Any:
        return await asyncio.wait_for(work, 60)

    return asyncio.run(limited())


def value(metrics: Metrics, name: str) -> float:
    found = metrics.registry.get_sample_value(f"grounded_ram_{name}")
    assert found is not None
    return found


def test_pictures_that_wait_and_ask_the_same_are_answered_together() -> None:
    async def work() -> None:
        log = Log()
        async with batcher() as (one, metrics):
            first = await held(one, log)
            calls = [one.submit(picture(w), Sizes(log, "ab"[w % 2])) for w in range(2, 10)]
            waiting = asyncio.ensure_future(outcomes(*calls))
            await until(lambda: len(one) == 8)
            log.open.set()
            assert await waiting == list(range(2, 10))
            assert await first == 1
            assert log.batches == [("first", 1), ("a", 3), ("b", 3), ("a", 1), ("b", 1)]
            assert value(metrics, "batch_size_count") == 5
            assert value(metrics, "batch_size_sum") == 9

    run(work())


def test_an_idle_model_waits_a_moment_for_a_second_picture() -> None:
    async def work() -> None:
        log = Log()
        async with batcher(batch_wait_s=0.5) as (one, _):
            await outcomes(*(one.submit(picture(w), Sizes(log)) for w in (2, 3, 4)))
            assert log.batches == [("", 3)]
            started = time.monotonic()
            await one.submit(picture(2), Sizes(log))  # nobody comes
            assert time.monotonic() - started > 0.4

    run(work())


@pytest.mark.parametrize("bad", [b"no picture", png(1)[:200], picture(13)])
def test_a_bad_picture_harms_none_of_its_neighbours(bad: bytes) -> None:
    async def work() -> None:
        log = Log()
        async with batcher() as (one, _):
            first = await held(one, log)
            files = [picture(2), bad, picture(4)]
            waiting = asyncio.ensure_future(outcomes(*(one.submit(f, Sizes(log)) for f in files)))
            await until(lambda: len(one) == 3)
            log.open.set()
            before, error, after = await waiting
            assert (before, after) == (2, 4)
            assert isinstance(error, RuntimeError if bad == picture(13) else InputError)
            assert "0 of the batch" not in str(error)
            await first

    run(work())


@pytest.mark.parametrize("odd", [StopIteration("x"), SystemExit(3), asyncio.CancelledError()])
@pytest.mark.parametrize("where", ["ask", "do"])
def test_no_exception_of_the_model_ends_the_worker(odd: BaseException, where: str) -> None:
    """Futures take no StopIteration, and what is no Exception would end the task that waits."""

    @dataclass(frozen=True)
    class Odd:
        def of(self, model: Any, images: Sequence[LoadedImage]) -> Any:
            raise odd

    async def work() -> None:
        async with batcher() as (one, _):
            asked = one.submit(PIXEL, Odd()) if where == "ask" else one.do(partial(Odd().of, 0, []))
            with pytest.raises(RuntimeError, match=type(odd).__name__):
                await asyncio.wait_for(asked, 5)
            assert await asyncio.wait_for(one.submit(picture(3), Sizes(Log())), 5) == 3

    run(work())


def test_a_worker_that_ends_all_the_same_fails_the_server() -> None:
    class Faulty:
        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = None  # type: ignore[assignment]

    async def work() -> None:
        model = SimpleNamespace(
            batch_size=3, annotate=lambda image: None, detector=None, segmenter=None
        )
        service = Service(model, Settings(), Metrics())  # type: ignore[arg-type]
        await service.start()
        await until(lambda: service.ready)
        waiting = asyncio.ensure_future(service.ask(PIXEL, Faulty()))  # type: ignore[arg-type]
        await until(lambda: isinstance(service.failure, ZeroDivisionError))
        assert not service.ready
        await service.close()
        with pytest.raises(Problem, match="is stopping"):
            await waiting

    run(work())


def test_a_full_queue_refuses_and_keeps_what_it_has() -> None:
    async def work() -> None:
        log = Log()
        async with batcher(max_queue=2) as (one, metrics):
            first = await held(one, log)
            waiting = [asyncio.ensure_future(one.submit(picture(w), Sizes(log))) for w in (2, 3)]
            await until(lambda: len(one) == 2)
            assert value(metrics, "queue_length") == 2
            with pytest.raises(Problem, match="2 pictures are waiting") as told:
                await one.submit(picture(4), Sizes(log))
            assert (told.value.code, told.value.status) == ("queue_full", 503)
            log.open.set()
            assert await outcomes(first, *waiting) == [1, 2, 3]

    run(work())


def test_a_picture_that_nobody_waits_for_leaves_the_queue() -> None:
    async def work() -> None:
        log = Log()
        async with batcher() as (one, metrics):
            first = await held(one, log)
            gone = asyncio.ensure_future(one.submit(picture(2), Sizes(log, "gone")))
            stays = asyncio.ensure_future(one.submit(picture(3), Sizes(log, "stays")))
            await until(lambda: len(one) == 2)
            gone.cancel()
            await until(lambda: len(one) == 1)
            log.open.set()
            assert await stays == 3
            await first
            assert log.batches == [("first", 1), ("stays", 1)]
            assert value(metrics, "dropped_total") == 1

    run(work())


def test_whoever_leaves_while_the_model_works_disturbs_nobody() -> None:
    async def work() -> None:
        log = Log()
        async with batcher() as (one, _):
            first = await held(one, log)
            first.cancel()
            log.open.set()
            assert await one.submit(picture(3), Sizes(log)) == 3

    run(work())


def test_closing_tells_those_who_wait() -> None:
    async def work() -> None:
        log = Log()
        async with batcher() as (one, _):
            first = await held(one, log)
            waiting = asyncio.ensure_future(one.submit(picture(3), Sizes(log)))
            await until(lambda: len(one) == 1)
            await one.close()
            with pytest.raises(Problem, match="is stopping"):
                await waiting
            first.cancel()
            log.open.set()

    run(work())


def test_a_picture_alone_and_in_company_has_the_same_labels(model: GroundedRAM) -> None:
    files = [png(5), png(7, size=64), png(11, size=128), png(5)]

    async def together() -> list[Annotation]:
        async with batcher(model, batch_wait_s=5) as (one, metrics):
            found = await outcomes(*(one.submit(file, AskLabels()) for file in files))
            assert value(metrics, "batch_size_count") == 1
            return found

    alone = [model.annotate(file) for file in files]
    for found, expected in zip(run(together()), alone, strict=True):
        assert found.image == expected.image
        np.testing.assert_array_equal(
            found.detections.data["class_name"], expected.detections.data["class_name"]
        )
        np.testing.assert_allclose(found.detections.xyxy, expected.detections.xyxy, atol=0.01)
        for score in SCORE_COLUMNS:  # networks that take several at once round differently
            np.testing.assert_allclose(
                found.detections.data[score], expected.detections.data[score], atol=1e-5
            )
        np.testing.assert_array_equal(np.asarray(found.masks), np.asarray(expected.masks))
    assert sum(len(one.detections) for one in alone) > 3


def test_a_model_that_takes_one_at_a_time_gives_every_digit_again(model: GroundedRAM) -> None:
    one_by_one = GroundedRAM("tiny", device="cpu")
    images = [load_image(png(seed)) for seed in (5, 11)]
    found = AskLabels().of(one_by_one, images)
    assert [encode(one) for one in found] == [encode(one_by_one.annotate(one)) for one in images]


def test_the_questions_ask_the_model_what_they_say(model: GroundedRAM) -> None:
    image = LoadedImage(np.zeros((8, 8, 3), np.uint8), None, "0" * 64)
    (found,) = AskLabels(tags=("book",), box_threshold=0.25, tag_threshold=0.125).of(model, [image])
    assert found.tags.names == ("book",)
    assert found.run["box_threshold"] == 0.25
    (seen,) = AskTags(tag_threshold=0.0).of(model, [image])
    assert seen.image is image
    assert len(seen.tags) > len(AskTags(tag_threshold=0.99).of(model, [image])[0].tags)
