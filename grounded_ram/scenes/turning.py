"""Turn what a pen has drawn so far, for things seen at any slant (a rocket, a carrot)."""

from __future__ import annotations

from dataclasses import replace

from grounded_ram.scenes.pen import Pen, rotate


def turn_parts(pen: Pen, degrees: float) -> None:
    """Turn every part drawn so far clockwise around the middle of the unit square."""
    pen.parts[:] = [
        replace(part, outlines=tuple(rotate(line, (0.5, 0.5), degrees) for line in part.outlines))
        for part in pen.parts
    ]
