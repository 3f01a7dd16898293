"""Food: apple, banana, ice cream and carrot, each in a few designs."""

from __future__ import annotations

import numpy as np

from grounded_ram.scenes.pen import DARK, WOOD, Color, Pen, Point, Points, darker
from grounded_ram.scenes.turning import turn_parts

LEAF: Color = (84, 156, 70)
CREAM: Color = (250, 240, 210)
WAFER: Color = (222, 170, 100)


def apple(pen: Pen) -> None:
    """Draw an apple with stem and leaf, whole or bitten."""
    wide, tall = pen.uniform(0.44, 0.52), pen.uniform(0.38, 0.46)
    dip, lean = pen.uniform(0.06, 0.12), pen.uniform(-0.1, 0.1)
    stem: Point = (0.5 + lean, pen.uniform(0.0, 0.06))
    if pen.chance(0.75):
        side = pen.choice((-1, 1))
        reach = pen.uniform(0.1, 0.15)
        rise = pen.uniform(0, 35)
        x, y = np.cos(np.radians(rise)) * reach * 0.9, np.sin(np.radians(rise)) * reach * 0.9
        pen.ellipse((0.5 + lean * 0.4 + side * x, 0.18 - y), (reach, 0.06), LEAF, turn=-side * rise)
    middle = 0.6
    half = [
        (0.0, middle - tall + dip),
        (0.16, middle - tall - 0.02),
        (wide * 0.85, middle - tall + 0.04),
    ]
    half += [(wide + 0.03, middle - 0.04), (wide * 0.82, middle + tall * 0.7)]
    half += [(0.2, middle + tall + 0.02), (0.0, middle + tall - pen.uniform(0.02, 0.08))]
    right = [(0.5 + x, y) for x, y in half]
    left = [(0.5 - x, y) for x, y in reversed(half[1:-1])]
    pen.blob([*right, *left])
    pen.stroke([(0.5, middle - tall + dip + 0.04), (0.5 + lean * 0.4, 0.18), stem], 0.06, WOOD)
    if pen.chance(0.25):
        _bite(pen, pen.choice((-1, 1)), wide)
    elif pen.chance(0.5):
        side = pen.choice((-1, 1))
        pen.ellipse((0.5 + side * 0.26, 0.45), (0.05, 0.1), darker(pen.body, 1.8), turn=20)
    if pen.chance(0.15):
        hole = (0.5 + pen.uniform(-0.15, 0.15), pen.uniform(0.6, 0.72))
        pen.ellipse(hole, (0.06, 0.06), DARK)


def _bite(pen: Pen, side: int, wide: float) -> None:
    x = 0.5 + side * wide * 0.88
    for dx, dy, radius in ((0.0, -0.1, 0.11), (-0.03, 0.02, 0.12), (0.0, 0.13, 0.1)):
        pen.ellipse((x + side * dx, 0.58 + dy), (radius, radius), CREAM)


def banana(pen: Pen) -> None:
    """Draw a banana: one, a bunch hanging from one stem, or one half peeled."""
    kind = pen.integer(0, 3)
    if kind == 0:
        _peeled_banana(pen)
        return
    count = 1 if kind < 3 else pen.integer(2, 3)
    fat, bend = pen.uniform(0.085, 0.115), pen.uniform(0.24, 0.38)
    if count > 1:
        fat *= 0.78
    for i in reversed(range(count)):
        color = None if i == 0 else darker(pen.body, 0.85) if i == 1 else None
        _crescent(pen, bend + 0.21 * i, fat, color)
    if count > 1:
        pen.ellipse((0.02, 0.3), (0.07, 0.06), darker(pen.body, 0.5))
    turn_parts(pen, pen.uniform(-70, 70))


def _spine(bend: float) -> Points:
    """Return points along the middle of a banana that sags by bend, from stem to tip."""
    t = np.linspace(0, 1, 24)
    return np.stack([t, 0.32 + bend * 4 * t * (1 - t)], 1)


