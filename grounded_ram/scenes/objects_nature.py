"""Draw plants and the sky: tree, flower, mushroom, cactus, star, cloud."""

from __future__ import annotations

import numpy as np

from grounded_ram.scenes.outlines import (
    bend,
    discs,
    eased,
    leaf,
    polar,
    scalloped,
    shadow,
    star_outline,
    tint,
)
from grounded_ram.scenes.pen import DARK, WHITE, WOOD, Color, Pen, Point, Points, darker

STEM: Color = (70, 150, 70)
CREAM: Color = (240, 226, 200)
CLAY: Color = (190, 104, 66)
SUN: Color = (252, 205, 60)
BOLT: Color = (250, 190, 40)


def tree(pen: Pen) -> None:
    """Draw a leafy tree, a fir, a tree of several clumps, or a palm."""
    leafy, rest = (_leafy_tree,) * 4, (_fir, _fir, _clumped_tree, _clumped_tree, _palm)
    pen.choice((*leafy, *rest))(pen)


def _trunk(pen: Pen, top: float, half: float) -> None:
    foot = half * pen.uniform(1.0, 1.9)
    bark = pen.choice((WOOD, (110, 76, 48), (122, 90, 72)))
    corners = [(0.5 - half, top), (0.5 + half, top), (0.5 + foot, 1.0), (0.5 - foot, 1.0)]
    pen.polygon(corners, bark)


def _leafy_tree(pen: Pen) -> None:
    half, bottom = pen.uniform(0.04, 0.09), pen.uniform(0.62, 0.8)
    wide = pen.uniform(0.24, 0.46)
    centre, radii = (0.5, bottom / 2), (wide, bottom / 2)
    _trunk(pen, bottom - 0.15, half)
    kind = pen.integer(0, 3)
    if kind == 0:
        pen.ellipse(centre, radii)
    elif kind == 1:
        depth = pen.uniform(0.12, 0.28)
        start = pen.uniform(0, 60)
        pen.polygon(scalloped(centre, radii, pen.integer(6, 11), depth, start=start))
    elif kind == 2:
        pen.polygon(leaf((0.5, 0.0), (0.5, bottom + 0.05), 1.7 * wide, fullest=0.62))
    else:
        pen.rectangle((0.5 - wide, 0.05), (0.5 + wide, bottom), corner=pen.uniform(0.08, 0.2))
    if pen.chance(0.35):
        fruit = pen.uniform(0.03, 0.05)
        for _ in range(pen.integer(3, 7)):
            spot = polar(centre, pen.uniform(0.05, 0.7) * min(radii), pen.uniform(0, 360))
            pen.ellipse(spot, (fruit, fruit), pen.accent)


def _fir(pen: Pen) -> None:
    layers, bottom = pen.integer(1, 4), pen.uniform(0.8, 0.92)
    wide, sag = pen.uniform(0.26, 0.44), pen.uniform(0.0, 0.06)
    narrowing = pen.uniform(0.45, 0.75)
    _trunk(pen, bottom - 0.1, pen.uniform(0.05, 0.09))
    shaded = pen.chance(0.4)
    for i in reversed(range(layers)):
        low = bottom * (i + 1) / layers
        high = 0.0 if i == 0 else bottom * (i - 0.45) / layers
        half = wide * (narrowing + (1 - narrowing) * (i + 1) / layers)
        edge = [(0.5, high), (0.5 + 0.45 * half, (low + high) / 2 + sag), (0.5 + half, low)]
        edge += [(0.5, low + sag), (0.5 - half, low), (0.5 - 0.45 * half, (low + high) / 2 + sag)]
        pen.polygon(edge, shadow(pen) if shaded and i % 2 else None)
    if pen.chance(0.25):
        pen.polygon(star_outline((0.5, 0.02), 0.09, 5, 0.45), pen.accent)
        for x, y in ((0.44, 0.4), (0.58, 0.5), (0.4, 0.68), (0.6, 0.74)):
            pen.ellipse((x, y), (0.035, 0.035), pen.accent)


