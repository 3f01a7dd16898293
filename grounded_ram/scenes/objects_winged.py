"""Draw winged animals: bird, butterfly."""

from __future__ import annotations

import numpy as np

from grounded_ram.scenes.outlines import bend, eased, eye, leaf, mirror, polar, shadow, tint
from grounded_ram.scenes.pen import DARK, WHITE, Color, Pen, Point, Points, arc, darker

BEAK: Color = (244, 150, 40)


def bird(pen: Pen) -> None:
    """Draw a bird: perched, flying, swimming, long-legged, or an owl from the front."""
    pen.choice((_perched, _perched, _flying, _swimming, _long_legged, _owl))(pen)


def _head(pen: Pen, centre: Point, r: float, beak: float) -> None:
    color = pen.choice((BEAK, BEAK, (250, 200, 60), pen.accent, (90, 84, 84)))
    x, y = centre[0] - 0.8 * r, centre[1] + 0.1 * r
    pen.polygon([(x, y - 0.07), (x - 0.2 * r - beak, y + 0.02), (x, y + 0.07)], color)
    if pen.chance(0.25):
        for turn in (-115, -90, -65):
            crest = polar(centre, 1.6 * r, turn + 15)
            pen.polygon(leaf(centre, crest, 0.09), pen.choice((None, pen.accent)))
    pen.ellipse(centre, (r, r))
    eye(pen, (centre[0] - 0.25 * r, centre[1] - 0.15 * r), pen.uniform(0.04, 0.05))


def _wing(pen: Pen, root: Point, tip: Point, width: float, curl: float) -> None:
    color = pen.choice((shadow(pen), shadow(pen), tint(pen)))
    pen.polygon(leaf(root, tip, width, curl=curl, fullest=0.4), color)


def _perched(pen: Pen) -> None:
    fat, lean = pen.uniform(0.19, 0.27), pen.uniform(10, 40)
    legs = pen.uniform(0.1, 0.18)
    for x in (0.45, 0.55):
        pen.stroke([(x, 0.6), (x, 0.76 + legs), (x - 0.06, 0.78 + legs)], 0.04, BEAK)
    tail = polar((0.5, 0.55), pen.uniform(0.44, 0.54), lean)
    pen.stroke([(0.6, 0.58), tail], pen.uniform(0.09, 0.14), pen.choice((None, shadow(pen))))
    pen.ellipse((0.5, 0.55), (0.3, fat), turn=lean)
    if pen.chance(0.3):
        pen.ellipse((0.4, 0.63), (0.13, 0.5 * fat), pen.choice((pen.accent, WHITE)), turn=lean)
    r = pen.uniform(0.14, 0.19)
    _head(pen, (0.28, 0.34), r, pen.uniform(0.07, 0.13))
    _wing(pen, (0.38, 0.47), polar((0.5, 0.55), 0.34, lean + 2), pen.uniform(0.18, 0.26), 0.06)


def _flying(pen: Pen) -> None:
    far, up = pen.uniform(0.05, 0.2), pen.uniform(-0.02, 0.12)
    pen.polygon(leaf((0.45, 0.52), (0.36 + far, up), 0.2, curl=-0.08), shadow(pen))
    spread = pen.uniform(0.05, 0.1)
    pen.polygon([(0.68, 0.55), (1.0, 0.55 - spread), (0.95, 0.58), (1.0, 0.62 + spread)])
    pen.polygon(leaf((0.12, 0.55), (0.86, 0.58), pen.uniform(0.24, 0.3), curl=0.03, fullest=0.4))
    _head(pen, (0.22, 0.5), pen.uniform(0.11, 0.13), pen.uniform(0.06, 0.1))
    down = pen.chance(0.25)
    tip = (0.72 + far, 0.95 if down else up + 0.02)
    wing = leaf((0.4, 0.5), tip, pen.uniform(0.24, 0.3), curl=-0.1, fullest=0.4)
    pen.polygon(wing, darker(pen.body, pen.choice((0.85, 1.35))))


