"""Vehicles of the water and the air: boat, airplane and rocket, each in a few designs."""

from __future__ import annotations

from grounded_ram.scenes.pen import DARK, GLASS, METAL, WHITE, WOOD, Color, Pen, arc, darker
from grounded_ram.scenes.turning import turn_parts
from grounded_ram.scenes.vehicle_parts import LAMP, wheel, windows

FLAME: Color = (255, 150, 40)


def boat(pen: Pen) -> None:
    """Draw a boat: sailing boat, motor boat, steamer or rowing boat."""
    pen.choice((_sailing_boat, _sailing_boat, _steamer, _motor_boat, _rowing_boat))(pen)


def airplane(pen: Pen) -> None:
    """Draw an airplane from the side, from above, or as a propeller biplane."""
    pen.choice((_airliner, _airplane_above, _biplane))(pen)


def rocket(pen: Pen) -> None:
    """Draw a rocket: fat picture-book rocket or a launcher with boosters, at times slanted."""
    if pen.chance(0.65):
        _fat_rocket(pen)
    else:
        _launcher(pen)
    if pen.chance(0.4):
        turn_parts(pen, pen.uniform(20, 50))


def _hull(pen: Pen, top: float, bottom: float, color: Color | None = None) -> None:
    if pen.chance(0.5):
        stern = pen.uniform(0.04, 0.14)
        pen.polygon([(0, top), (1, top), (pen.uniform(0.8, 0.88), bottom), (stern, bottom)], color)
    else:
        keel = arc((0.5, top), (0.5, bottom - top), 0, 180)
        pen.polygon(keel, color)


def _sailing_boat(pen: Pen) -> None:
    deck, bottom = pen.uniform(0.68, 0.74), pen.uniform(0.9, 0.98)
    mast = pen.uniform(0.42, 0.56)
    pen.stroke([(mast, 0.02), (mast, deck + 0.02)], 0.045, WOOD)
    boom = deck - pen.uniform(0.05, 0.09)
    white = WHITE if pen.chance(0.3) else None
    if pen.chance(0.7):
        pen.polygon([(mast + 0.015, 0.04), (pen.uniform(0.86, 0.98), boom), (mast + 0.015, boom)])
        if pen.chance(0.8):
            jib = [(mast - 0.015, pen.uniform(0.1, 0.3)), (mast - 0.015, boom)]
            pen.polygon([*jib, (pen.uniform(0.06, 0.2), boom)], white)
    else:
        left, right = pen.uniform(0.08, 0.16), pen.uniform(0.84, 0.92)
        bulge = pen.uniform(0.05, 0.1)
        sail = [
            (left + 0.06, 0.1),
            (right - 0.06, 0.1),
            (right + bulge, 0.36),
            (right - 0.03, boom),
        ]
        pen.polygon([*sail, (left, boom), (left + bulge + 0.05, 0.36)])
    if pen.chance(0.4):
        pen.polygon([(mast, 0.0), (mast - 0.16, 0.05), (mast, 0.1)], pen.accent)
    _hull(pen, deck, bottom, WOOD if white is None and pen.chance(0.3) else None)
    if pen.chance(0.4):
        pen.rectangle((0.06, deck + 0.01), (0.94, deck + 0.055), darker(pen.body, 0.65))


def _steamer(pen: Pen) -> None:
    deck, bottom = pen.uniform(0.58, 0.64), pen.uniform(0.86, 0.92)
    count = pen.integer(1, 3)
    for i in range(count):
        x = 0.5 + (i - (count - 1) / 2) * 0.17 - 0.05
        pen.rectangle((x, pen.uniform(0.1, 0.2)), (x + 0.1, 0.48))
        pen.rectangle((x - 0.01, 0.2), (x + 0.11, 0.26), pen.accent)
    cabin = WHITE if pen.chance(0.6) else None
    left, right = pen.uniform(0.14, 0.26), pen.uniform(0.72, 0.82)
    pen.rectangle((left, 0.42), (right, deck + 0.02), cabin, corner=0.02)
    windows(
        pen, (left + 0.05, 0.46), (right, 0.52), pen.integer(3, 5), color=DARK if cabin else GLASS
    )
    bow = deck - pen.uniform(0.03, 0.1)
    pen.polygon([(0, deck), (0.8, deck), (1, bow), (0.84, bottom), (0.1, bottom)])
    if pen.chance(0.5):
        for x in (0.25, 0.45, 0.65):
            pen.ellipse((x, deck + 0.12), (0.04, 0.04), WHITE)
    else:
        pen.polygon(
            [(0.08, bottom - 0.06), (0.855, bottom - 0.06), (0.84, bottom), (0.1, bottom)], DARK
        )