def _clumped_tree(pen: Pen) -> None:
    _trunk(pen, 0.5, pen.uniform(0.05, 0.08))
    spread = pen.uniform(0.18, 0.28)
    if pen.chance(0.5):
        for x in (0.5 - spread, 0.5 + spread):
            pen.stroke([(0.5, 0.75), (x, 0.5)], 0.07, WOOD)
    clumps: list[Point] = [(0.5 - spread, 0.48), (0.5 + spread, 0.46), (0.5, 0.26)]
    if pen.chance(0.4):
        clumps += [(0.5 - 0.8 * spread, 0.28), (0.5 + 0.8 * spread, 0.27)]
    shaded = pen.chance(0.3)
    for i, centre in enumerate(clumps):
        r = pen.uniform(0.2, 0.26)
        pen.ellipse(centre, (r, r * 0.9), darker(pen.body, 0.85) if shaded and i == 0 else None)
    pen.ellipse((0.5, 0.42), (0.2, 0.16))


def _palm(pen: Pen) -> None:
    top = (pen.uniform(0.42, 0.58), pen.uniform(0.3, 0.36))
    foot = pen.uniform(0.4, 0.6)
    pen.stroke(bend(top, (top[0], 0.7), (foot, 0.98)), pen.uniform(0.07, 0.1), WOOD)
    fronds, width = pen.integer(5, 7), pen.uniform(0.17, 0.22)
    for i in range(fronds):
        degrees = 160 + 220 * i / (fronds - 1)
        tip = polar(top, pen.uniform(0.4, 0.48), degrees)
        curl = 0.27 * float(np.cos(np.radians(degrees)))
        pen.polygon(leaf(top, (tip[0], tip[1] + 0.1), width, curl=-curl, fullest=0.45))
    if pen.chance(0.5):
        for dx in (-0.04, 0.05):
            pen.ellipse((top[0] + dx, top[1] + 0.05), (0.04, 0.04), (96, 66, 42))


def flower(pen: Pen) -> None:
    """Draw a flower of petals seen from the front, a tulip, or a cup of petals from the side."""
    pen.choice((*(_open_flower,) * 5, _tulip, _tulip, _side_flower))(pen)


def _stem(pen: Pen, top: float) -> None:
    sway = pen.uniform(-0.08, 0.08)
    pen.stroke(bend((0.5, top), (0.5 + sway, 0.8), (0.5, 0.98)), pen.uniform(0.045, 0.065), STEM)
    leaves, reach = pen.integer(0, 2), pen.uniform(0.16, 0.24)
    for side in (-1, 1)[:leaves]:
        tip = (0.5 + side * reach, pen.uniform(0.68, 0.78))
        pen.polygon(leaf((0.5, 0.94), tip, 0.1, curl=0.08 * side), STEM)


def _open_flower(pen: Pen) -> None:
    centre, reach = (0.5, 0.34), pen.uniform(0.31, 0.36)
    if pen.chance(0.65):
        _stem(pen, 0.4)
    petals, kind, start = pen.integer(4, 9), pen.integer(0, 3), pen.uniform(0, 90)
    if kind == 0:
        depth = pen.uniform(0.25, 0.45)
        pen.polygon(scalloped(centre, (reach, reach), min(petals, 8), depth, start=start))
    for i in range(petals * (kind > 0)):
        degrees = start + 360 * i / petals
        if kind == 1:
            fat = min(2.6 * reach / petals, 0.6 * reach)
            pen.ellipse(polar(centre, 0.6 * reach, degrees), (0.45 * reach, fat), turn=degrees)
        elif kind == 2:
            tip, width = polar(centre, 1.1 * reach, degrees), 5.2 * reach / petals
            pen.polygon(leaf(centre, tip, min(width, 0.9 * reach), fullest=0.6))
        else:
            r = min(2.9 * reach / petals, 0.5 * reach)
            pen.ellipse(polar(centre, reach - r, degrees), (r, r))
    if kind > 0:
        pen.ellipse(centre, (0.38 * reach, 0.38 * reach))
    heart = reach * pen.uniform(0.22, 0.42)
    pen.ellipse(centre, (heart, heart), pen.choice((pen.accent, SUN, (112, 72, 40))))
    if pen.chance(0.3):
        pen.ellipse(centre, (heart / 2, heart / 2), pen.choice((DARK, WHITE)))


