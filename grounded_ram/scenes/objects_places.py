"""Buildings: house and castle, each in a few designs."""

from __future__ import annotations

import numpy as np

from grounded_ram.scenes.pen import DARK, GLASS, WHITE, WOOD, Color, Pen, Point, arc, darker

ROOFS: tuple[Color, ...] = ((170, 70, 55), (120, 75, 55), (90, 95, 110), (70, 60, 65))
LIT: Color = (255, 226, 120)


def house(pen: Pen) -> None:
    """Draw a house: gable in front, eaves in front, flat modern, tall town house or round hut."""
    pen.choice((_gable_house, _gable_house, _eaves_house, _flat_house, _town_house, _hut))(pen)


def castle(pen: Pen) -> None:
    """Draw a castle: wall between two towers, a keep with turrets, or one stout tower."""
    pen.choice((_walled_castle, _walled_castle, _keep, _tower))(pen)


def _roof_color(pen: Pen) -> Color:
    return darker(pen.body, 0.6) if pen.chance(0.5) else pen.choice(ROOFS)


def _window(pen: Pen, centre: Point, size: float) -> None:
    x, y = centre
    glass = LIT if pen.chance(0.3) else GLASS
    pen.rectangle((x - size - 0.02, y - size - 0.02), (x + size + 0.02, y + size + 0.02), WHITE)
    pen.rectangle((x - size, y - size), (x + size, y + size), glass)
    pen.rectangle((x - 0.012, y - size), (x + 0.012, y + size), WHITE)


def _door(pen: Pen, centre: float, half: float, *, top: float, bottom: float) -> None:
    color = pen.choice((WOOD, WOOD, pen.accent, DARK))
    if pen.chance(0.4):
        pen.ellipse((centre, top + half * 0.4), (half, half), color)
    pen.rectangle((centre - half, top), (centre + half, bottom), color)
    pen.ellipse((centre + half * 0.5, (top + bottom) / 2), (0.016, 0.016), LIT)


def _chimney(pen: Pen, x: float, top: float, bottom: float) -> None:
    pen.rectangle((x - 0.05, top), (x + 0.05, bottom), darker(pen.body, 0.75))
    pen.rectangle((x - 0.065, top - 0.03), (x + 0.065, top + 0.02), DARK)


def _gable_house(pen: Pen) -> None:
    eave, peak = pen.uniform(0.4, 0.5), pen.uniform(0.02, 0.16)
    left, right = pen.uniform(0.08, 0.14), pen.uniform(0.86, 0.92)
    ridge = 0.5 + (pen.uniform(-0.12, 0.12) if pen.chance(0.2) else 0.0)
    if pen.chance(0.6):
        _chimney(pen, pen.choice((0.26, 0.74)), peak + 0.04, eave)
    roof, overhang = _roof_color(pen), pen.uniform(0.02, 0.08)
    if pen.chance(0.5):
        pen.polygon([(left, eave), (ridge, peak + 0.03), (right, eave), (right, 1), (left, 1)])
        ends = (left - overhang, eave + 0.05), (right + overhang, eave + 0.05)
        pen.stroke([ends[0], (ridge, peak), ends[1]], pen.uniform(0.07, 0.1), roof)
    else:
        pen.rectangle((left, eave - 0.02), (right, 1))
        pen.polygon([(left - overhang, eave), (ridge, peak), (right + overhang, eave)], roof)
    if pen.chance(0.5):
        pen.ellipse((ridge, (peak + eave) / 2 + 0.06), (0.065, 0.065), GLASS)
    door = pen.choice((0.5, 0.3, 0.7))
    _door(pen, door, pen.uniform(0.07, 0.1), top=pen.uniform(0.68, 0.74), bottom=1)
    for x in (0.27, 0.5, 0.73):
        if abs(x - door) > 0.22:
            _window(pen, (x, pen.uniform(0.62, 0.68)), pen.uniform(0.055, 0.075))