def _motor_boat(pen: Pen) -> None:
    deck, bottom = pen.uniform(0.54, 0.6), pen.uniform(0.8, 0.86)
    left, right, top = pen.uniform(0.1, 0.3), pen.uniform(0.55, 0.66), pen.uniform(0.26, 0.36)
    if pen.chance(0.5):
        pen.stroke([(left + 0.1, 0.12), (left + 0.1, top + 0.1)], 0.045, METAL)
        pen.polygon([(left + 0.1, 0.1), (left + 0.28, 0.15), (left + 0.1, 0.21)], pen.accent)
    pen.polygon(
        [(left, deck + 0.02), (left, top), (right - 0.06, top), (right + 0.06, deck + 0.02)]
    )
    windows(pen, (left + 0.05, top + 0.07), (right, deck - 0.06), pen.integer(1, 3))
    bow = deck - pen.uniform(0.02, 0.12)
    pen.polygon([(0, deck), (0.7, deck), (1, bow), (0.78, bottom), (0.04, bottom)])
    stripe = [(0.01, deck + 0.05), (0.94, deck + 0.05), (0.9, deck + 0.1), (0.02, deck + 0.1)]
    pen.polygon(stripe, pen.accent if pen.chance(0.5) else WHITE)


def _rowing_boat(pen: Pen) -> None:
    top, bottom = pen.uniform(0.42, 0.5), pen.uniform(0.72, 0.8)
    rise = pen.uniform(0.06, 0.12)
    pen.pie((0.5, top), (0.44, 0.07), (180, 360), darker(pen.body, 0.55))
    pen.rectangle((0.35, top - 0.05), (0.62, top + 0.02), WOOD)
    rim = [(0.0, top - rise), (0.25, top - 0.01), (0.75, top - 0.01), (1.0, top - rise)]
    pen.polygon(
        [*rim, (0.86, bottom - 0.05), (0.74, bottom), (0.26, bottom), (0.14, bottom - 0.05)]
    )
    lean = pen.uniform(0.06, 0.24)
    for x in (0.42, 0.7)[: pen.integer(1, 2)]:
        end = (x - lean, bottom + 0.04)
        pen.stroke([(x + lean * 0.5, top - 0.12), end], 0.05, WOOD)
        pen.ellipse(end, (0.05, 0.08), WOOD, turn=35)


def _airliner(pen: Pen) -> None:
    slim = pen.uniform(0.1, 0.14)
    tail = pen.uniform(0.2, 0.28)
    pen.polygon([(0.05, 0.48), (0.0, 0.5 - tail), (0.1, 0.5 - tail), (0.26, 0.46)])
    pen.polygon([(0.5, 0.46), (0.38, 0.26), (0.45, 0.26), (0.64, 0.46)], darker(pen.body, 0.8))
    nose = [(1.0, 0.5), (0.92, 0.5 - slim * 0.8), (0.76, 0.5 - slim), (0.3, 0.5 - slim)]
    pen.blob([*nose, (0.0, 0.42), (0.0, 0.47), (0.3, 0.5 + slim), (0.8, 0.5 + slim), (0.97, 0.56)])
    for i in range(pen.integer(3, 5)):
        pen.ellipse((0.32 + 0.1 * i, 0.47), (0.028, 0.032), GLASS)
    pen.polygon([(0.83, 0.43), (0.9, 0.43), (0.95, 0.49), (0.83, 0.49)], GLASS)
    sweep, drop = pen.uniform(0.12, 0.24), pen.uniform(0.2, 0.3)
    wing = [(0.44, 0.53), (0.64, 0.53), (0.52 - sweep, 0.53 + drop), (0.42 - sweep, 0.53 + drop)]
    pen.polygon(wing, darker(pen.body, 0.85) if pen.chance(0.5) else None)
    pen.polygon([(0.04, 0.44), (0.16, 0.46), (0.03, 0.56), (-0.03, 0.56)])
    if pen.chance(0.5):
        pen.ellipse((0.5 - sweep * 0.3, 0.53 + drop * 0.55), (0.08, 0.04), pen.accent)


