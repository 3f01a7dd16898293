"""Draw animals: fish and cat here; bird, butterfly, snail and turtle from the rooms beside."""

from __future__ import annotations

import numpy as np

from grounded_ram.scenes.outlines import bend, eye, ink, leaf, shadow, tint
from grounded_ram.scenes.pen import DARK, Color, Pen, Point, darker

NOSE: Color = (240, 140, 150)


def fish(pen: Pen) -> None:
    """Draw a fish from the side: plain, long, tall like an angelfish, or round."""
    kind = pen.choice(("plain", "plain", "long", "tall", "round"))
    half = {
        "plain": pen.uniform(0.19, 0.27),
        "long": pen.uniform(0.12, 0.16),
        "tall": pen.uniform(0.27, 0.33),
        "round": pen.uniform(0.29, 0.35),
    }[kind]
    end = {"plain": 0.74, "long": 0.8, "tall": 0.7, "round": 0.76}[kind]
    fin = pen.choice((shadow(pen), shadow(pen), None, None if kind == "tall" else pen.accent))
    _tail_fin(pen, end, fin)
    _back_fins(pen, half, end, kind, fin)
    middle = (0.04 + end) / 2
    if kind == "round" or pen.chance(0.4):
        pen.ellipse((middle, 0.5), (end - middle + 0.02, half))
    elif kind == "tall":
        pen.blob([(0.0, 0.5), (middle - 0.1, 0.5 - 1.3 * half), (end + 0.14, 0.5),
                  (middle - 0.1, 0.5 + 1.3 * half)])  # fmt: skip
    else:
        pen.polygon(leaf((0.0, 0.5), (end + 0.08, 0.5), 2 * half, fullest=pen.uniform(0.36, 0.5)))
    if pen.chance(0.3):
        for x in (middle - 0.04, middle + 0.14)[: pen.integer(1, 2)]:
            reach = 0.68 * half
            pen.stroke([(x, 0.5 - reach), (x, 0.5 + reach)], 0.05, pen.accent)
    elif pen.chance(0.5):
        gill = bend(
            (middle - 0.1, 0.5 - 0.5 * half), (middle, 0.5), (middle - 0.1, 0.5 + 0.5 * half)
        )
        pen.stroke(gill, 0.04, darker(pen.body, 0.65))
    if pen.chance(0.5):
        tip = (middle + pen.uniform(0.12, 0.2), 0.5 + pen.uniform(-0.02, 0.1))
        pen.polygon(leaf((middle - 0.02, 0.53), tip, 0.12), fin or darker(pen.body, 0.8))
    eye(pen, (pen.uniform(0.15, 0.2), 0.5 - 0.2 * half), pen.uniform(0.045, 0.06))
    if pen.chance(0.5):
        pen.stroke([(0.07, 0.5 + 0.2 * half), (0.13, 0.5 + 0.26 * half)], 0.04, ink(pen))


def _tail_fin(pen: Pen, root: float, fin: Color | None) -> None:
    tall, kind = pen.uniform(0.16, 0.26), pen.integer(0, 2)
    x = root - 0.06
    if kind == 0:
        notch = root + pen.uniform(0.08, 0.18)
        pen.polygon([(x, 0.5), (1.0, 0.5 - tall), (notch, 0.5), (1.0, 0.5 + tall)], fin)
    elif kind == 1:
        pen.blob([(x - 0.05, 0.5), (1.0, 0.5 - 1.3 * tall), (1.02, 0.5 + 1.3 * tall)], fin)
    else:
        for side in (-1, 1):
            pen.polygon(leaf((x, 0.5), (1.0, 0.5 + side * tall), 0.17, curl=0.1 * side), fin)


def _back_fins(pen: Pen, half: float, end: float, kind: str, fin: Color | None) -> None:
    rise = pen.uniform(0.07, 0.16) * (1.6 if kind == "tall" else 1.0)
    for side in (-1, 1)[: pen.integer(1, 2) if kind != "tall" else 2]:
        low, high = 0.5 + side * 0.5 * half, 0.5 + side * (half + rise)
        if pen.chance(0.5):
            pen.polygon([(0.25, low), (0.42, high), (0.62, high), (0.6, low)], fin)
        else:
            pen.polygon([(0.28, low), (end - 0.12, high), (end - 0.1, low)], fin)


def cat(pen: Pen) -> None:
    """Draw a cat: sitting, standing sideways, lying, or only its face."""
    pen.choice((_sitting_cat, _sitting_cat, _standing_cat, _standing_cat, _lying_cat, _cat_face))(
        pen
    )


