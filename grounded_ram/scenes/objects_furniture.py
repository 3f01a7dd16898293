"""Furniture of the picture-book rooms: chair, lamp and clock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grounded_ram.scenes.outlines import ink, profile, shadow, tint
from grounded_ram.scenes.pen import DARK, METAL, WHITE, WOOD, Color, Pen, Point, arc, rotate

_GLOW: Color = (255, 226, 120)
_FACE: Color = (250, 246, 232)

Design = Callable[[Pen], None]


def chair(pen: Pen) -> None:
    """Draw a chair from the front or the side, an armchair or an office chair."""
    designs: tuple[Design, ...] = (_front_chair, _side_chair, _side_chair, _armchair, _office_chair)
    pen.choice(designs)(pen)


def lamp(pen: Pen) -> None:
    """Draw a lamp for the table, the floor, the desk or the ceiling."""
    designs: tuple[Design, ...] = (_table_lamp, _table_lamp, _floor_lamp, _desk_lamp, _hanging_lamp)
    pen.choice(designs)(pen)


def clock(pen: Pen) -> None:
    """Draw a wall clock, an alarm clock or a clock in a case."""
    designs: tuple[Design, ...] = (_wall_clock, _alarm_clock, _alarm_clock, _case_clock)
    pen.choice(designs)(pen)


def _front_chair(pen: Pen) -> None:
    half, seat, width = pen.uniform(0.2, 0.3), pen.uniform(0.5, 0.6), pen.uniform(0.055, 0.085)
    left, right = 0.5 - half + width / 2, 0.5 + half - width / 2
    splay, wide = pen.uniform(0.0, 0.05), half + pen.uniform(0.03, 0.08)
    for x in (left + 0.09, right - 0.09):
        pen.stroke([(x, seat), (x, pen.uniform(0.84, 0.88))], width * 0.9, shadow(pen))
    kind = pen.choice(("panel", "slats", "ladder", "round"))
    if kind == "round":
        pen.stroke(arc((0.5, seat), (half - width / 2, seat - 0.05), 180, 360, steps=14), width)
        pen.ellipse((0.5, 0.27), (half * 0.6, 0.2))
        pen.stroke([(0.5, 0.1), (0.5, seat)], width)
    elif kind == "panel":
        low = pen.uniform(0.3, 0.48)
        pen.rectangle((left, 0.04), (right, low), corner=pen.uniform(0.0, 0.12))
    else:
        upright = kind == "slats"
        for s in np.linspace(0, 1, pen.integer(3, 4)):
            x, y = left + (right - left) * s, 0.06 + 0.28 * s
            pen.stroke([(x, 0.06), (x, seat)] if upright else [(left, y), (right, y)], width)
        pen.stroke([(left, 0.06), (right, 0.06)], width * 1.3)
    if kind in ("panel", "ladder"):
        pen.stroke([(left, 0.07), (left, seat)], width)
        pen.stroke([(right, 0.07), (right, seat)], width)
    for x, way in ((0.5 - wide + 0.05, -1), (0.5 + wide - 0.05, 1)):
        pen.stroke([(x, seat + 0.04), (x + way * splay, 0.97)], width)
    deep = pen.uniform(0.05, 0.1)
    profile(pen, [(seat - deep, half), (seat + 0.04, wide), (seat + 0.09, wide)])
    if pen.chance(0.3):
        profile(pen, [(seat - deep, half * 0.8), (seat + 0.02, wide * 0.85)], pen.accent)


def _side_chair(pen: Pen) -> None:
    seat, width = pen.uniform(0.5, 0.6), pen.uniform(0.065, 0.1)
    back, front, lean = 0.27, pen.uniform(0.66, 0.78), pen.uniform(0.0, 0.13)
    bow = pen.choice((0.0, 0.0, 0.05))
    splay, foot = pen.uniform(0.0, 0.07), 0.97
    crown = (back - lean, 0.05)
    rail = [crown, (back - lean / 2 - bow, (0.05 + seat) / 2), (back, seat)]
    pen.stroke(rail, width * pen.uniform(1.0, 1.4))
    pen.stroke([(back, seat), (back - splay, foot)], width)
    pen.stroke([(front - 0.02, seat), (front - 0.02 + splay, foot)], width)
    pen.rectangle((back - 0.05, seat - 0.03), (front + 0.04, seat + 0.07), corner=0.03)
    if pen.chance(0.3):
        low, high = (back - splay - 0.13, foot), (front + splay + 0.13, foot)
        middle = (low[0] + high[0]) / 2
        reach = (high[0] - low[0]) / 2
        pen.stroke(arc((middle, foot - 0.07), (reach, 0.09), 10, 170, steps=12), width)
    elif pen.chance(0.4):
        y = pen.uniform(0.72, 0.84)
        pen.stroke([(back, y), (front, y)], width * 0.8)
    if pen.chance(0.3):
        arm = seat - pen.uniform(0.16, 0.22)
        pen.stroke([(back - 0.04, arm), (front - 0.06, arm), (front - 0.06, seat)], width * 0.8)
    if pen.chance(0.35):
        pen.rectangle((back + 0.03, seat - 0.1), (front, seat - 0.02), pen.accent, corner=0.04)


def _armchair(pen: Pen) -> None:
    half, top, base = pen.uniform(0.3, 0.36), pen.uniform(0.08, 0.25), 0.86
    arm, arm_top = pen.uniform(0.13, 0.18), pen.uniform(0.45, 0.55)
    for x in (0.5 - half - 0.02, 0.5 + half + 0.02):
        pen.stroke([(x, base - 0.03), (x, 0.95)], 0.07, pen.choice((WOOD, DARK)))
    corner = pen.choice((0.06, 0.16, 0.3))
    pen.rectangle((0.5 - half, top), (0.5 + half, base), corner=corner)
    pen.rectangle((0.5 - half, 0.5), (0.5 + half, base), shadow(pen))
    seat = arm_top + pen.uniform(0.06, 0.12)
    pen.rectangle((0.5 - half, seat), (0.5 + half, seat + 0.14), tint(pen), corner=0.04)
    pen.rectangle((0.5 - half, seat + 0.14), (0.5 + half, base))
    for x in (0.5 - half, 0.5 + half):
        pen.rectangle((x - arm / 2, arm_top), (x + arm / 2, base), corner=pen.uniform(0.03, 0.09))


def _office_chair(pen: Pen) -> None:
    half, top, frame = pen.uniform(0.2, 0.27), pen.uniform(0.02, 0.12), pen.choice((DARK, METAL))
    seat = pen.uniform(0.54, 0.6)
    pen.stroke([(0.5, 0.4), (0.5, 0.85)], 0.07, frame)
    reach = pen.uniform(0.22, 0.3)
    for way in (-1, 0, 1):
        end = (0.5 + way * reach, 0.93 if way else 0.95)
        pen.stroke([(0.5, 0.83), end], 0.055, frame)
        pen.ellipse((end[0], 0.955), (0.04, 0.04), frame)
    if pen.chance(0.5):
        for way in (-1, 1):
            x = 0.5 + way * (half + 0.05)
            pen.stroke([(x, 0.43), (x, seat + 0.03), (0.5, seat + 0.03)], 0.05, frame)
    tall = pen.uniform(0.36, 0.46)
    pen.rectangle((0.5 - half, top), (0.5 + half, top + tall), corner=pen.uniform(0.05, 0.14))
    wide = half + 0.03
    pen.rectangle((0.5 - wide, seat - 0.04), (0.5 + wide, seat + 0.09), corner=0.06)


def _shade(pen: Pen, top: float, height: float, half: float) -> None:
    """Draw a lamp shade, with its band and sometimes the bulb that shows below it."""
    bottom, narrow = top + height, half * pen.uniform(0.4, 0.75)
    if pen.chance(0.6):
        pen.ellipse((0.5, bottom), (half * 0.5, 0.07), _GLOW)
    kind = pen.choice(("cone", "cone", "bell", "drum"))
    if kind == "drum":
        narrow = half * pen.uniform(0.85, 1.0)
    bend = 1.8 if kind == "bell" else 1.0
    levels: list[Point] = []
    for s in np.linspace(0, 1, 8):
        levels.append((narrow + (half - narrow) * float(s**bend), top + height * float(s)))
    profile(pen, [(y, wide) for wide, y in levels])
    if pen.chance(0.4):
        profile(pen, [(bottom - 0.055, half * 0.98), (bottom, half)], pen.accent)


def _table_lamp(pen: Pen) -> None:
    top, height, half = 0.05, pen.uniform(0.34, 0.46), pen.uniform(0.28, 0.4)
    bottom, base = top + height, 0.95
    kind = pen.choice(("pole", "vase", "cone", "balls"))
    slim = kind in ("pole", "balls")
    color = pen.choice((None, pen.accent, DARK, METAL, WOOD)) if slim else None
    foot, middle = pen.uniform(0.15, 0.22), (bottom + base) / 2
    pen.stroke([(0.5, bottom - 0.05), (0.5, base)], pen.uniform(0.055, 0.08), color)
    if kind == "vase":
        wide = pen.uniform(0.13, 0.2)
        pen.ellipse((0.5, middle + 0.03), (wide, (base - bottom) * 0.42), color)
        foot = wide * 0.75
    elif kind == "cone":
        profile(pen, [(bottom + 0.03, 0.04), (base, foot)], color)
    elif kind == "balls":
        for s in np.linspace(0.25, 0.8, pen.integer(2, 3)):
            y = bottom + (base - bottom) * float(s)
            pen.ellipse((0.5, y), (0.055 + 0.06 * float(s), 0.075), color)
    if pen.chance(0.5):
        pen.pie((0.5, base + 0.02), (foot, 0.1), (180, 360), color)
    else:
        pen.rectangle((0.5 - foot, base - 0.04), (0.5 + foot, base + 0.03), color, corner=0.02)
    if pen.chance(0.25):
        x = 0.5 + half * 0.6
        pen.stroke([(x, bottom - 0.03), (x, bottom + 0.12)], 0.045, color)
    _shade(pen, top, height, half)


def _floor_lamp(pen: Pen) -> None:
    top, height, half = 0.02, pen.uniform(0.28, 0.36), pen.uniform(0.23, 0.3)
    color = pen.choice((None, None, DARK, METAL, WOOD))
    if color is None and pen.chance(0.5):
        reach = pen.uniform(0.16, 0.24)
        for way in (-1, 0, 1):
            pen.stroke([(0.5, top + height), (0.5 + way * reach, 1.0)], 0.05, color)
    else:
        foot = pen.uniform(0.12, 0.18)
        pen.stroke([(0.5, top + height - 0.05), (0.5, 0.97)], 0.055, color)
        pen.pie((0.5, 1.0), (foot, 0.08), (180, 360), color)
    _shade(pen, top, height, half)


def _desk_lamp(pen: Pen) -> None:
    """Draw a lamp whose arm bends at an elbow and whose head looks down to the right."""
    width, elbow = pen.uniform(0.055, 0.08), (pen.uniform(0.12, 0.25), pen.uniform(0.42, 0.52))
    neck = (pen.uniform(0.46, 0.54), pen.uniform(0.14, 0.2))
    foot, color = (pen.uniform(0.34, 0.42), 0.93), pen.choice((None, None, METAL, DARK))
    if pen.chance(0.5):
        pen.stroke([foot, elbow, neck], width, color)
        pen.ellipse(elbow, (0.055, 0.055), color)
    else:
        bow = [(foot[0], 0.93), (foot[0] - 0.06, 0.45), (foot[0] - 0.02, 0.2), neck]
        pen.stroke(bow, width, color)
    wide = pen.uniform(0.17, 0.22)
    pen.pie((foot[0], 0.97), (wide, pen.uniform(0.08, 0.13)), (180, 360))
    turn, half, deep = pen.uniform(-45, -20), pen.uniform(0.17, 0.23), pen.uniform(0.27, 0.34)
    x, y = neck
    bulb = rotate(arc((x, y + deep), (half * 0.55, 0.09), 0, 360), neck, turn)
    pen.polygon(bulb, _GLOW)
    if pen.chance(0.5):
        head = np.array([(x - 0.06, y - 0.06), (x + 0.06, y - 0.06), (x + half, y + deep)])
        head = np.concatenate([head, [(x - half, y + deep)]])
    else:
        head = arc((x, y + deep), (half, deep + 0.06), 180, 360)
    pen.polygon(rotate(head, neck, turn))


def _hanging_lamp(pen: Pen) -> None:
    half, height, top = pen.uniform(0.3, 0.42), pen.uniform(0.25, 0.38), pen.uniform(0.3, 0.4)
    color = pen.choice((DARK, METAL, None))
    pen.stroke([(0.5, 0.04), (0.5, top + 0.03)], 0.05, color)
    pen.rectangle((0.4, 0.0), (0.6, 0.06), color)
    bottom = top + height
    pen.ellipse((0.5, bottom + 0.01), (half * 0.38, 0.12), _GLOW)
    pen.rectangle((0.43, top - 0.05), (0.57, top + 0.1), color)
    kind = pen.choice(("dome", "cone", "bell"))
    if kind == "dome":
        pen.pie((0.5, bottom), (half, height), (180, 360))
    else:
        bend = 2.2 if kind == "bell" else 1.0
        steps = [float(s) for s in np.linspace(0, 1, 9)]
        profile(pen, [(top + height * s, 0.09 + (half - 0.09) * s**bend) for s in steps])
    rim = half + pen.uniform(0.0, 0.03)
    pen.rectangle((0.5 - rim, bottom - 0.02), (0.5 + rim, bottom + 0.035), shadow(pen))


def _dial(pen: Pen, centre: Point, radius: float) -> None:
    """Draw the face of a clock: on the body, or pale and small inside a body rim; marks, hands."""
    mark = ink(pen)
    if pen.chance(0.55):
        face = radius * 0.66
        color = WHITE if sum(pen.body) < 600 else (_FACE if pen.chance(0.5) else DARK)
        mark = WHITE if color == DARK else DARK
        pen.ellipse(centre, (face, face), color)
        radius = face * 1.1
    count = pen.choice((0, 4, 4, 8, 12)) if radius > 0.25 else pen.choice((0, 4))
    for k in range(count):
        turn = 2 * np.pi * k / count
        way = np.array([np.sin(turn), -np.cos(turn)])
        ends = [np.asarray(centre) + way * radius * s for s in (0.76, 0.84)]
        pen.stroke(np.array(ends), 0.04, mark)
    width = pen.uniform(0.05, 0.065)
    minute, hour = pen.uniform(0, 2 * np.pi), pen.uniform(0, 2 * np.pi)
    if abs(np.sin((minute - hour) / 2)) < 0.4:
        hour = minute + pen.uniform(1.0, 5.0)
    for turn, reach in ((minute, 0.68), (hour, 0.45)):
        tip = (centre[0] + radius * reach * np.sin(turn), centre[1] - radius * reach * np.cos(turn))
        pen.stroke([centre, tip], width, mark)
    pen.ellipse(centre, (0.045, 0.045), pen.choice((mark, pen.accent)))


def _wall_clock(pen: Pen) -> None:
    if pen.chance(0.6):
        pen.ellipse((0.5, 0.5), (0.45, 0.45))
    else:
        pen.rectangle((0.07, 0.07), (0.93, 0.93), corner=pen.uniform(0.0, 0.2))
    _dial(pen, (0.5, 0.5), 0.43)


def _alarm_clock(pen: Pen) -> None:
    """Draw a round clock on two feet, with two bells and the hammer between them."""
    radius, color = 0.35, pen.choice((None, METAL, pen.accent, DARK))
    y, tilt = 0.56, pen.uniform(32, 42)
    for way in (-1, 1):
        a = np.radians(pen.uniform(28, 38))
        hip = (0.5 + way * radius * np.sin(a), y + radius * np.cos(a))
        pen.stroke([(hip[0], hip[1] - 0.04), (hip[0] + way * 0.06, 0.97)], 0.075, color)
        a = np.radians(tilt)
        bell = (0.5 + way * (radius - 0.02) * np.sin(a), y - (radius - 0.02) * np.cos(a))
        cap = arc(bell, (0.15, pen.uniform(0.11, 0.14)), 180, 360)
        pen.polygon(rotate(cap, bell, way * tilt), color)
    if pen.chance(0.6):
        pen.stroke([(0.5, y - radius), (0.5, y - radius - 0.13)], 0.05, color)
        pen.ellipse((0.5, y - radius - 0.13), (0.055, 0.045), color)
    else:
        pen.stroke(arc((0.5, y - radius - 0.06), (0.15, 0.13), 180, 360, steps=10), 0.045, color)
    pen.ellipse((0.5, y), (radius, radius))
    _dial(pen, (0.5, y), radius * 0.95)


def _case_clock(pen: Pen) -> None:
    """Draw a clock in a case: an arch for the mantel, or tall with a pendulum."""
    if pen.chance(0.5):
        base = pen.uniform(0.8, 0.88)
        pen.pie((0.5, 0.47), (0.38, 0.42), (180, 360))
        pen.rectangle((0.12, 0.46), (0.88, base))
        color = pen.choice((None, WOOD, pen.accent))
        pen.rectangle((0.04, base), (0.96, base + 0.09), color)
        _dial(pen, (0.5, 0.46), 0.32)
        return
    half = pen.uniform(0.2, 0.25)
    pen.rectangle((0.5 - half * 0.8, 0.4), (0.5 + half * 0.8, 0.95))
    pen.rectangle((0.5 - half, 0.92), (0.5 + half, 1.04))
    pane = half * 0.5
    pen.rectangle((0.5 - pane, 0.55), (0.5 + pane, 0.87), shadow(pen))
    swing = 0.5 + pen.uniform(-0.05, 0.05)
    pen.stroke([(0.5, 0.56), (swing, 0.77)], 0.04, pen.accent)
    pen.ellipse((swing, 0.79), (0.055, 0.055), pen.accent)
    if pen.chance(0.5):
        pen.polygon([(0.5 - half - 0.04, 0.03), (0.5, -0.12), (0.5 + half + 0.04, 0.03)])
    else:
        pen.pie((0.5, 0.03), (half + 0.01, 0.13), (180, 360))
    pen.rectangle((0.5 - half - 0.01, 0.02), (0.5 + half + 0.01, 0.47))
    _dial(pen, (0.5, 0.24), half * 0.98)