def _airplane_above(pen: Pen) -> None:
    slim = pen.uniform(0.06, 0.09)
    root, chord = pen.uniform(0.3, 0.44), pen.uniform(0.14, 0.22)
    sweep, tip = pen.uniform(0.0, 0.24), pen.uniform(0.07, 0.12)
    wing = [(0.5, root), (1.0, root + sweep), (1.0, root + sweep + tip), (0.5, root + chord)]
    tail_sweep = pen.uniform(0.02, 0.08)
    span = pen.uniform(0.16, 0.24)
    tail = [
        (0.5, 0.84),
        (0.5 + span, 0.86 + tail_sweep),
        (0.5 + span, 0.94 + tail_sweep),
        (0.5, 0.94),
    ]
    for outline in (wing, tail):
        pen.polygon(outline)
        pen.polygon([(1 - x, y) for x, y in outline])
    if pen.chance(0.6):
        for x in (0.28, 0.72):
            pen.rectangle(
                (x - 0.035, root + sweep * 0.4 - 0.06),
                (x + 0.035, root + sweep * 0.4 + 0.07),
                METAL,
                corner=0.03,
            )
    nose = [(0.5, -0.06), (0.5 + slim, 0.08), (0.5 + slim, 0.5), (0.5 + slim * 0.5, 1.0)]
    pen.blob([*nose, (0.5 - slim * 0.5, 1.0), (0.5 - slim, 0.5), (0.5 - slim, 0.08)])
    pen.ellipse((0.5, 0.13), (slim * 0.6, 0.035), GLASS)
    if pen.chance(0.3):
        pen.ellipse((0.5, 0.02), (0.12, 0.025), DARK)
    turn_parts(pen, pen.uniform(-100, 100))


def _biplane(pen: Pen) -> None:
    double = pen.chance(0.6)
    high = pen.uniform(0.24, 0.3)
    if double:
        for x in (0.52, 0.7):
            pen.stroke([(x, high), (x - 0.02, 0.64)], 0.045, WOOD)
    pen.polygon([(0.02, 0.46), (0.0, 0.24), (0.1, 0.26), (0.22, 0.44)])
    for x in (0.66,):
        pen.stroke([(x - 0.05, 0.6), (x, 0.76)], 0.05, METAL)
        wheel(pen, (x, 0.78), pen.uniform(0.07, 0.09))
    nose = [(0.86, 0.38), (0.92, 0.5), (0.86, 0.64), (0.6, 0.66), (0.02, 0.5), (0.02, 0.42)]
    pen.blob([*nose, (0.4, 0.38), (0.7, 0.36)])
    pen.pie((0.44, 0.42), (0.09, 0.12), (180, 360), GLASS)
    pen.ellipse((0.94, 0.5), (0.03, pen.uniform(0.2, 0.27)), WOOD)
    pen.ellipse((0.92, 0.5), (0.05, 0.05), pen.accent)
    wing = pen.uniform(0.4, 0.5)
    if double:
        pen.rectangle((0.8 - wing, high - 0.045), (0.84, high + 0.045), corner=0.04)
    low = 0.58 if double else 0.5
    pen.rectangle((0.8 - wing, low), (0.8, low + 0.09), darker(pen.body, 0.85), corner=0.04)
    pen.rectangle((0.0, 0.42), (0.2, 0.49), corner=0.03)
    if pen.chance(0.4):
        pen.ellipse((0.28, 0.49), (0.045, 0.045), WHITE)