def _swimming(pen: Pen) -> None:
    rise, r = pen.uniform(0.18, 0.3), pen.uniform(0.12, 0.16)
    head = (0.27, 0.5 - rise)
    hull: list[Point] = [(0.14, 0.55), (0.3, 0.5), (0.62, 0.52), (0.98, 0.4), (0.94, 0.72)]
    hull += [(0.7, 0.86), (0.35, 0.86), (0.14, 0.74)]
    pen.blob(hull)
    neck = bend(head, (0.34 + 0.3 * pen.uniform(-0.4, 0.3), 0.5), (0.34, 0.66))
    pen.stroke(neck, pen.uniform(0.13, 0.2))
    if pen.chance(0.25):
        pen.stroke([(0.24, 0.52), (0.38, 0.52)], 0.05, pen.choice((WHITE, pen.accent)))
    _head(pen, head, r, pen.uniform(0.09, 0.14))
    _wing(pen, (0.4, 0.62), (0.84, 0.58), pen.uniform(0.2, 0.26), -0.1)


def _long_legged(pen: Pen) -> None:
    stork = pen.choice((BEAK, (90, 84, 84), darker(pen.body, 0.8)))
    for x in (0.5, 0.6):
        pen.stroke([(0.56, 0.5), (x, 0.75), (x, 0.98), (x - 0.06, 0.98)], 0.045, stork)
    head = (pen.uniform(0.26, 0.34), 0.14)
    pen.stroke(bend(head, (0.5, pen.uniform(0.2, 0.4)), (0.42, 0.5)), pen.uniform(0.09, 0.12))
    pen.polygon(leaf((0.28, 0.5), (0.98, 0.54), pen.uniform(0.34, 0.42), fullest=0.4))
    _head(pen, head, 0.1, pen.uniform(0.1, 0.18))
    _wing(pen, (0.42, 0.45), (0.9, 0.54), 0.2, 0.03)


def _owl(pen: Pen) -> None:
    wide, top = pen.uniform(0.28, 0.36), pen.uniform(0.06, 0.12)
    for x in (0.4, 0.6):
        pen.ellipse((x, 0.95), (0.07, 0.05), BEAK)
    for side in (-1, 1):
        tip = (0.5 + side * (wide + 0.07), 0.8)
        root = (0.5 + side * 0.7 * wide, 0.34)
        pen.polygon(leaf(root, tip, 0.24, curl=-0.12 * side), shadow(pen))
    pen.rectangle((0.5 - wide, top), (0.5 + wide, 0.95), corner=0.9 * wide)
    if pen.chance(0.5):
        pen.ellipse((0.5, 0.7), (0.55 * wide, 0.17), tint(pen))
    r = pen.uniform(0.1, 0.14)
    for x in (0.5 - 0.45 * wide, 0.5 + 0.45 * wide):
        eye(pen, (x, 0.33), r)
    pen.polygon([(0.44, 0.4), (0.56, 0.4), (0.5, pen.uniform(0.5, 0.55))], BEAK)


def butterfly(pen: Pen) -> None:
    """Draw a butterfly with spread wings, or from the side with folded ones."""
    if pen.chance(0.1):
        _folded_butterfly(pen)
        return
    wings = pen.choice((_round_wings, _broad_wings, _pointed_wings))(pen)
    lower = pen.choice((None, None, darker(pen.body, 0.8)))
    for wing, color in zip(wings, (lower, None), strict=True):
        pen.polygon(wing, color)
        pen.polygon(mirror(wing), color)
    kind, r = pen.integer(0, 3), pen.uniform(0.045, 0.07)
    inks = pen.choice(((pen.accent, pen.accent), (WHITE, pen.accent), (darker(pen.body, 0.6),) * 2))
    for wing, tone in zip(wings, inks, strict=True):
        middle = wing.mean(0) + np.array([0.04, 0.0])
        if kind in (1, 2):
            for spot in (middle, mirror(middle[None])[0]):
                pen.ellipse((float(spot[0]), float(spot[1])), (r, r), tone)
        if kind == 3:
            small = middle + 0.5 * (wing - middle)
            pen.polygon(small, tone)
            pen.polygon(mirror(small), tone)
    _insect_body(pen)