def _tulip(pen: Pen) -> None:
    _stem(pen, 0.45)
    wide, flare, notch = pen.uniform(0.2, 0.28), pen.uniform(0.85, 1.2), pen.uniform(0.14, 0.24)
    top = 0.02
    cup: list[Point] = [(0.5 - wide * flare, top), (0.5 - wide / 2, notch), (0.5, top)]
    cup += [(0.5 + wide / 2, notch), (0.5 + wide * flare, top), (0.5 + wide, 0.34)]
    cup += [(0.5 + 0.5 * wide, 0.5), (0.5, 0.53), (0.5 - 0.5 * wide, 0.5), (0.5 - wide, 0.34)]
    pen.polygon(cup)
    if pen.chance(0.6):
        petal = leaf((0.5, 0.0), (0.5, 0.53), wide * pen.uniform(0.9, 1.2), fullest=0.6)
        pen.polygon(petal, darker(pen.body, pen.choice((0.82, 1.35))))


def _side_flower(pen: Pen) -> None:
    _stem(pen, 0.45)
    base, petals, reach = (0.5, 0.5), pen.integer(4, 7), pen.uniform(0.42, 0.5)
    spread = pen.uniform(60, 85)
    for i in range(petals):
        degrees = 270 + spread * (2 * i / (petals - 1) - 1)
        width = pen.uniform(0.17, 0.22)
        pen.polygon(leaf(base, polar(base, reach, degrees), width, fullest=0.62))
    pen.pie((0.5, 0.47), (0.15, 0.13), (0, 180), pen.choice((STEM, pen.accent)))


def mushroom(pen: Pen) -> None:
    """Draw one mushroom, or a big one with a small one at its foot."""
    if pen.chance(0.25):
        side = pen.choice((-1, 1))
        _one_mushroom(pen, (0.5 + side * 0.26, 0.99), pen.uniform(0.44, 0.52))
        _one_mushroom(pen, (0.5 - side * 0.08, 1.0), 0.95)
    else:
        _one_mushroom(pen, (0.5, 1.0), 1.0)


def _one_mushroom(pen: Pen, foot: Point, size: float) -> None:
    x, y = foot
    brim, thick = y - size * pen.uniform(0.36, 0.48), size * pen.uniform(0.08, 0.12)
    wide, tall = size * pen.uniform(0.38, 0.5), size * pen.uniform(0.42, 0.54)
    bulge = thick * pen.uniform(1.0, 1.4)
    stem = pen.choice((CREAM, CREAM, WHITE, (222, 200, 170)))
    pen.polygon([(x - thick, brim), (x + thick, brim), (x + bulge, y), (x - bulge, y)], stem)
    pen.ellipse((x, y - 0.02 * size), (bulge, 0.05 * size), stem)
    if pen.chance(0.35):
        pen.pie((x, brim + 0.08 * size), (thick * 1.8, 0.07 * size), (180, 360), darker(stem, 0.85))
    under = pen.uniform(0.03, 0.08) * size
    if pen.chance(0.6):
        pen.ellipse((x, brim), (wide * 0.94, under), darker(stem, 0.8))
    kind = pen.integer(0, 2)
    if kind == 0:
        pen.pie((x, brim), (wide, tall), (180, 360))
    elif kind == 1:
        edge = [(x - wide, brim), (x - 0.55 * wide, brim - 0.5 * tall), (x, brim - 1.4 * tall)]
        pen.polygon(eased([*edge, (x + 0.55 * wide, brim - 0.5 * tall), (x + wide, brim)]))
    else:
        lip = brim + 0.06 * size
        cap = [(x - wide, brim), (x - 0.8 * wide, brim - 0.8 * tall), (x, brim - 1.1 * tall)]
        cap += [(x + 0.8 * wide, brim - 0.8 * tall), (x + wide, brim), (x + wide, lip)]
        pen.blob([*cap, (x, brim), (x - wide, lip)])
    if pen.chance(0.6):
        r, ink = size * pen.uniform(0.045, 0.07), pen.choice((WHITE, pen.accent, CREAM))
        for dx, dy in ((-0.5, 0.25), (0.0, 0.55), (0.5, 0.22), (0.08, 0.18))[: pen.integer(3, 4)]:
            pen.ellipse((x + dx * wide, brim - dy * tall), (r, 0.85 * r), ink)