def _fat_rocket(pen: Pen) -> None:
    wide, base = pen.uniform(0.15, 0.24), pen.uniform(0.76, 0.8)
    flare = pen.uniform(0.12, 0.2)
    if pen.chance(0.7):
        tip = pen.uniform(0.94, 1.02)
        pen.polygon([(0.38, base), (0.62, base), (0.57, 0.9), (0.5, tip), (0.43, 0.9)], FLAME)
        pen.polygon([(0.44, base), (0.56, base), (0.5, tip - 0.07)], LAMP)
    fin = [(0.5 + wide * 0.6, base - 0.26), (0.5 + wide + flare, base - 0.02)]
    fin += [(0.5 + wide + flare, base + pen.uniform(0.06, 0.14)), (0.5 + wide * 0.5, base - 0.02)]
    fins = pen.accent if pen.chance(0.4) else darker(pen.body, 0.7) if pen.chance(0.5) else None
    pen.polygon(fin, fins)
    pen.polygon([(1 - x, y) for x, y in fin], fins)
    pen.rectangle((0.5 - wide * 0.6, base - 0.04), (0.5 + wide * 0.6, base + 0.03), DARK)
    belly = pen.uniform(0.36, 0.52)
    side = [(0.5, -0.04), (0.5 + wide * 0.55, 0.14), (0.5 + wide * 1.1, belly)]
    side += [(0.5 + wide * 0.9, base - 0.1), (0.5 + wide * 0.6, base)]
    pen.blob([*side, *((1 - x, y) for x, y in reversed(side[1:]))])
    if pen.chance(0.4):
        nose = [(0.5, 0.0), (0.5 + wide * 0.6, 0.19), (0.5 - wide * 0.6, 0.19)]
        pen.polygon(nose, darker(pen.body, 0.65))
    radius = wide * pen.uniform(0.4, 0.52)
    for y in (belly - 0.02, belly + 0.2)[: pen.integer(1, 2)]:
        pen.ellipse((0.5, y), (radius, radius), WHITE)
        pen.ellipse((0.5, y), (radius * 0.68, radius * 0.68), GLASS)
        radius *= 0.7
    if pen.chance(0.4):
        pen.rectangle((0.475, base - 0.2), (0.525, base + 0.1), fins, corner=0.02)


def _launcher(pen: Pen) -> None:
    wide, base = pen.uniform(0.1, 0.13), 0.84
    boosters = pen.chance(0.6)
    if boosters or pen.chance(0.5):
        pen.polygon([(0.5 - wide, base), (0.5 + wide, base), (0.5, 1.0)], FLAME)
    for side in (-1, 1):
        if boosters:
            x, half = 0.5 + side * (wide + 0.04), 0.055
            top = pen.uniform(0.42, 0.5)
            pen.rectangle((x - half, top), (x + half, base + 0.02))
            pen.polygon([(x - half, top), (x, top - 0.12), (x + half, top)], darker(pen.body, 0.7))
        else:
            x = 0.5 + side * wide * 0.8
            outer = 0.5 + side * (wide + 0.15)
            pen.polygon([(x, base - 0.2), (outer, base - 0.03), (outer, base + 0.05), (x, base)])
    shoulder = pen.uniform(0.2, 0.28)
    pen.rectangle((0.5 - wide, shoulder), (0.5 + wide, base))
    nose = [(0.5 - wide, shoulder + 0.01), (0.5, 0.0), (0.5 + wide, shoulder + 0.01)]
    pen.polygon(nose, darker(pen.body, 0.7) if pen.chance(0.5) else None)
    if pen.chance(0.9):
        pen.ellipse((0.5, shoulder + 0.14), (wide * 0.55, wide * 0.55), GLASS)
    if pen.chance(0.5):
        pen.rectangle((0.5 - wide, 0.6), (0.5 + wide, 0.66), pen.accent)
