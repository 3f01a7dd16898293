"""Pictures decoded by processes of their own, ahead of the models."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType

from grounded_ram.autolabel.children import begin_child
from grounded_ram.autolabel.items import Item
from grounded_ram.autolabel.urls import fetch
from grounded_ram.errors import InputError
from grounded_ram.images import MAX_PIXELS, LoadedImage, load_image


@dataclass(frozen=True, eq=False)
class Read:
    """An item, and its picture or why there is none."""

    item: Item
    picture: LoadedImage | str


def read(item: Item, max_pixels: int = MAX_PIXELS) -> Read:
    """Get and decode the picture of an item; what is wrong with it is told, not raised."""
    try:
        fetch(item)
        return Read(item, load_image(item.path, max_pixels=max_pixels))
    except InputError as error:
        return Read(item, str(error))
    except MemoryError as error:
        return Read(item, f"MemoryError: {error}")


class Decoders:
    """Some processes that decode.

    Args:
        count: how many; with 0, pictures are decoded where they are asked for.
        max_pixels: larger pictures fail.
    """

    def __init__(self, count: int, max_pixels: int = MAX_PIXELS) -> None:
        self._count = count
        self._max_pixels = max_pixels
        self._pool = self._begin()

    def __enter__(self) -> Decoders:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def start(self, items: Sequence[Item]) -> Batch:
        """Begin to decode some pictures."""
        futures: list[Future[Read] | None] = [self._submit(item) for item in items]
        return Batch(self, items, futures)

    def _begin(self) -> ProcessPoolExecutor | None:
        return _pool(self._count) if self._count else None

    def _submit(self, item: Item) -> Future[Read] | None:
        if self._pool is None:
            return None
        try:
            return self._pool.submit(read, item, self._max_pixels)
        except BrokenProcessPool:
            self._pool = self._begin()
            return self._submit(item)

    def wait(self, item: Item, future: Future[Read] | None) -> Read:
        """Return what was decoded; a picture that kills its process twice has failed."""
        if future is None:
            return read(item, self._max_pixels)
        try:
            return future.result()
        except BrokenProcessPool:
            # The picture of another process may have been the one: this one is tried alone.
            with _pool(1) as alone:
                try:
                    return alone.submit(read, item, self._max_pixels).result()
                except BrokenProcessPool:
                    return Read(item, "the process that decoded it died; it may be too large")


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures on their way."""

    decoders: Decoders
    items: Sequence[Item]
    futures: Sequence[Future[Read] | None]

    def pictures(self) -> list[Read]:
        """Wait for all of them, and return them in order."""
        pairs = zip(self.items, self.futures, strict=True)
        return [self.decoders.wait(item, future) for item, future in pairs]


def _pool(count: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # forked threads of torch would hang
    return ProcessPoolExecutor(count, context, begin_child)