def cactus(pen: Pen) -> None:
    """Draw a cactus: a column with arms, a ribbed ball, or flat pads, some in a pot."""
    kind = pen.choice((*(_armed_cactus,) * 4, _ball_cactus, _pad_cactus))
    potted = pen.chance(0.4 if kind is _armed_cactus else 0.75)
    kind(pen, 0.78 if potted else 1.0)
    if potted:
        wide, clay = pen.uniform(0.18, 0.24), pen.choice((CLAY, pen.accent))
        edge = 0.75 * wide
        pen.polygon(
            [(0.5 - wide, 0.76), (0.5 + wide, 0.76), (0.5 + edge, 1), (0.5 - edge, 1)], clay
        )
        pen.rectangle((0.47 - wide, 0.73), (0.53 + wide, 0.81), darker(clay, 0.85))


def _prickles(pen: Pen, low: Point, high: Point) -> None:
    ink = pen.choice((WHITE, DARK, darker(pen.body, 0.6)))
    for i, y in enumerate(np.arange(low[1], high[1], 0.12)):
        x = low[0] + (high[0] - low[0]) * (0.25 if i % 2 else 0.75)
        pen.stroke([(x - 0.015, float(y)), (x + 0.015, float(y) - 0.03)], 0.04, ink)


def _bloom(pen: Pen, centre: Point) -> None:
    petals = scalloped(centre, (0.09, 0.09), pen.integer(5, 6), 0.35)
    pen.polygon(petals, pen.choice((pen.accent, (238, 96, 150))))


def _armed_cactus(pen: Pen, base: float) -> None:
    wide, top, arm = pen.uniform(0.2, 0.28), pen.uniform(0.05, 0.15), pen.uniform(0.12, 0.16)
    sides = pen.choice(((-1, 1), (-1, 1), (-1,), (1,)))
    square = pen.chance(0.4)
    for side in sides:
        low = base - pen.uniform(0.26, 0.42)
        out, high = 0.5 + side * pen.uniform(0.27, 0.34), low - pen.uniform(0.16, 0.32)
        line = [(0.5, low), (out, low), (out, high)]
        elbow = bend((0.5, low), (out, low), (out, low - 0.14), steps=8)
        curve: Points = np.concatenate([elbow, [[out, min(high, low - 0.16)]]])
        pen.stroke(line if square else curve, arm)
    pen.rectangle((0.5 - wide / 2, top), (0.5 + wide / 2, base + 0.03), corner=wide / 2)
    if pen.chance(0.5):
        _prickles(pen, (0.5 - wide / 2, top + 0.14), (0.5 + wide / 2, base - 0.04))
    elif pen.chance(0.6):
        for dx in (-0.22 * wide, 0.22 * wide):
            line = [(0.5 + dx, top + 0.12), (0.5 + dx, base - 0.06)]
            pen.stroke(line, 0.04, shadow(pen))
    if pen.chance(0.3):
        _bloom(pen, (0.5, top))


def _ball_cactus(pen: Pen, base: float) -> None:
    wide, tall = pen.uniform(0.26, 0.36), pen.uniform(0.3, 0.38)
    middle = base - tall + 0.02
    pen.polygon(scalloped((0.5, middle), (wide, tall), pen.integer(10, 13), 0.12, start=90))
    ink = pen.choice((shadow(pen), tint(pen)))
    for x in np.linspace(-0.6, 0.6, pen.integer(3, 4)):
        reach = 0.8 * tall * float(np.sqrt(1 - x * x))
        foot, head = (0.5 + 0.5 * x * wide, middle + reach), (0.5 + 0.5 * x * wide, middle - reach)
        rib = bend(foot, (0.5 + 1.6 * x * wide, middle), head)
        pen.stroke(rib, 0.04, ink)
    if pen.chance(0.7):
        _bloom(pen, (0.5, middle - tall))


def _pad_cactus(pen: Pen, base: float) -> None:
    low = base - 0.24
    pads: list[tuple[Point, Point, float]] = [((0.5, low), (0.18, 0.27), 0.0)]
    lean = pen.uniform(25, 45)
    pads += [((0.5 + 0.22, low - 0.3), (0.12, pen.uniform(0.17, 0.22)), lean)]
    pads += [((0.5 - 0.2, low - 0.32), (0.12, pen.uniform(0.17, 0.22)), -lean)]
    if pen.chance(0.5):
        pads += [((0.5 + pen.uniform(-0.04, 0.04), low - 0.36), (0.11, 0.17), 0.0)]
    ink = pen.choice((WHITE, darker(pen.body, 0.6)))
    for centre, radii, turn in reversed(pads):
        pen.ellipse(centre, radii, turn=turn)
        for dx, dy in ((0, -0.45), (-0.4, 0.05), (0.4, 0.1), (0, 0.5)):
            pen.ellipse((centre[0] + dx * radii[0], centre[1] + dy * radii[1]), (0.022, 0.022), ink)
    if pen.chance(0.4):
        _bloom(pen, (0.71, low - 0.5))


