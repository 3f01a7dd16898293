"""Shapes and shades that several objects of the scenes share."""

from __future__ import annotations

from collections.abc import Sequence

from grounded_ram.scenes.pen import DARK, WHITE, Color, Pen, Point, darker


def profile(
    pen: Pen, levels: Sequence[Point], color: Color | None = None, *, middle: float = 0.5
) -> None:
    """Fill a shape mirrored about a vertical line, given (y, half width) from top to bottom."""
    right = [(middle + half, y) for y, half in levels]
    left = [(middle - half, y) for y, half in reversed(levels)]
    pen.polygon(right + left, color)


def ink(pen: Pen) -> Color:
    """Return a colour for marks that shows up on the body."""
    r, g, b = pen.body
    return DARK if 0.3 * r + 0.6 * g + 0.1 * b > 110 else WHITE


def tint(pen: Pen) -> Color:
    """Return a lighter shade of the body, or a darker one where the body is almost white."""
    return darker(pen.body, 1.6) if min(pen.body) < 200 else darker(pen.body, 0.8)


def shadow(pen: Pen) -> Color:
    """Return a darker shade of the body, or a lighter one where the body is almost black."""
    return darker(pen.body, 0.68) if sum(pen.body) > 200 else darker(pen.body, 1.35)
