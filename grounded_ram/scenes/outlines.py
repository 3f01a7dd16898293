"""Outlines and shades that several objects share: leaves, bent lines, profiles, eyes, tints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grounded_ram.scenes.pen import DARK, WHITE, Color, Pen, Point, Points, darker, smooth


def bend(start: Point, control: Point, end: Point, *, steps: int = 14) -> Points:
    """Return (steps, 2) points of a curve from start to end, pulled towards the control point."""
    a, b, c = (np.asarray(point, np.float64) for point in (start, control, end))
    t = np.linspace(0, 1, steps)[:, None]
    curve: Points = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    return curve


def leaf(
    start: Point, end: Point, width: float, *, curl: float = 0.0, fullest: float = 0.5
) -> Points:
    """Return a leaf that is pointed at both ends.

    Args:
        start: one tip.
        end: the other tip.
        width: thickness at the fullest place.
        curl: how far the middle is pushed sideways, in parts of the length.
        fullest: where it is thickest, in (0, 1) from start to end.
    """
    a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = b - a
    side = np.array([-along[1], along[0]])
    middle = (a + b) / 2 + 2 * curl * side
    t = np.linspace(0, 1, 16)
    half = np.sin(np.pi * t ** (np.log(0.5) / np.log(fullest))) * width / 2
    line = bend(start, (float(middle[0]), float(middle[1])), end, steps=16)
    offset = half[:, None] * side / max(float(np.linalg.norm(side)), 1e-9)
    return np.concatenate([line + offset, (line - offset)[::-1]])


def scalloped(
    centre: Point, radii: Point, bumps: int, depth: float, *, start: float = 0.0
) -> Points:
    """Return an oval edged with round bumps; depth is how deep the notches are, in (0, 1)."""
    angle = np.linspace(0, 2 * np.pi, bumps * 10, endpoint=False)
    scale = 1 - depth * (1 - np.abs(np.sin(bumps * angle / 2)))
    turned = angle + np.radians(start)
    x, y = scale * radii[0] * np.cos(turned), scale * radii[1] * np.sin(turned)
    return np.stack([centre[0] + x, centre[1] + y], 1)


def star_outline(centre: Point, radius: float, tips: int, inner: float) -> Points:
    """Return a star with one tip up; inner is the notch radius in parts of the radius."""
    angle = np.pi * np.arange(2 * tips) / tips - np.pi / 2
    reach = radius * np.where(np.arange(2 * tips) % 2 == 0, 1.0, inner)
    return np.stack([centre[0] + reach * np.cos(angle), centre[1] + reach * np.sin(angle)], 1)


def discs(middles: Points, radii: Points, lift: Points, *, base: float | None = None) -> Points:
    """Return the outline around overlapping discs side by side that stand on y = 0.7.

    Args:
        middles: (N,) x of the discs, ascending.
        radii: (N,) radii; neighbours must overlap.
        lift: (N,) how far each is raised; the outline stays closed below it.
        base: y of a straight lower edge between the outer discs; None follows the discs.
    """
    left, right = float((middles - radii).min()), float((middles + radii).max())
    x = np.linspace(left + 1e-6, right - 1e-6, 90)
    away = x[:, None] - middles
    half = np.where(np.abs(away) < radii, np.sqrt(np.maximum(radii**2 - away**2, 0)), -radii)
    top, bottom = (0.7 - radii - lift - half).min(1), (0.7 - radii + half).max(1)
    if base is not None:
        bottom = np.where((x >= middles[0]) & (x <= middles[-1]), base, bottom)
    return np.concatenate([np.stack([x, top], 1), np.stack([x, bottom], 1)[::-1]])


def mirror(points: Sequence[Point] | Points, x: float = 0.5) -> Points:
    """Return the points reflected in a vertical line."""
    reflected: Points = np.asarray(points, np.float64) * [-1, 1] + [2 * x, 0]
    return reflected


def polar(centre: Point, reach: float, degrees: float) -> Point:
    """Return the point at a distance, clockwise degrees from the right of the centre."""
    t = np.radians(degrees)
    return centre[0] + reach * float(np.cos(t)), centre[1] + reach * float(np.sin(t))


def eased(points: Sequence[Point] | Points) -> Points:
    """Round the corners of a closed polygon, but keep the straight middle of each side."""
    outline = np.asarray(points, np.float64)
    thirds = outline + (np.roll(outline, -1, axis=0) - outline) / 3
    return smooth(np.stack([outline, thirds, 2 * thirds - outline], 1).reshape(-1, 2))


def eye(pen: Pen, centre: Point, radius: float) -> None:
    """Draw a white eye with a dark pupil."""
    pen.ellipse(centre, (radius, radius), WHITE)
    pen.ellipse(centre, (0.55 * radius, 0.55 * radius), DARK)


def ink(pen: Pen) -> Color:
    """Return a colour for lines that shows up on the body."""
    return DARK if sum(pen.body) > 250 else WHITE


def tint(pen: Pen) -> Color:
    """Return a lighter shade of the body, or a darker one where the body is almost white."""
    return darker(pen.body, 1.6) if min(pen.body) < 200 else darker(pen.body, 0.85)


def shadow(pen: Pen) -> Color:
    """Return a darker shade of the body, or a lighter one where the body is almost black."""
    return darker(pen.body, 0.72) if sum(pen.body) > 200 else darker(pen.body, 1.4)


def profile(
    pen: Pen, levels: Sequence[Point], color: Color | None = None, *, middle: float = 0.5
) -> None:
    """Fill a shape mirrored about a vertical line, given (y, half width) from top to bottom."""
    right = [(middle + half, y) for y, half in levels]
    left = [(middle - half, y) for y, half in reversed(levels)]
    pen.polygon(right + left, color)