def star(pen: Pen) -> None:
    """Draw a star: sharp, rounded, facetted, with a smaller star inside, or with a face."""
    tips = pen.choice((5, 5, 5, 5, 5, 6, 4))
    inner = {4: pen.uniform(0.3, 0.45), 5: pen.uniform(0.36, 0.58), 6: pen.uniform(0.4, 0.6)}[tips]
    centre, rounded = (0.5, 0.5), pen.chance(0.35)
    outline = star_outline(centre, 0.5, tips, inner)
    pen.polygon(eased(outline) if rounded else outline)
    kind = pen.integer(0, 4)
    if kind == 1 and not rounded:
        for i in range(0, 2 * tips, 2):
            facet = np.stack([np.asarray(centre), outline[i], outline[i - 1]])
            pen.polygon(facet, shadow(pen))
    elif kind == 2:
        pen.polygon(star_outline(centre, pen.uniform(0.2, 0.3), tips, inner), pen.accent)
    elif kind == 3:
        ink = DARK if sum(pen.body) > 250 else WHITE
        for x in (0.43, 0.57):
            pen.ellipse((x, 0.47), (0.028, 0.04), ink)
        pen.stroke(bend((0.43, 0.58), (0.5, 0.66), (0.57, 0.58), steps=7), 0.04, ink)


def cloud(pen: Pen) -> None:
    """Draw a cloud: heaped on a flat base, puffy all round, or a scalloped oval."""
    if pen.chance(0.18):
        x, r = pen.choice((0.3, 0.7)), pen.uniform(0.15, 0.19)
        pen.polygon(scalloped((x, 0.32), (r, r), pen.integer(8, 12), pen.choice((0.0, 0.25))), SUN)
    elif pen.chance(0.15):
        bolt = [(0.5, 0.6), (0.64, 0.6), (0.56, 0.76), (0.64, 0.76), (0.44, 1.0), (0.5, 0.82)]
        pen.polygon([*bolt, (0.42, 0.82)], BOLT)
    if pen.chance(0.2):
        dx = pen.choice((-0.12, 0.12))
        pen.polygon(_heap(pen, flat=True) * 0.85 + [0.08 + dx, -0.02], darker(pen.body, 0.82))
    if pen.chance(0.8):
        pen.polygon(_heap(pen, flat=pen.chance(0.6)))
    else:
        radii = (0.48, pen.uniform(0.24, 0.32))
        bumps, depth = pen.integer(7, 10), pen.uniform(0.2, 0.32)
        pen.polygon(scalloped((0.5, 0.5), radii, bumps, depth, start=pen.uniform(0, 90)))
    if pen.chance(0.3):
        ink = shadow(pen)
        for x in (0.33, 0.58)[: pen.integer(1, 2)]:
            y = pen.uniform(0.48, 0.54)
            pen.stroke(bend((x, y + 0.06), (x + 0.06, y - 0.06), (x + 0.14, y + 0.05)), 0.04, ink)


def _heap(pen: Pen, *, flat: bool) -> Points:
    """Return the outline of a heap of discs, highest anywhere in its middle."""
    count = pen.integer(3, 5)
    peak = pen.uniform(0.25, 0.75)
    middles = np.linspace(0.15, 0.85, count) + pen.rng.uniform(-0.03, 0.03, count)
    bulk = 1 - 0.9 * np.abs(middles - peak)
    radii = (0.55 / count + 0.06) * (0.75 + 0.5 * bulk) * pen.rng.uniform(0.95, 1.15, count)
    lift = np.maximum(bulk * pen.uniform(0.05, 0.25), 0) * (np.arange(count) % (count - 1) > 0)
    return discs(middles, radii, lift, base=0.7 if flat else None)
