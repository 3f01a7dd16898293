"""What to measure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from grounded_ram.benchmark.stand_ins import grid
from grounded_ram.errors import InputError
from grounded_ram.presets import Preset

SMALLEST, LARGEST = 16, 16_384
"""Sides of pictures, in pixels."""

BOXES = 10
"""How many boxes stand for those above the threshold, where weights are random."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One measurement.

    Args:
        preset: whose stages run.
        device: as ``GroundedRAM`` takes it,
        dtype: likewise.
        batch: pictures at a time, in each network too.
        compile: as ``GroundedRAM`` takes it.
        size_wh: width and height of the pictures.
        tags: how many are looked for in each picture.
        boxes: how many are segmented of each picture; None means those above the preset's
            threshold, or ``BOXES`` with random weights.
        pictures: how many; None means one batch.
        repeat: how often each is measured.
        threads: with which torch computes; None leaves it as it is.
        asks_tagger: whether the tagger runs; otherwise the tags are given.
        baseline: whether the usual way is measured too, in turns with ours.
        draws: whether both draw what they found.

    Raises:
        InputError: a number lies outside of its range, or two do not fit together.
    """

    preset: Preset
    device: str = "auto"
    dtype: str = "auto"
    batch: int = 1
    compile: bool = False
    size_wh: tuple[int, int] = (640, 480)
    tags: int = 16
    boxes: int | None = None
    pictures: int | None = None
    repeat: int = 3
    threads: int | None = None
    asks_tagger: bool = True
    baseline: bool = False
    draws: bool = False

    def __post_init__(self) -> None:
        for name in ("batch", "tags", "boxes", "pictures", "repeat", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}: expected 1 or more, got {value}")
        if not all(SMALLEST <= side <= LARGEST for side in self.size_wh):
            width, height = self.size_wh
            raise InputError(
                f"size: expected sides of {SMALLEST} to {LARGEST} pixels, got {width}x{height}"
            )
        if self.count % self.batch:
            raise InputError(
                f"expected whole batches: {self.count} pictures (--images) are no multiple of "
                f"{self.batch} (--batch)"
            )
        if self.draws and not self.baseline:
            raise InputError("drawing is measured beside the usual way; say --baseline too")
        if self.boxes is not None:
            grid(self.boxes, self.size_hw)

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return self.batch if self.pictures is None else self.pictures

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.size_wh[1], self.size_wh[0]


def parse_size(text: str) -> tuple[int, int]:
    """Read a width and a height, as in "640x480".

    Raises:
        InputError: it is not of that form.
    """
    found = re.fullmatch(r"(\d{1,6})\s*[xX]\s*(\d{1,6})", text.strip())
    if found is None:
        raise InputError(f"size: expected WIDTHxHEIGHT in pixels, as in 640x480; got {text!r}")
    return int(found[1]), int(found[2])
