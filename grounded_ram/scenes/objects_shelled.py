"""Draw animals with a shell: snail, turtle."""

from __future__ import annotations

import numpy as np

from grounded_ram.scenes.outlines import bend, eye, leaf, polar, shadow, tint
from grounded_ram.scenes.pen import DARK, WHITE, Color, Pen, Point, arc, darker

FLESH: tuple[Color, ...] = ((226, 196, 150), (240, 214, 176), (190, 150, 110))
HIDE: tuple[Color, ...] = ((132, 160, 84), (170, 160, 100), (104, 138, 104), (190, 170, 120))


def snail(pen: Pen) -> None:
    """Draw a snail with a round, tilted or pointed spiral shell."""
    flesh = pen.choice((*FLESH, shadow(pen), tint(pen)))
    neck, thick = pen.uniform(0.12, 0.2), pen.uniform(0.09, 0.12)
    head = (neck, pen.uniform(0.5, 0.64))
    stalk, top = pen.uniform(0.06, 0.1), head[1] - pen.uniform(0.16, 0.24)
    for side in (-1, 1):
        tip = (head[0] + side * stalk, top)
        pen.stroke([head, tip], 0.045, flesh)
        pen.ellipse(tip, (0.04, 0.04), DARK)
    pen.stroke(bend(head, (neck + 0.02, 0.9), (0.5, 0.9)), 1.2 * thick, flesh)
    pen.polygon([(0.2, 0.84), (0.85, 0.8), (1.12, 0.96), (0.16, 0.96)], flesh)
    pen.ellipse(head, (0.8 * thick, 0.8 * thick), flesh)
    if pen.chance(0.4):
        smile = bend(
            (head[0] - 0.06, head[1] + 0.02),
            (head[0], head[1] + 0.08),
            (head[0] + 0.04, head[1] + 0.04),
        )
        pen.stroke(smile, 0.04, darker(flesh, 0.5))
    pen.choice((_round_shell, _round_shell, _pointed_shell))(pen)


def _round_shell(pen: Pen) -> None:
    r, squash = pen.uniform(0.33, 0.4), pen.uniform(0.9, 1.0)
    centre = (0.3 + r, 0.88 - r * squash)
    tone = pen.choice((darker(pen.body, 0.55), darker(pen.body, 0.55), pen.accent, WHITE, DARK))
    pen.ellipse(centre, (r, r * squash))
    if pen.chance(0.35):
        lip = polar(centre, 0.75 * r, 150)
        pen.ellipse((lip[0], lip[1] + 0.08), (0.16, 0.14))
    turns, start = pen.uniform(1.3, 1.9), pen.uniform(60, 160)
    t = np.linspace(0, 1, 40)
    angle, reach = np.radians(start + 360 * turns * t), 0.74 * r * (1 - 0.9 * t)
    x, y = centre[0] + reach * np.cos(angle), centre[1] + squash * reach * np.sin(angle)
    pen.stroke(np.stack([x, y], 1), pen.uniform(0.04, 0.055), tone)


def _pointed_shell(pen: Pen) -> None:
    whorls, lean = pen.integer(3, 4), pen.uniform(0.0, 0.25)
    r, x, y = pen.uniform(0.29, 0.34), 0.62, 0.7
    tone = darker(pen.body, pen.choice((0.6, 0.75)))
    for i in range(whorls):
        pen.ellipse((x, y), (r, 0.72 * r))
        edge = bend((x - 0.8 * r, y - 0.26 * r), (x, y + 0.1 * r), (x + 0.8 * r, y - 0.26 * r))
        if i < whorls - 1:
            pen.stroke(edge, 0.04, tone)
        x, y, r = x + lean * r, y - 0.72 * r, 0.72 * r


def turtle(pen: Pen) -> None:
    """Draw a turtle from the side on its legs, from above, or swimming."""
    skin = pen.choice((*HIDE, shadow(pen), tint(pen)))
    pen.choice((_walking_turtle, _walking_turtle, _turtle_above, _swimming_turtle))(pen, skin)


def _walking_turtle(pen: Pen, skin: Color) -> None:
    half, tall, brim = pen.uniform(0.34, 0.4), pen.uniform(0.36, 0.5), 0.7
    x, leg = 0.62, pen.uniform(0.1, 0.13)
    pen.polygon(
        [(x + half - 0.1, brim - 0.04), (1.1, brim + 0.1), (x + half - 0.1, brim + 0.08)], skin
    )
    for dx in (-0.7, -0.2, 0.25, 0.7)[:: pen.choice((1, 3))]:
        foot = x + dx * half
        pen.rectangle(
            (foot - leg / 2, brim), (foot + leg / 2, pen.uniform(0.9, 0.93)), skin, corner=0.04
        )
    head, r = (pen.uniform(0.08, 0.13), pen.uniform(0.48, 0.66)), pen.uniform(0.09, 0.115)
    pen.stroke([(head[0] + 0.02, head[1]), (x - half + 0.12, brim)], 1.2 * r, skin)
    pen.ellipse(head, (1.1 * r, r), skin)
    eye(pen, (head[0] - 0.02, head[1] - 0.02), 0.042)
    pen.pie((x, brim), (half, tall), (180, 360))
    _dome_plates(pen, (x, brim), half, tall)
    if pen.chance(0.7):
        rim = pen.choice((None, shadow(pen), shadow(pen), pen.accent))
        pen.rectangle(
            (x - half - 0.04, brim - 0.02), (x + half + 0.04, brim + 0.07), rim, corner=0.04
        )