def _cat_head(pen: Pen, centre: Point, wide: float, *, whiskers: bool = False) -> None:
    (x, y), tall = centre, wide * pen.uniform(0.78, 0.95)
    peak, lean = tall * pen.uniform(1.35, 1.65), wide * pen.uniform(0.65, 0.95)
    inside = pen.choice((NOSE, pen.accent, shadow(pen)))
    for side in (-1, 1):
        tip = np.array([x + side * lean, y - peak])
        foot = np.array(
            [[x + side * 0.98 * wide, y - 0.1 * tall], [x + side * 0.1 * wide, y - 0.8 * tall]]
        )
        ear = np.concatenate([tip[None], foot])
        pen.polygon(ear)
        pen.polygon(ear.mean(0) + 0.5 * (ear - ear.mean(0)) + [0, 0.05 * tall], inside)
    pen.ellipse(centre, (wide, tall))
    tone = ink(pen)
    if pen.chance(0.35):
        pen.ellipse((x, y + 0.4 * tall), (0.45 * wide, 0.36 * tall), tint(pen))
        tone = DARK
    eye = pen.choice(((150, 200, 90), (240, 200, 70), ink(pen)))
    r = wide * pen.uniform(0.15, 0.22)
    for side in (-1, 1):
        spot = (x + side * 0.42 * wide, y - 0.08 * tall)
        pen.ellipse(spot, (r, 1.1 * r), eye)
        if eye != ink(pen):
            pen.ellipse(spot, (0.4 * r, 0.9 * r), DARK)
        if whiskers:
            for dy in (0.2, 0.5):
                ends = [
                    (x + side * 0.5 * wide, y + 0.35 * tall),
                    (x + side * 1.15 * wide, y + dy * tall),
                ]
                pen.stroke(ends, 0.04, tone)
    nose = [(x - 0.13 * wide, y + 0.2 * tall), (x + 0.13 * wide, y + 0.2 * tall)]
    pen.polygon([*nose, (x, y + 0.4 * tall)], NOSE)


def _sitting_cat(pen: Pen) -> None:
    wide, reach = pen.uniform(0.19, 0.27), pen.uniform(0.3, 0.42)
    high = pen.uniform(0.35, 0.7)
    tail = bend((0.55, 0.93), (0.55 + 1.5 * reach, 0.98), (0.5 + reach, high))
    pen.stroke(tail, pen.uniform(0.08, 0.11))
    pen.blob([(0.5 - 0.6 * wide, 0.3), (0.5 + 0.6 * wide, 0.3), (0.52 + 1.3 * wide, 0.85),
              (0.5 + wide, 1.04), (0.5 - wide, 1.04), (0.48 - 1.3 * wide, 0.85)])  # fmt: skip
    if pen.chance(0.4):
        pen.ellipse((0.5, 0.68), (0.4 * wide, 0.15), tint(pen))
    shade = shadow(pen)
    for side in (-1, 1):
        if pen.chance(0.7):
            pen.stroke([(0.5 + 0.06 * side, 0.78), (0.5 + 0.06 * side, 0.96)], 0.04, shade)
    if pen.chance(0.3):
        pen.rectangle((0.5 - 0.6 * wide, 0.48), (0.5 + 0.6 * wide, 0.54), pen.accent, corner=0.03)
    _cat_head(pen, (0.5 + pen.uniform(-0.05, 0.05), 0.3), pen.uniform(0.2, 0.26))


def _standing_cat(pen: Pen) -> None:
    back, leg = pen.uniform(0.36, 0.42), pen.uniform(0.09, 0.12)
    belly, stride = pen.uniform(0.64, 0.72), pen.uniform(-0.05, 0.08)
    tip = (pen.uniform(0.88, 1.0), pen.uniform(0.08, 0.2))
    pen.stroke(bend((0.82, back + 0.06), (pen.uniform(0.92, 1.1), 0.4), tip), 0.09)
    far = shadow(pen)
    for x in (0.4, 0.68):
        pen.stroke([(x, belly - 0.06), (x + stride, 0.95)], leg, far)
    for x in (0.3, 0.8):
        pen.stroke([(x, belly - 0.06), (x - stride, 0.95)], leg)
    pen.rectangle((0.22, back), (0.88, belly), corner=pen.uniform(0.1, 0.16))
    _cat_head(pen, (0.24, pen.uniform(0.3, 0.36)), pen.uniform(0.18, 0.22))


def _lying_cat(pen: Pen) -> None:
    top = pen.uniform(0.4, 0.52)
    pen.blob(
        [(0.1, 0.9), (0.16, 0.55), (0.45, top), (0.75, top), (1.0, 0.62), (1.0, 0.94), (0.5, 0.95)]
    )
    curve = bend((0.94, 0.72), (1.12, 0.98), (pen.uniform(0.45, 0.62), 0.9))
    pen.stroke(curve, 0.09, shadow(pen))
    _cat_head(pen, (0.28, 0.56), pen.uniform(0.2, 0.25))
    for x in (0.2, 0.36):
        pen.ellipse((x, 0.89), (0.08, 0.045), darker(pen.body, 0.85))


def _cat_face(pen: Pen) -> None:
    _cat_head(pen, (0.5, 0.58), pen.uniform(0.4, 0.46), whiskers=True)