def _eaves_house(pen: Pen) -> None:
    top, eave, floor = pen.uniform(0.16, 0.24), pen.uniform(0.42, 0.46), pen.uniform(0.86, 0.96)
    _chimney(pen, pen.uniform(0.2, 0.8), top - 0.1, eave)
    slope = pen.uniform(0.05, 0.22)
    pen.rectangle((0.06, eave - 0.02), (0.94, floor))
    pen.polygon([(slope, top), (1 - slope, top), (1, eave), (0, eave)], _roof_color(pen))
    if pen.chance(0.35):
        x = pen.uniform(0.35, 0.65)
        pen.polygon([(x - 0.14, eave + 0.02), (x, top + 0.02), (x + 0.14, eave + 0.02)])
        pen.ellipse((x, eave - 0.05), (0.045, 0.045), GLASS)
    door = pen.choice((0.2, 0.5, 0.8))
    _door(pen, door, pen.uniform(0.06, 0.08), top=pen.uniform(0.62, 0.66), bottom=floor)
    for x in (0.2, 0.5, 0.8):
        if x != door and pen.chance(0.9):
            _window(pen, (x, 0.62), pen.uniform(0.06, 0.085))


def _flat_house(pen: Pen) -> None:
    step = pen.uniform(0.3, 0.6)
    flipped = pen.chance(0.5)
    low, high = pen.uniform(0.42, 0.5), pen.uniform(0.1, 0.2)
    left, right = (1 - step - 0.05, 0.96) if flipped else (0.04, step + 0.05)
    slab = _roof_color(pen)
    pen.rectangle((left, high), (right, 1))
    pen.rectangle((0.04, low), (0.96, 1))
    pen.rectangle((0.0, low - 0.03), (1.0, low + 0.04), slab)
    pen.rectangle((left - 0.04, high - 0.04), (right + 0.04, high + 0.03), slab)
    middle = (left + right) / 2
    _window(pen, (middle, (high + low) / 2), min(0.09, (low - high) / 2 - 0.06))
    door = pen.choice((0.25, 0.75))
    _door(pen, door, 0.075, top=0.68, bottom=1)
    other = 1 - door
    pen.rectangle((other - 0.16, 0.62), (other + 0.14, 0.8), WHITE)
    pen.rectangle((other - 0.14, 0.64), (other + 0.12, 0.78), GLASS)


def _town_house(pen: Pen) -> None:
    left, right = 0.22, 0.78
    eave, floors = pen.uniform(0.24, 0.3), pen.integer(2, 3)
    pen.rectangle((left, eave - 0.02), (right, 1))
    kind = pen.integer(0, 1)
    roof = _roof_color(pen)
    if kind == 0:
        pen.polygon(
            [(left - 0.06, eave), (0.5, pen.uniform(0.0, 0.08)), (right + 0.06, eave)], roof
        )
    else:
        pen.polygon(
            [(left - 0.05, eave), (left + 0.08, 0.1), (right - 0.08, 0.1), (right + 0.05, eave)],
            roof,
        )
        _chimney(pen, 0.62, 0.04, 0.12)
    pitch = (1 - eave) / floors
    for level in range(floors - 1):
        for x in (0.37, 0.63):
            _window(pen, (x, eave + pitch * (level + 0.5)), 0.06)
    door = pen.choice((0.37, 0.5, 0.63))
    _door(pen, door, 0.07, top=1 - pitch * 0.7, bottom=1)
    if door != 0.5:
        _window(pen, (1 - door, 1 - pitch * 0.5), 0.06)


def _hut(pen: Pen) -> None:
    eave = pen.uniform(0.44, 0.5)
    left = pen.uniform(0.08, 0.16)
    pen.polygon(
        [(left, eave - 0.03), (1 - left, eave - 0.03), (0.9 - left / 2, 1), (0.1 + left / 2, 1)]
    )
    roof = arc((0.5, eave + 0.04), (0.5, pen.uniform(0.28, 0.38)), 180, 360)
    pen.polygon(roof, _roof_color(pen))
    _chimney(pen, 0.7, eave - 0.36, eave - 0.1)
    _door(pen, 0.5, pen.uniform(0.08, 0.1), top=0.66, bottom=1)
    for x in (0.27, 0.73):
        pen.ellipse((x, 0.68), (0.07, 0.07), WHITE)
        pen.ellipse((x, 0.68), (0.05, 0.05), GLASS)


def _battlements(pen: Pen, left: float, right: float, *, top: float, teeth: int) -> None:
    width = (right - left) / (2 * teeth - 1)
    points: list[Point] = [(left, top + 0.12)]
    for i in range(teeth):
        x = left + 2 * i * width
        points += [(x, top + 0.06), (x, top), (x + width, top), (x + width, top + 0.06)]
    pen.polygon([*points, (right, top + 0.12)])


def _flag(pen: Pen, x: float, top: float, bottom: float) -> None:
    pen.stroke([(x, top + 0.02), (x, bottom)], 0.04, DARK)
    reach = pen.choice((-0.14, 0.14))
    pen.polygon([(x, top), (x + reach, top + 0.05), (x, top + 0.1)], pen.accent)


