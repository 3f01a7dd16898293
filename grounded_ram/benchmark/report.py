"""What a measurement comes to, in plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grounded_ram.benchmark.machine import Machine
from grounded_ram.benchmark.timing import Spread
from grounded_ram.benchmark.work import Text

PASSES = ("tag", "detect", "segment")
"""Stages that run networks."""


@dataclass(frozen=True, kw_only=True)
class StageTime:
    """One stage, or a sum of several; times are of one picture.

    Args:
        name: which.
        backend: what it runs, if it runs a network.
        random_weights: whether that network's are; None if it runs none.
        ms: how long it took.
        gflop: 10^9 operations of the published network; None where nobody counted.
        floor_ms: what these take at the rate of a matrix product.
        share_of_floor: that over the median of what it took.
    """

    name: str
    ms: Spread
    backend: str | None = None
    random_weights: bool | None = None
    gflop: float | None = None
    floor_ms: float | None = None
    share_of_floor: float | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One stage in the usual way and in ours, measured in turns; times are of one picture.

    Args:
        name: which.
        ours_ms: how long ours took.
        usual_ms: how long the usual way took.
        ratio: the usual way's time over ours, pair by pair.
    """

    name: str
    ours_ms: Spread
    usual_ms: Spread
    ratio: Spread


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The most memory at a time, in bytes; None where nobody says.

    Args:
        host: of the process, before anything of the usual way was loaded.
        device: of tensors on a GPU, likewise.
        host_with_usual: of the process in the end; None without the usual way.
        device_with_usual: of tensors on a GPU, likewise.
    """

    host: int | None
    device: int | None
    host_with_usual: int | None = None
    device_with_usual: int | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that ``bench`` prints.

    Args:
        versions: of this package and of the libraries that compute, by name.
        machine: what it ran on, and how fast that is.
        preset: the preset's name.
        device: where the networks ran.
        dtype: the number type they ran in.
        batch: pictures at a time.
        compiled: whether torch compiled the image encoders.
        size_wh: width and height of the pictures.
        pictures: how many there were.
        repeat: how often each was measured.
        tags: how many were looked for in each picture.
        text: what the detector read; None where nobody knows.
        boxes: how many the segmenter was given a picture, on average.
        objects: how many were left in the end, likewise.
        usual_masks: how many the usual way cut, likewise; None without it.
        stages: how long each took, in the order in which they run, and sums.
        against_usual: the usual way beside ours, empty without it.
        memory: the most at a time.
    """

    versions: Mapping[str, str]
    machine: Machine
    preset: str
    device: str
    dtype: str
    batch: int
    compiled: bool
    size_wh: tuple[int, int]
    pictures: int
    repeat: int
    tags: int
    text: Text | None
    boxes: float
    objects: float
    usual_masks: float | None
    stages: tuple[StageTime, ...]
    against_usual: tuple[Comparison, ...]
    memory: Memory

    @property
    def random_stages(self) -> tuple[str, ...]:
        """The stages whose weights were random."""
        return tuple(stage.name for stage in self.stages if stage.random_weights)
