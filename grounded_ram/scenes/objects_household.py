"""Things of the house: cup, umbrella, bottle and book, and the furniture."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from grounded_ram.scenes.outlines import ink, profile, shadow, tint
from grounded_ram.scenes.pen import DARK, METAL, WHITE, WOOD, Color, Pen, Point, Points, arc

_COFFEE: Color = (92, 58, 36)
_PAPER: Color = (248, 240, 220)

Design = Callable[[Pen], None]


def _round_shoulder(s: float) -> float:
    return float(np.sin(s * np.pi / 2))


def _flowing_shoulder(s: float) -> float:
    return s * s * (3 - 2 * s)


_SHOULDERS: tuple[Callable[[float], float], ...] = (float, _round_shoulder, _flowing_shoulder)


def cup(pen: Pen) -> None:
    """Draw a mug, a teacup or a paper cup."""
    designs: tuple[Design, ...] = (_mug, _mug, _teacup, _paper_cup)
    pen.choice(designs)(pen)


def umbrella(pen: Pen) -> None:
    """Draw an umbrella, mostly open."""
    (_closed_umbrella if pen.chance(0.2) else _open_umbrella)(pen)


def book(pen: Pen) -> None:
    """Draw a book: closed, standing, lying or open."""
    designs: tuple[Design, ...] = (_closed_book, _solid_book, _lying_book, _open_book, _open_book)
    pen.choice(designs)(pen)


def bottle(pen: Pen) -> None:
    """Draw a bottle with a neck, a closure and sometimes a label."""
    half, neck = pen.uniform(0.13, 0.23), pen.uniform(0.05, 0.075)
    top, shoulder = pen.uniform(0.1, 0.17), pen.uniform(0.24, 0.42)
    body = shoulder + pen.uniform(0.06, 0.2)
    waist = pen.choice((0.0, 0.0, 0.0, 0.2)) * half
    foot = pen.choice((1.0, 1.0, 0.8))
    _bottle_closure(pen, top, neck)
    bend = pen.choice(_SHOULDERS)
    levels: list[Point] = [(top, neck), (shoulder, neck)]
    for s in np.linspace(0.15, 1, 7):
        levels.append((shoulder + (body - shoulder) * s, neck + (half - neck) * bend(float(s))))
    for s in np.linspace(0.1, 1, 8):
        narrow = waist * np.sin(np.pi * s) + half * (1 - foot) * s
        levels.append((body + (0.95 - body) * s, half - float(narrow)))
    levels.append((0.985, levels[-1][1] - 0.035))
    profile(pen, levels)
    if pen.chance(0.35):
        pen.rectangle((0.5 - neck - 0.02, top), (0.5 + neck + 0.02, top + 0.05))
    if pen.chance(0.55) and waist == 0 and foot == 1:
        color = pen.choice((pen.accent, WHITE, _PAPER))
        low, high = body + 0.08, pen.uniform(body + 0.2, body + 0.27)
        if pen.chance(0.6):
            pen.rectangle((0.5 - half, low), (0.5 + half, high), color)
        else:
            pen.ellipse((0.5, (low + high) / 2), (half * 0.65, (high - low) / 2), color)
    if pen.chance(0.4):
        x = 0.5 - half * 0.62
        pen.stroke([(x, body + 0.03), (x, pen.uniform(0.75, 0.88))], 0.04, tint(pen))


def _bottle_closure(pen: Pen, top: float, neck: float) -> None:
    """Draw a cork, a screw cap, a spout or a pump above the neck."""
    kind = pen.choice(("cork", "screw", "spout", "pump"))
    color = WOOD if kind == "cork" else pen.choice((pen.accent, DARK, METAL, WHITE))
    if kind == "cork":
        pen.rectangle((0.5 - neck * 0.8, top - 0.07), (0.5 + neck * 0.8, top + 0.02), color)
    elif kind == "screw":
        height, wide = pen.uniform(0.06, 0.1), neck + pen.uniform(0.0, 0.03)
        pen.rectangle((0.5 - wide, top - height), (0.5 + wide, top + 0.02), color, corner=0.02)
    elif kind == "spout":
        profile(pen, [(top - 0.1, 0.025), (top - 0.05, 0.035), (top + 0.01, neck)], color)
    else:
        pen.stroke([(0.5, top), (0.5, top - 0.08), (0.5 + 0.15, top - 0.06)], 0.045, color)
        pen.rectangle((0.5 - neck, top - 0.03), (0.5 + neck, top + 0.02), color)


def _handle(pen: Pen, at: Point, reach: float, height: float) -> None:
    """Draw an open cup handle to the right of a point."""
    (x, y), width = at, pen.uniform(0.055, 0.085)
    if pen.chance(0.7):
        pen.stroke(arc((x, y), (reach, height / 2), -90, 90, steps=12), width)
        return
    far, slant = x + reach, pen.uniform(0.0, 0.06)
    top, bottom = y - height / 2, y + height / 2
    pen.stroke([(x, top), (far, top), (far - slant, bottom - slant), (x, bottom)], width)


def _opening(pen: Pen, y: float, half: float) -> None:
    """Draw the rim of a cup seen a little from above, with what is inside."""
    depth = pen.uniform(0.06, 0.1)
    pen.ellipse((0.5, y), (half, depth))
    inside = pen.choice((_COFFEE, WHITE, shadow(pen)))
    pen.ellipse((0.5, y), (half - 0.04, depth - 0.03), inside)


def _mug(pen: Pen) -> None:
    half, top, bottom = pen.uniform(0.23, 0.36), 0.2, pen.uniform(0.75, 0.95)
    ratio, height = pen.uniform(0.72, 1.05), bottom - top
    at = (0.5 + half * (0.88 + 0.08 * ratio), top + height * pen.uniform(0.42, 0.52))
    _handle(pen, at, pen.uniform(0.14, 0.22), height * pen.uniform(0.45, 0.65))
    low, rounding = half * ratio, pen.uniform(0.0, 0.12)
    levels = [(top, half), (bottom - rounding, low)]
    for t in (30, 60, 90):
        s, c = float(np.sin(np.radians(t))), float(np.cos(np.radians(t)))
        levels.append((bottom - rounding * (1 - s), low - rounding * (1 - c)))
    profile(pen, levels)
    if pen.chance(0.6):
        _opening(pen, top, half)
    elif pen.chance(0.5):
        pen.rectangle((0.5 - half - 0.015, top - 0.02), (0.5 + half + 0.015, top + 0.05))
    mark = pen.choice(("none", "none", "band", "spot"))
    middle = top + height * 0.55
    if mark == "band":
        wide = half - (half - low) * 0.55 * height / (height - rounding)
        profile(pen, [(middle - 0.05, wide), (middle + 0.06, wide)], pen.accent)
    elif mark == "spot":
        pen.ellipse((0.5, middle), (0.11, 0.11), pen.accent)


def _teacup(pen: Pen) -> None:
    half, depth, top = pen.uniform(0.3, 0.38), pen.uniform(0.36, 0.5), 0.3
    reach = pen.uniform(0.12, 0.19)
    _handle(pen, (0.5 + half * 0.86, top + depth * 0.4), reach, depth * pen.uniform(0.5, 0.62))
    saucer, bottom = pen.chance(0.65), top + depth
    if saucer:
        wide = half + pen.uniform(0.06, 0.14)
        color = pen.choice((None, pen.accent, WHITE))
        if pen.chance(0.5):
            pen.ellipse((0.5, bottom + 0.03), (wide, pen.uniform(0.05, 0.08)), color)
        else:
            profile(pen, [(bottom, wide), (bottom + 0.07, wide * 0.6)], color)
    foot = pen.uniform(0.11, 0.17)
    profile(pen, [(bottom - 0.08, foot * 0.8), (bottom + 0.035, foot)])
    flare = pen.uniform(0.45, 1.0)
    levels = [
        (top + depth * s, half * float((1 - s**2) ** (flare / 2)) + 0.05 * s)
        for s in np.linspace(0, 0.97, 14)
    ]
    profile(pen, levels)
    if pen.chance(0.6):
        _opening(pen, top, half)


def _paper_cup(pen: Pen) -> None:
    half, ratio = pen.uniform(0.22, 0.3), pen.uniform(0.62, 0.8)
    top, bottom = 0.17, pen.uniform(0.85, 1.0)
    lid = pen.choice((WHITE, DARK, pen.accent))
    if pen.chance(0.35):
        pen.stroke([(0.52, top), (0.58, -0.08), (0.7, -0.13)], 0.05, lid)
    profile(pen, [(top, half), (bottom, half * ratio)])
    profile(pen, [(top - 0.1, half * 0.8), (top - 0.03, half * 0.9)], lid)
    pen.rectangle((0.5 - half - 0.03, top - 0.04), (0.5 + half + 0.03, top + 0.04), lid)
    if pen.chance(0.5):
        low, high = 0.42, 0.57
        wides = [half * (1 - (1 - ratio) * (y - top) / (bottom - top)) for y in (low, high)]
        profile(pen, [(low, wides[0] + 0.01), (high, wides[1] + 0.01)], pen.accent)


def _hook(pen: Pen, at: Point, way: int, color: Color | None) -> None:
    """Draw the curved grip of an umbrella at the end of its shaft; way is 1 down, -1 up."""
    reach = pen.uniform(0.055, 0.085)
    span = (180.0, 0.0) if way == 1 else (180.0, 360.0)
    pen.stroke(arc((at[0] + reach, at[1]), (reach, reach), *span, steps=10), 0.055, color)


def _open_umbrella(pen: Pen) -> None:
    """Draw a dome of panels with a scalloped hem, its shaft and its grip."""
    rise, base, point = pen.uniform(0.32, 0.48), 0.52, pen.choice((0.85, 1.0, 1.35))
    count, sag = pen.integer(3, 6), pen.uniform(0.03, 0.07)
    grip = pen.choice((DARK, WOOD, METAL, pen.accent))
    low = pen.uniform(0.86, 0.95)
    pen.stroke([(0.5, 0.06), (0.5, low)], 0.05, grip)
    if pen.chance(0.75):
        _hook(pen, (0.5, low), 1, grip)
    else:
        pen.stroke([(0.5, low - 0.1), (0.5, low + 0.03)], 0.08, grip)
    pen.stroke([(0.5, base - rise - 0.05), (0.5, base - rise + 0.05)], 0.05, grip)

    def rib(reach: float) -> Points:
        t = np.linspace(0, np.pi / 2, 12)
        return np.stack([0.5 + reach * np.sin(t), base - rise * np.cos(t) ** point], 1)

    edges = [-0.48 * float(np.cos(np.pi * k / count)) for k in range(count + 1)]
    scheme = pen.choice(("plain", "shades", "shades", "accent"))
    if scheme == "accent" or pen.chance(0.3):
        edges = [float(e) for e in np.linspace(-0.48, 0.48, count + 1)]
    other = {"plain": None, "shades": shadow(pen), "accent": pen.accent}[scheme]
    for k, (a, b) in enumerate(pairwise(edges)):
        middle, half = 0.5 + (a + b) / 2, (b - a) / 2
        hem = arc((middle, base), (half, min(sag, half)), 180, 360, steps=9)
        panel = np.concatenate([rib(a), hem, rib(b)[::-1]])
        pen.polygon(panel, other if k % 2 and (scheme == "shades" or k < count - 1) else None)


def _closed_umbrella(pen: Pen) -> None:
    """Draw a furled umbrella, grip up."""
    grip, half = pen.choice((DARK, WOOD, pen.accent)), pen.uniform(0.09, 0.14)
    top, tip = pen.uniform(0.24, 0.3), 0.95
    pen.stroke([(0.5, 0.12), (0.5, 1.02)], 0.05, grip)
    _hook(pen, (0.5, 0.12), -1, grip)
    low = top + 0.12
    profile(pen, [(top, half * 0.6), (low, half), (low + 0.06, half * 0.9), (tip, 0.025)])
    fold = [(0.5 - half * 0.2, top), (0.5 + half * 0.35, top), (0.5 + 0.02, tip - 0.08)]
    pen.polygon(fold, shadow(pen))
    if pen.chance(0.6):
        wide = half * 0.78
        pen.rectangle((0.5 - wide, low + 0.14), (0.5 + wide, low + 0.2), pen.accent)


def _cover_marks(pen: Pen, low: Point, high: Point) -> None:
    """Draw a title, a picture or a frame on the front cover between two corners."""
    color = pen.choice((ink(pen), pen.accent))
    (x0, y0), (x1, y1) = low, high
    width, height = x1 - x0, y1 - y0
    kind = pen.choice(("title", "title", "label", "picture", "none"))
    if kind == "title":
        for k in range(pen.integer(1, 3)):
            y, inset = y0 + height * (0.2 + 0.14 * k), 0.18 + 0.07 * (k % 2)
            pen.stroke([(x0 + width * inset, y), (x1 - width * inset, y)], 0.05, color)
    elif kind == "label":
        y = y0 + height * 0.18
        pen.rectangle((x0 + width * 0.2, y), (x1 - width * 0.2, y + height * 0.25), _PAPER)
        pen.stroke([(x0 + width * 0.32, y + 0.08), (x1 - width * 0.32, y + 0.08)], 0.04, DARK)
    elif kind == "picture":
        pen.ellipse((x0 + width / 2, y0 + height * 0.6), (width * 0.24, width * 0.24), color)
        pen.stroke([(x0 + width * 0.25, y0 + 0.12), (x1 - width * 0.25, y0 + 0.12)], 0.05, color)


def _closed_book(pen: Pen) -> None:
    """Draw a closed book from the front: spine on the left, pages at the right and below."""
    half, edge = pen.uniform(0.3, 0.37), pen.uniform(0.05, 0.08)
    left, right, spine = 0.5 - half, 0.5 + half, pen.uniform(0.07, 0.12)
    pen.rectangle((left, 0.05), (right + edge, 0.95 + edge), shadow(pen), corner=0.03)
    pen.rectangle((left + 0.04, 0.09), (right + edge - 0.03, 0.95 + edge - 0.03), _PAPER)
    if pen.chance(0.4):
        pen.rectangle((right - 0.22, 0.8), (right - 0.12, 1.1), pen.accent)
    pen.rectangle((left, 0.03), (right, 0.95))
    pen.rectangle((left, 0.03), (left + spine, 0.95), shadow(pen))
    _cover_marks(pen, (left + spine, 0.05), (right, 0.95))


def _solid_book(pen: Pen) -> None:
    """Draw a book that stands or lies at a slant: cover, and pages on two sides."""
    slant, thick, tall = pen.uniform(0.06, 0.16), pen.uniform(0.12, 0.2), pen.uniform(0.6, 0.8)
    x0, x1, y1 = 0.2, pen.uniform(0.65, 0.8), 0.95
    y0 = y1 - tall
    back = [(x0 + thick, y0 - slant), (x1 + thick, y0 - slant), (x1 + thick, y1 - slant)]
    pen.polygon([(x0, y0), *back, (x1, y1), (x0, y1)], shadow(pen))
    inset = 0.035
    top = [(x0 + inset, y0), (x0 + thick - 0.01, y0 - slant + inset)]
    side = [(x1 + thick - inset, y0 - slant + inset), (x1 + thick - inset, y1 - slant - inset)]
    pen.polygon([*top, *side, (x1, y1 - inset), (x1, y0)], _PAPER)
    pen.rectangle((x0, y0), (x1, y1))
    pen.rectangle((x0, y0), (x0 + 0.07, y1), shadow(pen))
    _cover_marks(pen, (x0 + 0.07, y0), (x1, y1))


def _lying_book(pen: Pen) -> None:
    """Draw a thick book that lies flat, the cover above in perspective and the pages in front."""
    thick, depth, tilt = pen.uniform(0.14, 0.22), pen.uniform(0.28, 0.42), pen.uniform(0.0, 0.2)
    y, board = 0.5, 0.06
    pen.rectangle((0.1, y), (0.88, y + thick), _PAPER)
    if pen.chance(0.5):
        middle = y + thick / 2
        pen.stroke([(0.2, middle), (0.86, middle)], 0.04, (214, 204, 180))
    pen.pie((0.12, y + thick / 2), (0.09, thick / 2 + board), (90, 270))
    pen.rectangle((0.1, y + thick), (0.95, y + thick + board), corner=0.02)
    cover = [(0.1 + tilt, y - depth), (0.85 + tilt, y - depth), (0.95, y), (0.1, y)]
    pen.polygon(cover)
    pen.rectangle((0.1, y - 0.01), (0.95, y + board - 0.01), shadow(pen))
    if pen.chance(0.7):
        x, shift = 0.5 + tilt / 2, pen.uniform(0.14, 0.2)
        color = pen.choice((ink(pen), pen.accent))
        pen.stroke([(x - shift, y - depth * 0.6), (x + shift, y - depth * 0.6)], 0.06, color)


def _open_book(pen: Pen) -> None:
    """Draw an open book: two leaves of the body colour in a cover, pale page edges, lines."""
    rise, tall = pen.uniform(0.04, 0.12), pen.uniform(0.46, 0.62)
    bow, top = pen.uniform(0.02, 0.07), 0.15
    lines, color = pen.integer(0, 4), pen.choice((ink(pen), tint(pen), pen.accent))
    low = top + tall + 0.06
    board = [(0.0, top + 0.03), (1.0, top + 0.03), (1.0, low), (0.5, low + rise + 0.04), (0.0, low)]
    pen.polygon(board, shadow(pen))
    for way in (-1, 1):
        s = np.linspace(0, 1, 9)
        x = 0.5 + way * 0.46 * s
        curve = top + rise * (1 - s) - bow * np.sin(np.pi * s)
        for drop, paper in ((0.035, _PAPER), (0.0, None)):
            edge = np.stack([x, curve + drop], 1)
            leaf = np.concatenate([edge, edge[::-1] + np.array([0.0, tall])])
            pen.polygon(leaf, paper)
        inner = (s > 0.15) & (s < 0.9)
        for k in range(lines):
            row = curve[inner] + tall * (k + 0.8) / (lines + 0.6)
            pen.stroke(np.stack([x[inner], row], 1), 0.04, color)
    pen.stroke([(0.5, top + rise), (0.5, top + rise + tall)], 0.045, shadow(pen))
