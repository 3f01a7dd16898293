"""Drawn videos whose truth is known: to try things out without a file, and to measure trackers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from grounded_ram.images import Image
from grounded_ram.scenes.backgrounds import draw_background
from grounded_ram.scenes.catalog import COLORS, OBJECTS
from grounded_ram.scenes.pen import Pen
from grounded_ram.scenes.render import Placement, Style, paint
from grounded_ram.video.encoding import Encoder


@dataclass(frozen=True)
class Actor:
    """An object that moves on a straight line.

    Args:
        name: its category, such as "car".
        color: the name of its colour.
        start: (x, y) of its middle in the first frame, in parts of the picture's side.
        end: the same in the last frame.
        size: its longer side, in parts of the picture's.
        away: the first frame in which it is not there, and the first in which it is again.
    """

    name: str
    color: str
    start: tuple[float, float]
    end: tuple[float, float]
    size: float = 0.3
    away: tuple[int, int] = (0, 0)


CAST = (
    Actor("car", "red", (0.15, 0.72), (0.85, 0.72)),
    Actor("fish", "blue", (0.85, 0.35), (0.15, 0.35), 0.28),
    Actor("star", "yellow", (0.5, 0.15), (0.5, 0.85), 0.22),
)
"""A car and a fish that move against one another, and a star that falls between them."""


@dataclass(frozen=True, eq=False)
class DrawnFrame:
    """One frame and its truth.

    Args:
        image: (H, W, 3) RGB.
        masks: the visible pixels of each actor, by its place in the cast; those of whom nothing
            can be seen are not there.
    """

    image: Image
    masks: dict[int, NDArray[np.bool_]]


def draw_frames(
    length: int, *, cast: Sequence[Actor] = CAST, size: int = 256, seed: int = 0
) -> Iterator[DrawnFrame]:
    """Draw a video frame by frame, later actors before earlier ones.

    Args:
        length: how many frames.
        cast: what moves.
        size: side of the square picture, in pixels; at least 64.
        seed: of background and shapes.
    """
    background, _ = draw_background(np.random.default_rng([seed, 0]), size)
    behind = np.clip(background, 0, 255).astype(np.uint8)
    for number in range(length):
        share = number / max(1, length - 1)
        canvas, owner = behind.copy(), np.full((size, size), -1)
        for place, actor in enumerate(cast):
            if not actor.away[0] <= number < actor.away[1]:
                owner[_put(canvas, actor, share, np.random.default_rng([seed, place + 1]))] = place
        found = [place for place in range(len(cast)) if (owner == place).any()]
        yield DrawnFrame(canvas, {place: owner == place for place in found})


def write_drawn(path: str | Path, length: int, *, fps: float = 12.0, size: int = 256) -> Path:
    """Write a video of the usual cast, and return where."""
    with Encoder(Path(path), fps, (size, size)) as encoder:
        for number, frame in enumerate(draw_frames(length, size=size)):
            encoder.write(frame.image, number / fps)
    return Path(path)


def _put(
    canvas: NDArray[np.uint8], actor: Actor, share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw an actor, which looks the same in all frames, and return its mask."""
    size = canvas.shape[0]
    pen = Pen(rng, COLORS[actor.color], COLORS["black"])
    OBJECTS[actor.name](pen)
    x, y = (1 - share) * np.array(actor.start) + share * np.array(actor.end)
    placement = Placement(centre=(float(x) * size, float(y) * size), size=actor.size * size)
    return paint(canvas, pen.parts, placement, Style(outline=1.5))
