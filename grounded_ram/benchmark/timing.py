"""Where the time goes: a clock that stages run under, and what its readings come to."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import supervision as sv
import torch

from grounded_ram.annotation import Tags
from grounded_ram.benchmark.machine import synchronize
from grounded_ram.images import Image


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum up one value or more."""
        return cls(median=median(values), least=min(values), most=max(values))


class Clock:
    """Adds up seconds by the name of what took them.

    Args:
        device: is waited for before and after, so that what it still does is not another's time.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._spent: dict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add to a name the seconds that pass meanwhile."""
        synchronize(self._device)
        start = time.perf_counter()
        yield
        synchronize(self._device)
        self._spent[name] += time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """Return the seconds since the last time, and begin anew."""
        spent, self._spent = dict(self._spent), defaultdict(float)
        return spent


class Timed:
    """A stage of any kind whose calls a clock measures.

    Args:
        stage: a tagger, detector or segmenter.
        clock: measures.
        name: what the time is put down to.

    Attributes:
        boxes: how many boxes the segmenter was given in all.
    """

    def __init__(self, stage: Any, clock: Clock, name: str) -> None:
        self._stage = stage
        self._clock = clock
        self._name = name
        self.boxes = 0

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        """Do what the tagger does."""
        with self._clock.measure(self._name):
            tags: list[Tags] = self._stage.tag(images, threshold=threshold)
        return tags

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        """Do what the detector does."""
        with self._clock.measure(self._name):
            found: list[sv.Detections] = self._stage.detect(images, tags, threshold=threshold)
        return found

    def segment(
        self, images: Sequence[Image], detections: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        """Do what the segmenter does."""
        self.boxes += sum(map(len, detections))
        with self._clock.measure(self._name):
            found: list[sv.Detections] = self._stage.segment(images, detections)
        return found