def _insect_body(pen: Pen) -> None:
    tone = pen.choice((DARK, DARK, (110, 72, 44), pen.accent))
    low, high = pen.uniform(0.66, 0.86), pen.uniform(0.24, 0.32)
    spread, top = pen.uniform(0.08, 0.18), pen.uniform(0.04, 0.12)
    for side in (-1, 1):
        pen.stroke(
            bend((0.5, high), (0.5 + 0.3 * side * spread, top), (0.5 + side * spread, top)),
            0.04,
            tone,
        )
    pen.stroke([(0.5, high), (0.5, low)], pen.uniform(0.07, 0.1), tone)
    pen.ellipse((0.5, high), (0.06, 0.06), tone)


def _round_wings(pen: Pen) -> tuple[Points, Points]:
    wide, tall = pen.uniform(0.2, 0.24), pen.uniform(0.17, 0.23)
    upper = arc((0.49 + wide, 0.32), (wide + 0.02, tall), 0, 360)
    less = pen.uniform(0.7, 0.95)
    lower = arc((0.5 + wide * less, 0.66), (wide * less + 0.02, tall * less + 0.02), 0, 360)
    return lower, upper


def _broad_wings(pen: Pen) -> tuple[Points, Points]:
    out, top, waist = pen.uniform(0.9, 1.0), pen.uniform(0.06, 0.2), pen.uniform(0.48, 0.56)
    upper = [(0.49, 0.38), (out - 0.1, top), (out, top + 0.06), (out - 0.08, waist), (0.49, 0.56)]
    foot = pen.uniform(0.82, 1.0)
    lower = [
        (0.49, 0.48),
        (out - 0.12, waist),
        (out - 0.1, waist + 0.18),
        (0.68, foot),
        (0.49, 0.64),
    ]
    return eased(lower), eased(upper)


def _pointed_wings(pen: Pen) -> tuple[Points, Points]:
    tip = (pen.uniform(0.92, 1.0), pen.uniform(0.06, 0.22))
    upper = leaf((0.47, 0.54), tip, pen.uniform(0.32, 0.38), curl=0.05, fullest=0.62)
    foot = (pen.uniform(0.74, 0.88), pen.uniform(0.86, 0.98))
    return leaf((0.47, 0.44), foot, pen.uniform(0.28, 0.34), fullest=0.6), upper


def _folded_butterfly(pen: Pen) -> None:
    tone = pen.choice((DARK, (110, 72, 44)))
    back, up = pen.uniform(0.72, 0.9), pen.uniform(0.02, 0.1)
    for dx in (0.0, 0.1):
        pen.stroke(bend((0.24, 0.64), (0.16, 0.5), (0.04 + dx, 0.42), steps=6), 0.04, tone)
    far = eased([(0.36, 0.74), (0.24, up + 0.16), (0.42, up - 0.02), (0.7, up), (0.55, 0.6)])
    pen.polygon(far, shadow(pen))
    pen.polygon(eased([(0.38, 0.72), (0.6, 0.5), (0.98, 0.56), (back, 0.92), (0.6, 0.92)]))
    upper = eased([(0.34, 0.74), (0.42, up + 0.14), (0.8, up), (0.96, up + 0.2), (0.78, 0.62)])
    pen.polygon(upper)
    pen.stroke([(0.22, 0.66), (0.62, pen.uniform(0.8, 0.9))], 0.09, tone)
    if pen.chance(0.6):
        for spot in ((0.72, 0.28), (0.72, 0.74), (0.56, 0.42))[: pen.integer(1, 3)]:
            pen.ellipse(spot, (0.06, 0.06), pen.choice((pen.accent, WHITE)))