def _turret(pen: Pen, left: float, right: float, *, top: float, pointed: bool) -> None:
    middle = (left + right) / 2
    if pen.chance(0.5):
        _flag(pen, middle, top - (0.34 if pointed else 0.16), top + 0.03)
    pen.rectangle((left, top), (right, 1))
    if pointed:
        roof = darker(pen.body, 0.6) if pen.chance(0.5) else pen.accent
        tip = top - pen.uniform(0.18, 0.24)
        pen.polygon([(left - 0.04, top + 0.02), (middle, tip), (right + 0.04, top + 0.02)], roof)
    else:
        _battlements(pen, left - 0.025, right + 0.025, top=top - 0.03, teeth=pen.integer(2, 3))
    half = min(0.035, (right - left) / 5)
    pen.rectangle((middle - half, top + 0.14), (middle + half, top + 0.25), DARK, corner=0.03)


def _gate(pen: Pen, centre: float, half: float, top: float) -> None:
    color = pen.choice((DARK, WOOD, (90, 60, 45)))
    door = np.concatenate(
        [arc((centre, top + half), (half, half), 180, 360), [[centre + half, 1.0]]]
    )
    pen.polygon(np.concatenate([door, [[centre - half, 1.0]]]), color)


def _walled_castle(pen: Pen) -> None:
    wide, wall = pen.uniform(0.2, 0.27), pen.uniform(0.48, 0.58)
    pointed = pen.chance(0.5)
    if pen.chance(0.6):
        half = pen.uniform(0.1, 0.14)
        _turret(
            pen,
            0.5 - half,
            0.5 + half,
            top=pen.uniform(0.22, 0.32),
            pointed=pointed or pen.chance(0.4),
        )
    pen.rectangle((0.1, wall), (0.9, 1))
    _battlements(pen, wide, 1 - wide, top=wall - 0.06, teeth=pen.integer(3, 4))
    tops = [pen.uniform(0.3, 0.4)] * 2
    if pen.chance(0.3):
        tops[1] -= 0.1
    _turret(pen, 0.03, 0.03 + wide, top=tops[0], pointed=pointed)
    _turret(pen, 0.97 - wide, 0.97, top=tops[1], pointed=pointed)
    _gate(pen, 0.5, pen.uniform(0.1, 0.15), pen.uniform(0.66, 0.74))


def _keep(pen: Pen) -> None:
    for left, right in ((0.02, 0.22), (0.78, 0.98)):
        _turret(pen, left, right, top=pen.uniform(0.46, 0.6), pointed=pen.chance(0.7))
    top = pen.uniform(0.28, 0.38)
    half = pen.uniform(0.08, 0.12)
    _turret(pen, 0.5 - half, 0.5 + half, top=top - 0.08, pointed=True)
    pen.rectangle((0.2, top + 0.1), (0.8, 1))
    _battlements(pen, 0.16, 0.84, top=top + 0.06, teeth=pen.integer(3, 5))
    _gate(pen, 0.5, pen.uniform(0.1, 0.14), pen.uniform(0.68, 0.74))
    if pen.chance(0.6):
        for x in (0.31, 0.69):
            pen.rectangle((x - 0.03, top + 0.24), (x + 0.03, top + 0.34), DARK, corner=0.03)


def _tower(pen: Pen) -> None:
    top, half = pen.uniform(0.16, 0.24), pen.uniform(0.2, 0.26)
    _flag(pen, 0.5, 0.0, top + 0.05)
    pen.polygon([(0.5 - half, top), (0.5 + half, top), (0.56 + half, 1), (0.44 - half, 1)])
    _battlements(pen, 0.46 - half, 0.54 + half, top=top - 0.03, teeth=pen.integer(3, 4))
    pen.rectangle((0.46 - half, top + 0.06), (0.54 + half, top + 0.12), darker(pen.body, 0.7))
    if pen.chance(0.7):
        side = pen.choice((-1, 1))
        low, high = sorted((0.5 + side * half, 0.5 + side * (half + 0.22)))
        pen.rectangle((low, 0.6), (high, 1))
        _battlements(pen, low, high, top=0.54, teeth=2)
    _gate(pen, 0.5, pen.uniform(0.09, 0.12), pen.uniform(0.7, 0.76))
    for x in (0.4, 0.6):
        pen.rectangle((x - 0.03, 0.44), (x + 0.03, 0.55), DARK, corner=0.03)