def _crescent(pen: Pen, bend: float, fat: float, color: Color | None) -> None:
    spine = _spine(bend)
    along = np.gradient(spine, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    t = np.linspace(0, 1, len(spine))
    width = (0.035 + (fat - 0.035) * np.clip(np.sin(np.pi * t) * 1.5, 0, 1))[:, None]
    pen.polygon(np.concatenate([spine + normal * width, (spine - normal * width)[::-1]]), color)
    if pen.chance(0.5) and color is None:
        pen.stroke(spine[4:-4:3] + normal[4:-4:3] * 0.02, 0.04, darker(pen.body, 0.8))
    tip = darker(pen.body, 0.4)
    pen.stroke([tuple(spine[0]), (spine[0, 0] - 0.03, spine[0, 1] - 0.09)], 0.07, tip)
    pen.ellipse((spine[-1, 0], spine[-1, 1]), (0.04, 0.04), tip)


def _peeled_banana(pen: Pen) -> None:
    bow = pen.uniform(-0.08, 0.08)
    top = pen.uniform(0.1, 0.2)
    pen.stroke([(0.5 + bow, top), (0.5 + bow / 3, 0.3), (0.5, 0.5)], 0.17, CREAM)
    base = (0.5 + bow, 0.97)
    pen.blob(
        [
            (0.38, 0.4),
            (0.62, 0.4),
            (0.64, 0.65),
            (base[0] + 0.06, 1),
            (base[0] - 0.06, 1),
            (0.36, 0.65),
        ]
    )
    for side in (-1, 1):
        reach, drop = pen.uniform(0.3, 0.42), pen.uniform(0.62, 0.8)
        flap = [(0.5, 0.42), (0.5 + side * 0.16, 0.36), (0.5 + side * reach, 0.46)]
        flap += [(0.5 + side * (reach + 0.04), drop), (0.5 + side * (reach - 0.08), drop - 0.08)]
        pen.blob([*flap, (0.5 + side * 0.16, 0.58), (0.5, 0.66)])
    if pen.chance(0.6):
        pen.blob(
            [(0.4, 0.4), (0.6, 0.4), (0.58, 0.66), (0.5, 0.78), (0.42, 0.66)],
            darker(pen.body, 0.85),
        )
    pen.stroke([(base[0], 0.95), (base[0] + 0.01, 1.0)], 0.07, darker(pen.body, 0.4))


def ice_cream(pen: Pen) -> None:
    """Draw an ice cream: scoops or a swirl in a cone, a bar on a stick, or scoops in a bowl."""
    pen.choice((_scoop_cone, _scoop_cone, _swirl_cone, _ice_bar))(pen)


def _cone(pen: Pen, top: float, half: float) -> None:
    tip = pen.uniform(0.92, 1.0)
    if pen.chance(0.85):
        pen.polygon([(0.5 - half, top), (0.5 + half, top), (0.5, tip)], WAFER)
        low = [(0.5 - half * 0.2, tip - 0.17), (0.5 + half * 0.55, top + 0.04)]
        pen.stroke(low, 0.04, darker(WAFER, 0.8))
        pen.stroke([(1 - x, y) for x, y in low], 0.04, darker(WAFER, 0.8))
    else:
        base = half * 0.45
        pen.polygon(
            [(0.5 - half, top), (0.5 + half, top), (0.5 + base, 0.9), (0.5 - base, 0.9)], WAFER
        )
        pen.rectangle((0.48 - half, top - 0.02), (0.52 + half, top + 0.09), darker(WAFER, 0.9))


def _scoop_cone(pen: Pen) -> None:
    count = pen.integer(1, 3)
    radius = {1: 0.3, 2: 0.23, 3: 0.19}[count] * pen.uniform(0.92, 1.08)
    low = 0.6 - radius * 0.6
    _cone(pen, 0.58, radius * 0.85)
    side_by_side = count == 3 and pen.chance(0.5)
    centres = [(0.5, low - i * radius * 1.25) for i in range(count)]
    if side_by_side:
        centres = [
            (0.5 - radius * 0.75, low),
            (0.5 + radius * 0.75, low),
            (0.5, low - radius * 1.1),
        ]
    for i, (x, y) in enumerate(centres):
        shade = darker(pen.body, 0.8) if i == 1 and pen.chance(0.5) else None
        pen.ellipse((x, y), (radius, radius), shade)
        if not side_by_side:
            for dx in (-0.62, 0.0, 0.62):
                pen.ellipse(
                    (x + dx * radius, y + radius * 0.72), (radius * 0.4, radius * 0.26), shade
                )
    x, y = centres[-1]
    if pen.chance(0.4):
        pen.ellipse((x, y - radius - 0.02), (0.055, 0.055), (200, 40, 60))
    elif pen.chance(0.5):
        for dx, dy in ((-0.4, -0.3), (0.1, -0.55), (0.4, 0.0), (-0.1, 0.1)):
            pen.ellipse((x + dx * radius, y + dy * radius), (0.025, 0.025), pen.accent)


def _swirl_cone(pen: Pen) -> None:
    half = pen.uniform(0.22, 0.28)
    _cone(pen, 0.6, half * 0.85)
    layers = pen.integer(3, 4)
    step = 0.4 / layers
    for i in range(layers):
        size = half * (1.1 - 0.8 * i / layers)
        color = None if i % 2 == 0 else darker(pen.body, 0.85)
        turn = pen.uniform(-12, -4)
        pen.ellipse((0.5, 0.54 - i * step), (size, step * 0.85), color, turn=turn)
    top = 0.54 - (layers - 1) * step
    pen.blob([(0.5 - half * 0.4, top), (0.52, top - 0.26), (0.5 + half * 0.4, top)])
    if pen.chance(0.35):
        pen.stroke([(0.6, 0.36), (0.74, 0.1)], 0.06, WOOD)


def _ice_bar(pen: Pen) -> None:
    half, bottom = pen.uniform(0.17, 0.24), pen.uniform(0.7, 0.76)
    pen.rectangle((0.45, bottom - 0.05), (0.55, 1.0), WAFER, corner=0.05)
    pen.rectangle((0.5 - half, 0.02), (0.5 + half, bottom), corner=half)
    pen.rectangle((0.5 - half, 0.4), (0.5 + half, bottom), corner=0.05)
    if pen.chance(0.6):
        for x in (0.5 - half * 0.4, 0.5 + half * 0.4):
            pen.stroke([(x, 0.2), (x, bottom - 0.16)], 0.05, darker(pen.body, 0.75))
    elif pen.chance(0.7):
        pen.pie((0.5 + half, 0.06), (half * 1.1, 0.2), (90, 180), CREAM)
    if pen.chance(0.3):
        turn_parts(pen, pen.choice((-1, 1)) * pen.uniform(15, 45))


def carrot(pen: Pen) -> None:
    """Draw a carrot, long or stubby, with a tuft of leaves, at any slant."""
    half, top = pen.uniform(0.1, 0.2), pen.uniform(0.28, 0.38)
    _carrot_leaves(pen, top)
    bow = pen.uniform(-0.05, 0.05)
    blunt = pen.uniform(0.02, 0.05) if half < 0.15 or pen.chance(0.6) else 0.08
    right = [(0.5 + half * 0.55, top - 0.04), (0.5 + half * 1.1, top + 0.03)]
    right += [
        (0.5 + half * 0.9, top + 0.22),
        (0.5 + bow + half * 0.55, 0.72),
        (0.5 + bow + blunt, 1.0),
    ]
    left = [(0.5 - half * 0.55, top - 0.04), (0.5 - half * 1.1, top + 0.03)]
    left += [
        (0.5 - half * 0.9, top + 0.22),
        (0.5 + bow - half * 0.55, 0.72),
        (0.5 + bow - blunt, 1.0),
    ]
    pen.blob([*right, *reversed(left)])
    for i in range(pen.integer(1, 4)):
        y = top + 0.12 + 0.12 * i
        edge = half * (0.95 - 0.25 * i * 0.8)
        side = 1 if i % 2 else -1
        x = 0.5 + bow * 0.3 * i
        reach = edge * pen.uniform(0.5, 0.9)
        pen.stroke(
            [(x + side * edge * 0.8, y), (x + side * (edge - reach), y + 0.015)],
            0.04,
            darker(pen.body, 0.7),
        )
    turn_parts(pen, pen.uniform(-110, 110))


def _carrot_leaves(pen: Pen, top: float) -> None:
    count = pen.integer(2, 5)
    length, spread = pen.uniform(0.2, 0.34), pen.uniform(20, 40)
    feathery = pen.chance(0.4)
    for degrees in np.linspace(-spread, spread, count):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        reach = length * pen.uniform(0.8, 1.1)
        tip = (0.5 + s * reach, top - c * reach)
        if feathery:
            pen.stroke([(0.5, top + 0.02), tip], 0.05, LEAF)
            for part in (0.55, 0.8, 1.0):
                pen.ellipse((0.5 + s * reach * part, top - c * reach * part), (0.05, 0.04), LEAF)
        else:
            middle = ((0.5 + tip[0]) / 2, (top + tip[1]) / 2)
            pen.ellipse(
                middle,
                (0.055, reach * 0.6),
                darker(LEAF, pen.uniform(0.8, 1.0)),
                turn=float(degrees),
            )
