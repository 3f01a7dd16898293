"""Things to play with: ball, balloon and guitar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grounded_ram.scenes.outlines import ink, shadow, tint
from grounded_ram.scenes.pen import DARK, METAL, WHITE, WOOD, Color, Pen, Points, arc, rotate
from grounded_ram.scenes.turning import turn_parts

_RIGHT = {
    "horns": ((0.05, 0.58), (0.09, 0.54), (0.16, 0.45), (0.2, 0.54), (0.16, 0.7), (0.25, 0.86)),
    "cut": ((0.05, 0.56), (0.1, 0.57), (0.18, 0.5), (0.22, 0.56), (0.15, 0.7), (0.27, 0.86)),
    "wings": ((0.06, 0.5), (0.12, 0.55), (0.34, 0.98), (0.19, 1.02), (0.0, 0.82)),
}
_LEFT = {
    "horns": ((-0.05, 0.56), (-0.09, 0.5), (-0.18, 0.4), (-0.22, 0.48), (-0.17, 0.68)),
    "cut": ((-0.05, 0.46), (-0.17, 0.45), (-0.21, 0.56), (-0.15, 0.68)),
    "wings": ((-0.06, 0.5), (-0.12, 0.55), (-0.34, 0.98), (-0.19, 1.02)),
}
_FOOT = {
    "horns": ((0.16, 1.0), (-0.16, 1.0), (-0.26, 0.88)),
    "cut": ((0.16, 1.0), (-0.16, 1.0), (-0.27, 0.86)),
    "wings": (),
}
_SOLID_BODIES = {
    kind: (*right, *_FOOT[kind], *reversed(_LEFT[kind])) for kind, right in _RIGHT.items()
}

Design = Callable[[Pen], None]


def ball(pen: Pen) -> None:
    """Draw a beach ball, a football, a basketball, a tennis ball or a toy ball."""
    designs: tuple[Design, ...] = (
        _beach_ball,
        _beach_ball,
        _football,
        _basketball,
        _tennis_ball,
        _toy_ball,
    )
    pen.ellipse((0.5, 0.5), (0.45, 0.45))
    pen.choice(designs)(pen)


def balloon(pen: Pen) -> None:
    """Draw a balloon, round, long or a heart, with a knot and a string."""
    color = pen.choice((DARK, WHITE, shadow(pen), None))
    knot = 0.66
    length, sway = pen.uniform(0.2, 0.45), pen.uniform(-0.06, 0.06)
    t = np.linspace(0, 1, 10)
    swing = sway * np.sin(t * np.pi * pen.choice((1.0, 2.0, 2.0, 3.0)))
    string = np.stack([0.5 + swing + pen.uniform(-0.08, 0.08) * t, knot + 0.02 + length * t], 1)
    pen.stroke(string, 0.045, color)
    pen.polygon([(0.5, knot - 0.06), (0.56, knot + 0.035), (0.44, knot + 0.035)], shadow(pen))
    if pen.chance(0.2):
        pen.polygon(_heart(pen.uniform(0.85, 1.1)))
    else:
        pen.polygon(_teardrop(pen.uniform(0.24, 0.33), pen.uniform(0.3, 0.95)))
    shine = pen.choice(("spot", "streak", "none"))
    if shine == "spot":
        pen.ellipse((0.4, 0.22), (0.06, 0.085), tint(pen), turn=25)
    elif shine == "streak":
        pen.stroke(arc((0.5, 0.3), (0.19, 0.2), 190, 240, steps=6), 0.05, tint(pen))
    if shine != "streak" and pen.chance(0.2):
        y = 0.33
        for way in (-1, 1):
            pen.ellipse((0.5 + way * 0.08, y - 0.06), (0.03, 0.04), ink(pen))
        pen.stroke(arc((0.5, y), (0.1, 0.09), 30, 150, steps=8), 0.04, ink(pen))


def _teardrop(half: float, point: float) -> Points:
    """Return a round outline from y 0.04 to 0.63 that narrows downwards, more with point."""
    t = np.linspace(0, 2 * np.pi, 40)
    drop = np.clip(np.cos(t), -1, 1)
    narrow = 1 - 0.22 * point * (1 - drop) ** 2 / 2
    return np.stack([0.5 + half * np.sin(t) * narrow, 0.335 - 0.295 * drop], 1)


def _heart(scale: float) -> Points:
    """Return a heart whose tip is at y 0.64."""
    t = np.linspace(0, 2 * np.pi, 48)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([0.5 + 0.02 * scale * x, 0.64 - 0.02 * scale * (y + 17)], 1)


def _meridian(bulge: float, turn: float) -> Points:
    """Return the half ellipse from pole to pole of the ball, bulge times as wide, turned."""
    t = np.linspace(-np.pi / 2, np.pi / 2, 18)
    line = np.stack([0.5 + 0.44 * bulge * np.cos(t), 0.5 + 0.44 * np.sin(t)], 1)
    return rotate(line, (0.5, 0.5), turn)


def _gloss(pen: Pen) -> None:
    """Draw the light on a ball."""
    if pen.chance(0.5):
        pen.ellipse((0.34, 0.28), (0.08, 0.055), tint(pen), turn=-40)


def _beach_ball(pen: Pen) -> None:
    """Paint gores that meet at a pole, on the rim or turned towards us."""
    other, turn = pen.choice((WHITE, pen.accent, tint(pen))), pen.uniform(0, 180)
    if pen.chance(0.5):
        edges = pen.choice(((-0.75, -0.3, 0.3, 0.75), (-0.35, 0.35), (-0.9, -0.5, 0.0, 0.5)))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            gore = np.concatenate([_meridian(a, turn), _meridian(b, turn)[::-1]])
            pen.polygon(gore, other)
        return
    pole = (pen.uniform(0.38, 0.62), pen.uniform(0.36, 0.55))
    count, share = pen.integer(2, 4), pen.uniform(0.3, 0.42)
    for k in range(count):
        start = turn + 360 * k / count
        rim = arc((0.5, 0.5), (0.45, 0.45), start, start + 360 * share / count)
        pen.polygon(np.concatenate([[pole], rim]), other)
    pen.ellipse(pole, (0.07, 0.07), pen.choice((other, None)))


def _football(pen: Pen) -> None:
    """Paint a pentagon in the middle, seams and the pentagons cut by the rim."""
    mark, turn = ink(pen), pen.uniform(0, 72)
    size = pen.uniform(0.13, 0.17)
    for k in range(5):
        a = turn + 72 * k
        near = arc((0.5, 0.5), (size, size), a, a, steps=1)[0]
        far = arc((0.5, 0.5), (0.36, 0.36), a, a, steps=1)[0]
        pen.stroke(np.array([near, far]), 0.04, mark)
        rim = arc((0.5, 0.5), (0.448, 0.448), a - 17, a + 17, steps=8)
        pen.polygon(np.concatenate([rim, [far + 0.05 * (far - 0.5)]]), mark)
    pen.polygon(arc((0.5, 0.5), (size, size), turn, turn + 288, steps=5), mark)


def _basketball(pen: Pen) -> None:
    """Paint a cross of seams and two arcs."""
    mark, turn, width = ink(pen), pen.uniform(0, 90), pen.uniform(0.04, 0.05)
    bulge = pen.uniform(0.4, 0.6)
    for bend, extra in ((0.02, 0), (0.02, 90), (bulge, 0), (-bulge, 0)):
        pen.stroke(_meridian(bend, turn + extra), width, mark)


def _tennis_ball(pen: Pen) -> None:
    """Paint two seams that curve away from each other."""
    color, turn, width = pen.choice((WHITE, pen.accent, ink(pen))), pen.uniform(0, 180), 0.055
    for way in (-1, 1):
        seam = arc((0.5 + way * 0.52, 0.5), (0.36, 0.36), -55, 55, steps=14)
        if way == 1:
            seam = arc((1.02, 0.5), (0.36, 0.36), 125, 235, steps=14)
        inside = np.hypot(seam[:, 0] - 0.5, seam[:, 1] - 0.5) < 0.43
        pen.stroke(rotate(seam[inside], (0.5, 0.5), turn), width, color)
    _gloss(pen)


def _toy_ball(pen: Pen) -> None:
    """Paint a belt or a star, or only the light."""
    kind, turn = pen.choice(("belt", "star", "light")), pen.uniform(-40, 40)
    color = pen.choice((pen.accent, WHITE, ink(pen)))
    if kind == "belt":
        half = pen.uniform(9, 15)
        belt = [arc((0.5, 0.5), (0.45, 0.45), a - half, a + half) for a in (turn, turn + 180)]
        pen.polygon(np.concatenate(belt), color)
    elif kind == "star":
        outer = arc((0.5, 0.5), (0.25, 0.25), turn, turn + 288, steps=5)
        inner = arc((0.5, 0.5), (0.12, 0.12), turn + 36, turn + 324, steps=5)
        pen.polygon(np.stack([outer, inner], 1).reshape(-1, 2), color)
    _gloss(pen)
    if kind == "light":
        pen.ellipse((0.34, 0.28), (0.09, 0.06), tint(pen), turn=-40)
        pen.stroke(arc((0.5, 0.5), (0.34, 0.34), 20, 75, steps=8), 0.05, shadow(pen))


def guitar(pen: Pen) -> None:
    """Draw a guitar, acoustic or electric, upright or leaning."""
    (_acoustic if pen.chance(0.55) else _electric)(pen)
    turn_parts(pen, pen.choice((0.0, 0.0, 35.0, -35.0, 80.0)))


def _neck(pen: Pen, end: float) -> None:
    """Draw the head with its pegs and the fingerboard, from the top down to an end on the belly."""
    board: Color = pen.choice((WOOD, DARK, (96, 62, 40)))
    top, half, wide = pen.uniform(0.08, 0.2), pen.uniform(0.03, 0.042), pen.uniform(0.05, 0.065)
    for k in range(pen.integer(2, 3)):
        y = top - 0.09 + 0.055 * k
        pen.stroke([(0.5 - 0.085, y), (0.5 + 0.085, y)], 0.04, METAL)
    head = [(0.5 - half, top + 0.05), (0.5 - wide, top - 0.12), (0.5 + wide, top - 0.12)]
    pen.polygon([*head, (0.5 + half, top + 0.05)], pen.choice((None, board)))
    pen.rectangle((0.5 - half, top + 0.02), (0.5 + half, end), board)


def _acoustic(pen: Pen) -> None:
    """Draw a waisted belly with a round hole and a bridge."""
    shoulder, waist = pen.uniform(0.16, 0.2), pen.uniform(0.11, 0.15)
    hip, top = pen.uniform(0.21, 0.27), pen.uniform(0.42, 0.5)
    tall = 0.98 - top
    halves = (0.0, 0.1, shoulder, shoulder, waist, hip * 0.94, hip, hip * 0.75, 0.0)
    levels = [top + tall * s for s in (0.0, 0.0, 0.06, 0.26, 0.42, 0.6, 0.8, 1.0, 1.02)]
    left = [(0.5 - x, y) for x, y in zip(halves, levels, strict=True)][1:-1]
    right = [(0.5 + x, y) for x, y in zip(halves, levels, strict=True)]
    if pen.chance(0.3):
        right[1:4] = [
            (0.54, levels[2]),
            (0.55, levels[3] - 0.06),
            (0.5 + shoulder, levels[3] - 0.07),
        ]
    pen.blob(right + left[::-1])
    hole, dark = top + tall * 0.45, (DARK if sum(pen.body) > 200 else METAL)
    size = pen.uniform(0.07, 0.09)
    if pen.chance(0.5):
        pen.ellipse((0.5, hole), (size + 0.025, size + 0.025), pen.accent)
    pen.ellipse((0.5, hole), (size, size), dark)
    _neck(pen, hole - size * 0.6)
    bridge = top + tall * 0.78
    pen.rectangle((0.5 - 0.1, bridge - 0.025), (0.5 + 0.1, bridge + 0.025), dark, corner=0.02)
    if pen.chance(0.5):
        pen.stroke([(0.5, 0.2), (0.5, bridge)], 0.02, tint(pen))


def _electric(pen: Pen) -> None:
    """Draw a solid body with horns, one cut or wings, with pickups and a bridge."""
    kind, wide = pen.choice(("horns", "horns", "cut", "wings")), pen.uniform(0.9, 1.15)
    points = [(0.5 + wide * x, y) for x, y in _SOLID_BODIES[kind]]
    (pen.polygon if kind == "wings" else pen.blob)(points)
    if kind != "wings" and pen.chance(0.5):
        guard = pen.choice((WHITE, pen.accent, shadow(pen)))
        pen.blob([(0.46, 0.6), (0.62, 0.6), (0.6, 0.72), (0.65, 0.88), (0.52, 0.86)], guard)
    _neck(pen, 0.62)
    mark = ink(pen)
    low = 0.76 if kind == "wings" else 0.88
    for y in np.linspace(0.67, low, pen.integer(2, 3)):
        pen.rectangle((0.43, float(y) - 0.022), (0.57, float(y) + 0.022), mark)
    if kind != "wings":
        for k in range(pen.integer(0, 2)):
            pen.ellipse((0.63, 0.84 + 0.07 * k), (0.025, 0.025), pen.choice((METAL, mark)))