def _dome_plates(pen: Pen, foot: Point, half: float, tall: float) -> None:
    (x, y), kind = foot, pen.integer(0, 3)
    tone = pen.choice((shadow(pen), shadow(pen), tint(pen), pen.accent))
    if kind == 1:
        for dx in (-0.55, 0.0, 0.55):
            r = 0.2 * half if dx else 0.26 * half
            plate = arc((x + dx * half, y - (0.35 if dx else 0.55) * tall), (r, r), 0, 300, steps=6)
            pen.polygon(plate, tone)
    elif kind == 2:
        for dx in (-0.35, 0.35):
            line = bend(
                (x + dx * half, y - 0.05),
                (x + dx * half, y - 0.5 * tall),
                (x + 0.5 * dx * half, y - 0.86 * tall),
            )
            pen.stroke(line, 0.04, tone)
        pen.stroke(
            [(x - 0.78 * half, y - 0.4 * tall), (x + 0.78 * half, y - 0.4 * tall)], 0.04, tone
        )
    elif kind == 3:
        pen.ellipse((x, y - 0.5 * tall), (0.38 * half, 0.24 * tall), tone)


def _turtle_above(pen: Pen, skin: Color) -> None:
    wide, tall, r = pen.uniform(0.33, 0.4), pen.uniform(0.36, 0.4), pen.uniform(0.1, 0.125)
    fat, reach = pen.uniform(0.14, 0.17), pen.uniform(0.53, 0.6)
    slant = pen.uniform(35, 50)
    for degrees in (slant, 180 - slant, 180 + slant, -slant):
        pen.stroke([(0.5, 0.55), polar((0.5, 0.55), reach - fat / 3, degrees)], fat, skin)
    pen.polygon([(0.42, 0.85), (0.58, 0.85), (0.5, 1.03)], skin)
    pen.rectangle((0.5 - r, -0.04), (0.5 + r, 0.4), skin, corner=r)
    for dx in (-0.05, 0.05):
        pen.ellipse((0.5 + dx, 0.04), (0.025, 0.03), DARK if sum(skin) > 250 else WHITE)
    pen.ellipse((0.5, 0.56), (wide, tall))
    _round_plates(pen, (0.5, 0.56), wide, tall)


def _round_plates(pen: Pen, centre: Point, wide: float, tall: float) -> None:
    (x, y), kind = centre, pen.integer(0, 2)
    tone = pen.choice((shadow(pen), shadow(pen), tint(pen), pen.accent))
    plate = arc(centre, (0.4 * wide, 0.4 * tall), 0, 360, steps=7)
    if kind == 0:
        for px, py in plate[:-1]:
            pen.stroke([(px, py), (x + 1.85 * (px - x), y + 1.85 * (py - y))], 0.04, tone)
        pen.stroke(plate, 0.04, tone)
    elif kind == 1:
        pen.polygon(plate, tone)
        for px, py in arc(centre, (0.76 * wide, 0.76 * tall), 30, 330, steps=6):
            pen.ellipse((float(px), float(py)), (0.045, 0.045), tone)
    else:
        pen.stroke([(x, y - 0.85 * tall), (x, y + 0.85 * tall)], 0.04, tone)
        for dy in (-0.35, 0.0, 0.35)[:: pen.choice((1, 2))]:
            pen.stroke(
                [(x - 0.75 * wide, y + dy * tall), (x + 0.75 * wide, y + dy * tall)], 0.04, tone
            )


def _swimming_turtle(pen: Pen, skin: Color) -> None:
    tall, r = pen.uniform(0.25, 0.3), pen.uniform(0.09, 0.11)
    pen.polygon(leaf((0.76, 0.5), (1.0, pen.uniform(0.54, 0.72)), 0.15), skin)
    front = (pen.uniform(0.42, 0.62), pen.uniform(0.9, 0.98))
    pen.polygon(leaf((0.42, 0.42), (front[0] - 0.02, 0.08), 0.16, curl=0.15), darker(skin, 0.8))
    pen.stroke([(0.1, 0.46), (0.4, 0.5)], 1.4 * r, skin)
    pen.ellipse((0.12, 0.45), (1.15 * r, r), skin)
    eye(pen, (0.09, 0.43), 0.04)
    pen.polygon(leaf((0.22, 0.52), (0.92, 0.52), 2.4 * tall, fullest=0.42))
    _round_plates(pen, (0.53, 0.52), 0.26, 0.8 * tall)
    pen.polygon(leaf((0.33, 0.56), front, pen.uniform(0.17, 0.21), curl=0.15, fullest=0.4), skin)
