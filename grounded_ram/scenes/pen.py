"""A pen that draws one object as flat polygons, in a unit square whose y axis points down.

An object is a function ``draw(pen)``: it lays parts from back to front. The pen carries the random
numbers and the colours, so the same function gives many shapes; the parts are only scaled, turned
and filled afterwards, which keeps the truth (mask, box) exact at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Color = tuple[int, int, int]
Point = tuple[float, float]
Points = NDArray[np.float64]
T = TypeVar("T")

DARK: Color = (45, 42, 48)
WHITE: Color = (245, 245, 242)
GLASS: Color = (176, 214, 232)
METAL: Color = (150, 155, 162)
WOOD: Color = (140, 98, 60)
SKIN_TONES: tuple[Color, ...] = ((255, 219, 187), (224, 172, 125), (160, 108, 72), (98, 66, 46))


@dataclass(frozen=True)
class Part:
    """Polygons of one colour, filled together: each (K, 2) corners in unit coordinates, y down."""

    outlines: tuple[Points, ...]
    color: Color
    body: bool
    """Whether the object's pattern (stripes, dots) is painted on this part."""


@dataclass
class Pen:
    """Collects the parts of one object.

    Args:
        rng: every choice of shape is drawn from it.
        body: the colour that names the object ("a red car"); it must cover most of the object.
        accent: a second colour, for parts that may clash with the body.
    """

    rng: np.random.Generator
    body: Color
    accent: Color
    parts: list[Part] = field(default_factory=list)

    def uniform(self, low: float, high: float) -> float:
        """Draw a number between low and high."""
        return float(self.rng.uniform(low, high))

    def integer(self, low: int, high: int) -> int:
        """Draw a whole number from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return bool(self.rng.random() < probability)

    def choice(self, options: Sequence[T]) -> T:
        """Draw one of the options."""
        return options[int(self.rng.integers(len(options)))]

    def polygon(self, points: Sequence[Point] | Points, color: Color | None = None) -> None:
        """Fill a polygon; without a colour it is body."""
        self._add([np.asarray(points, np.float64)], color)

    def rectangle(
        self, low: Point, high: Point, color: Color | None = None, *, corner: float = 0.0
    ) -> None:
        """Fill the box between two corners, its own corners rounded by a radius."""
        (x0, y0), (x1, y1) = low, high
        if corner <= 0:
            self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color)
            return
        r = min(corner, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
        centres = [
            (x1 - r, y1 - r, 0),
            (x0 + r, y1 - r, 90),
            (x0 + r, y0 + r, 180),
            (x1 - r, y0 + r, 270),
        ]
        arcs = [arc((x, y), (r, r), start, start + 90, steps=6) for x, y, start in centres]
        self.polygon(np.concatenate(arcs), color)

    def ellipse(
        self, centre: Point, radii: Point, color: Color | None = None, *, turn: float = 0.0
    ) -> None:
        """Fill an ellipse, turned clockwise by degrees."""
        self.polygon(rotate(arc(centre, radii, 0, 360), centre, turn), color)

    def pie(self, centre: Point, radii: Point, span: Point, color: Color | None = None) -> None:
        """Fill the part of an ellipse cut off by the chord between two angles.

        Args:
            centre: middle of the ellipse.
            radii: half width and half height.
            span: start and end in degrees, clockwise from the right: 180 to 360 is the upper half.
            color: None for body.
        """
        self.polygon(arc(centre, radii, *span), color)

    def blob(self, points: Sequence[Point], color: Color | None = None) -> None:
        """Fill a smooth closed curve through the points."""
        self.polygon(smooth(np.asarray(points, np.float64)), color)

    def stroke(
        self, points: Sequence[Point] | Points, width: float, color: Color | None = None
    ) -> None:
        """Draw a line through the points as thick segments with round ends."""
        line = np.asarray(points, np.float64)
        self._add([capsule(start, end, width / 2) for start, end in pairwise(line)], color)

    def _add(self, outlines: Sequence[Points], color: Color | None) -> None:
        self.parts.append(
            Part(tuple(outlines), self.body if color is None else color, color is None)
        )


def arc(centre: Point, radii: Point, start: float, end: float, *, steps: int = 28) -> Points:
    """Return (steps, 2) points on an ellipse between two angles, clockwise from the right."""
    angle = np.radians(np.linspace(start, end, steps))
    return np.stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)], 1)


def rotate(points: Points, centre: Point, degrees: float) -> Points:
    """Turn (K, 2) points clockwise (y points down) around a centre."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned: Points = (points - centre) @ np.array([[c, s], [-s, c]]) + centre
    return turned


def smooth(points: Points) -> Points:
    """Round the corners of a closed polygon by three rounds of Chaikin's corner cutting."""
    for _ in range(3):
        following = np.roll(points, -1, axis=0)
        pairs = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], 1)
        points = pairs.reshape(-1, 2)
    return points


def capsule(start: Points, end: Points, radius: float) -> Points:
    """Return the outline of a thick line with round ends between two points."""
    dx, dy = end - start
    heading = float(np.degrees(np.arctan2(dy, dx)))
    r = (radius, radius)
    return np.concatenate(
        [
            arc((end[0], end[1]), r, heading - 90, heading + 90, steps=7),
            arc((start[0], start[1]), r, heading + 90, heading + 270, steps=7),
        ]
    )


def darker(color: Color, factor: float = 0.7) -> Color:
    """Scale a colour towards black (factor below 1) or towards white (above 1)."""
    rgb = np.asarray(color, np.float64)
    mixed = rgb * factor if factor <= 1 else 255 - (255 - rgb) / factor
    r, g, b = (int(v) for v in np.clip(mixed, 0, 255))
    return r, g, b
