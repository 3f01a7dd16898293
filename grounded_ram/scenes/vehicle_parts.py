"""Parts that several vehicles share."""

from __future__ import annotations

from grounded_ram.scenes.pen import DARK, GLASS, METAL, Color, Pen, Point, darker

LAMP: Color = (255, 232, 130)


def wheel(pen: Pen, centre: Point, radius: float) -> None:
    """Draw a dark tyre around a hub."""
    pen.ellipse(centre, (radius, radius), DARK)
    hub = radius * pen.uniform(0.35, 0.55)
    pen.ellipse(centre, (hub, hub), darker(pen.body, 0.85) if pen.chance(0.4) else METAL)


def windows(pen: Pen, low: Point, high: Point, count: int, *, color: Color = GLASS) -> None:
    """Draw a row of windows between two corners."""
    pitch = (high[0] - low[0]) / count
    for i in range(count):
        left = low[0] + i * pitch
        pen.rectangle((left, low[1]), (left + 0.74 * pitch, high[1]), color, corner=0.02)
