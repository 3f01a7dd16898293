"""Vehicles: car, bus, bicycle and train here; boat, airplane and rocket from ``objects_crafts``."""

from __future__ import annotations

import numpy as np

from grounded_ram.scenes.pen import (
    DARK,
    GLASS,
    METAL,
    WHITE,
    WOOD,
    Pen,
    Point,
    Points,
    arc,
    darker,
)
from grounded_ram.scenes.vehicle_parts import LAMP, wheel, windows


def car(pen: Pen) -> None:
    """Draw a car: saloon, hatchback, pickup or beetle from the side, or any car from the front."""
    pen.choice((_saloon, _saloon, _pickup, _beetle, _car_front))(pen)


def bus(pen: Pen) -> None:
    """Draw a bus: city bus, double-decker or school bus."""
    pen.choice((_city_bus, _city_bus, _double_decker, _school_bus))(pen)


def bicycle(pen: Pen) -> None:
    """Draw a bicycle with a diamond or step-through frame, or a penny-farthing."""
    if pen.chance(0.12):
        _penny_farthing(pen)
    else:
        _safety_bicycle(pen)


def train(pen: Pen) -> None:
    """Draw a train: steam engine (with a wagon or without) or a fast train with a long nose."""
    if pen.chance(0.7):
        _steam_engine(pen)
    else:
        _fast_train(pen)


def _saloon(pen: Pen) -> None:
    roof, belt, floor = pen.uniform(0.2, 0.34), pen.uniform(0.44, 0.52), pen.uniform(0.72, 0.78)
    rear, front = pen.uniform(0.02, 0.22), pen.uniform(0.72, 0.86)
    r0, r1 = rear + pen.uniform(0.04, 0.14), front - pen.uniform(0.12, 0.2)
    pen.polygon([(rear, belt + 0.06), (r0, roof), (r1, roof), (front, belt + 0.06)])
    pen.rectangle((0, belt), (1, floor), corner=pen.uniform(0.05, 0.14))
    top, middle = roof + 0.05, (r0 + r1) / 2 + pen.uniform(-0.04, 0.04)
    slope_0, slope_1 = (r0 - rear) * 0.75, (front - r1) * 0.75
    pen.polygon(
        [(r0 + 0.03 - slope_0 * 0.5 + 0.03, belt), (r0 + 0.04, top), (middle, top), (middle, belt)],
        GLASS,
    )
    pen.polygon(
        [
            (middle + 0.05, belt),
            (middle + 0.05, top),
            (r1 - 0.02, top),
            (r1 + slope_1 - 0.05, belt),
        ],
        GLASS,
    )
    if pen.chance(0.5):
        pen.rectangle((middle - 0.09, belt + 0.05), (middle - 0.02, belt + 0.085), DARK)
    pen.ellipse((0.95, belt + 0.09), (0.045, 0.045), LAMP)
    if pen.chance(0.25):
        pen.rectangle((r0, roof - 0.08), (r1, roof + 0.02), WOOD, corner=0.02)
    radius = pen.uniform(0.1, 0.135)
    for x in (pen.uniform(0.17, 0.24), pen.uniform(0.74, 0.82)):
        wheel(pen, (x, floor), radius)


def _pickup(pen: Pen) -> None:
    roof, belt, floor = pen.uniform(0.22, 0.32), pen.uniform(0.46, 0.5), 0.74
    back, front = pen.uniform(0.3, 0.45), pen.uniform(0.72, 0.8)
    if pen.chance(0.4):
        pen.rectangle((0.04, belt - 0.13), (back - 0.03, belt + 0.05), pen.accent, corner=0.04)
    pen.polygon([(back, belt + 0.05), (back, roof), (front - 0.1, roof), (front, belt + 0.05)])
    pen.rectangle((0, belt), (1, floor), corner=0.05)
    window = [
        (back + 0.05, belt),
        (back + 0.05, roof + 0.05),
        (front - 0.12, roof + 0.05),
        (front - 0.05, belt),
    ]
    pen.polygon(window, GLASS)
    pen.rectangle((0.92, belt + 0.05), (1.0, belt + 0.12), LAMP)
    radius = pen.uniform(0.11, 0.15)
    for x in (0.2, 0.78):
        wheel(pen, (x, floor), radius)


def _beetle(pen: Pen) -> None:
    height = pen.uniform(0.32, 0.42)
    centre = pen.uniform(0.42, 0.5)
    pen.pie((centre, 0.6), (0.34, height), (180, 360))
    for x in (0.2, 0.8):
        pen.pie((x, 0.74), (0.2, pen.uniform(0.2, 0.26)), (180, 360))
    pen.rectangle((0.04, 0.58), (0.96, 0.75), corner=0.06)
    glass = 0.24
    pen.pie((centre - 0.025, 0.54), (glass, height - 0.12), (180, 270), GLASS)
    rear = arc((centre - 0.025, 0.54), (glass, height - 0.12), 180, 270)
    pen.polygon(np.concatenate([rear, [[centre - 0.025, 0.54]]]), GLASS)
    front = arc((centre + 0.025, 0.54), (glass, height - 0.12), 270, 360)
    pen.polygon(np.concatenate([front, [[centre + 0.025, 0.54]]]), GLASS)
    pen.ellipse((0.94, 0.63), (0.045, 0.045), LAMP)
    radius = pen.uniform(0.11, 0.14)
    for x in (0.2, 0.8):
        wheel(pen, (x, 0.76), radius)


def _car_front(pen: Pen) -> None:
    roof, belt, floor = pen.uniform(0.16, 0.26), pen.uniform(0.42, 0.48), pen.uniform(0.76, 0.82)
    inset = pen.uniform(0.12, 0.2)
    for x in (0.08, 0.76):
        pen.rectangle((x, floor - 0.1), (x + 0.16, floor + 0.1), DARK, corner=0.04)
    pen.polygon([(0.05, belt + 0.06), (inset, roof), (1 - inset, roof), (0.95, belt + 0.06)])
    pen.rectangle((0, belt), (1, floor), corner=pen.uniform(0.06, 0.14))
    glass = [
        (inset - 0.01, belt),
        (inset + 0.05, roof + 0.05),
        (0.95 - inset, roof + 0.05),
        (1.01 - inset, belt),
    ]
    pen.polygon(glass, GLASS)
    radius = pen.uniform(0.06, 0.085)
    for x in (0.14, 0.86):
        pen.ellipse((x, belt + 0.13), (radius, radius), LAMP)
    if pen.chance(0.7):
        pen.rectangle((0.32, belt + 0.09), (0.68, belt + 0.18), DARK, corner=0.03)
    pen.rectangle((0.03, floor - 0.08), (0.97, floor - 0.03), METAL, corner=0.02)


def _city_bus(pen: Pen) -> None:
    top, floor = pen.uniform(0.22, 0.3), pen.uniform(0.7, 0.76)
    pen.rectangle((0, top), (1, floor), corner=pen.uniform(0.03, 0.1))
    sill = top + (floor - top) * pen.uniform(0.45, 0.52)
    door = pen.uniform(0.76, 0.82)
    color = pen.choice((GLASS, GLASS, (62, 78, 98)))
    windows(pen, (0.06, top + 0.08), (door - 0.02, sill), pen.integer(3, 5), color=color)
    if pen.chance(0.7):
        pen.rectangle((door, top + 0.08), (0.95, floor - 0.04), color, corner=0.02)
        pen.rectangle((door + 0.065, top + 0.08), (door + 0.085, floor - 0.04), DARK)
    else:
        pen.rectangle((door, top + 0.08), (1.0, sill + 0.03), color, corner=0.02)
    if pen.chance(0.4):
        pen.rectangle((0.03, sill + 0.06), (door - 0.03, sill + 0.1), pen.accent)
    if pen.chance(0.3):
        pen.rectangle((0.25, top - 0.05), (0.6, top + 0.01), METAL, corner=0.02)
    radius = pen.uniform(0.075, 0.1)
    axles = [0.2, 0.72] if pen.chance(0.7) else [0.15, 0.32, 0.74]
    for x in axles:
        wheel(pen, (x, floor), radius)


def _double_decker(pen: Pen) -> None:
    top, floor = pen.uniform(0.06, 0.14), 0.82
    right = pen.uniform(0.82, 1.0)
    middle = (top + floor) / 2
    pen.rectangle((0, top), (right, floor), corner=pen.uniform(0.03, 0.09))
    count = pen.integer(3, 5)
    windows(pen, (0.06, top + 0.08), (right - 0.02, middle - 0.08), count)
    windows(pen, (0.06, middle + 0.02), (right * 0.78, middle + 0.17), max(count - 1, 3))
    pen.rectangle((right * 0.8, middle + 0.02), (right - 0.04, floor - 0.04), GLASS, corner=0.02)
    if pen.chance(0.5):
        pen.rectangle((0.0, middle - 0.05), (right, middle - 0.015), pen.accent)
    for x in (0.2, 0.7):
        wheel(pen, (x * right, floor), pen.uniform(0.085, 0.105))


def _school_bus(pen: Pen) -> None:
    top, floor, nose = pen.uniform(0.24, 0.3), 0.74, pen.uniform(0.8, 0.86)
    hood = pen.uniform(0.48, 0.54)
    pen.rectangle((0, top), (nose, floor), corner=0.05)
    pen.rectangle((nose - 0.1, hood), (1.0, floor), corner=0.06)
    sill = top + pen.uniform(0.19, 0.23)
    windows(pen, (0.05, top + 0.07), (nose - 0.03, sill), pen.integer(4, 5))
    pen.rectangle((0.02, sill + 0.06), (nose - 0.03, sill + 0.1), DARK)
    pen.ellipse((0.965, hood + 0.09), (0.035, 0.035), LAMP)
    for x in (0.2, 0.8):
        wheel(pen, (x, floor), pen.uniform(0.085, 0.1))


def _ring(centre: Point, radius: float) -> Points:
    return arc(centre, (radius, radius), 0, 360, steps=25)


def _safety_bicycle(pen: Pen) -> None:
    radius = pen.uniform(0.17, 0.215)
    rear, front = (radius, 0.72), (1 - radius, 0.72)
    tyre = None if pen.chance(0.65) else DARK
    thick = pen.uniform(0.05, 0.07) if tyre is None else pen.uniform(0.075, 0.09)
    for hub in (rear, front):
        if pen.chance(0.3):
            pen.ellipse(hub, (0.06, 0.06), METAL)
        pen.stroke(_ring(hub, radius), 0.05, tyre)
    crank = (pen.uniform(0.42, 0.48), 0.74)
    seat = (crank[0] - pen.uniform(0.07, 0.12), pen.uniform(0.36, 0.42))
    head = (front[0] - pen.uniform(0.08, 0.14), pen.uniform(0.36, 0.42))
    frame: list[Point] = [rear, crank, head, front]
    pen.stroke(frame, thick)
    pen.stroke([rear, seat, crank], thick)
    if pen.chance(0.7):
        pen.stroke([(seat[0] + 0.01, seat[1] + 0.04), (head[0], head[1] + 0.02)], thick)
    pen.ellipse(crank, (0.055, 0.055), METAL)
    pen.stroke([seat, (seat[0] - 0.02, seat[1] - 0.08)], 0.05, METAL)
    pen.ellipse((seat[0] - 0.02, seat[1] - 0.1), (pen.uniform(0.09, 0.12), 0.04), DARK)
    stem = (head[0] - 0.03, head[1] - pen.uniform(0.08, 0.14))
    pen.stroke([head, stem], thick)
    grip = pen.choice(((-0.13, -0.02), (0.1, -0.03), (0.1, 0.06)))
    pen.stroke([stem, (stem[0] + grip[0], stem[1] + grip[1])], 0.055, DARK)
    if pen.chance(0.25):
        x, y = head[0] + 0.01, head[1] - 0.04
        pen.polygon([(x, y), (x + 0.2, y), (x + 0.17, y + 0.14), (x + 0.03, y + 0.14)], WOOD)


def _penny_farthing(pen: Pen) -> None:
    radius, small = pen.uniform(0.3, 0.34), pen.uniform(0.1, 0.13)
    hub, rear = (0.6, 0.92 - radius), (0.12, 0.92 - small)
    for centre, size in ((hub, radius), (rear, small)):
        pen.stroke(_ring(centre, size), 0.06)
    for degrees in (20, 80, 140):
        x, y = np.cos(np.radians(degrees)) * radius, np.sin(np.radians(degrees)) * radius
        pen.stroke([(hub[0] - x, hub[1] - y), (hub[0] + x, hub[1] + y)], 0.04, METAL)
    top = 0.92 - 2 * radius - 0.08
    pen.stroke([rear, (0.2, 0.5), (0.34, 0.28), (0.56, top), hub], 0.07)
    pen.ellipse((0.4, top + 0.0), (0.1, 0.045), DARK)
    pen.stroke([(0.56, top), (0.6, top - 0.08), (0.7, top - 0.06)], 0.055, DARK)


def _steam_engine(pen: Pen) -> None:
    wagon = pen.chance(0.45)
    left = pen.uniform(0.34, 0.4) if wagon else 0.0
    scale = 1 - left
    floor, boiler = 0.76, 0.62 - pen.uniform(0.22, 0.28) * (0.75 if wagon else 1.0)
    cab, roof = left + 0.34 * scale, boiler - pen.uniform(0.14, 0.2)
    if wagon:
        _wagon(pen, left - 0.05, floor)
    chimney, width = left + pen.uniform(0.76, 0.84) * scale, pen.uniform(0.06, 0.08) * scale
    top = roof - pen.uniform(-0.04, 0.06)
    funnel = pen.uniform(0.8, 1.7)
    flare = [(chimney - width * funnel, top), (chimney + width * funnel, top)]
    pen.polygon([*flare, (chimney + width, boiler + 0.03), (chimney - width, boiler + 0.03)])
    if pen.chance(0.6):
        dome = (left + 0.55 * scale, boiler + 0.02)
        pen.pie(dome, (0.07 * scale, 0.1), (180, 360), pen.accent)
    pen.rectangle((left + 0.2 * scale, boiler), (left + 0.94 * scale, 0.68), corner=0.07)
    pen.rectangle((left + 0.02 * scale, roof), (cab, 0.68))
    glass = (left + 0.09 * scale, roof + 0.07), (cab - 0.06 * scale, boiler + 0.08)
    pen.rectangle(*glass, GLASS, corner=0.02)
    pen.rectangle((left - 0.02, roof - 0.05), (cab + 0.04, roof + 0.01), DARK, corner=0.02)
    pen.rectangle((left, 0.64), (left + 0.96 * scale, floor), darker(pen.body, 0.75))
    pen.polygon([(left + 0.9 * scale, 0.64), (1.0, 0.86), (left + 0.88 * scale, 0.86)], METAL)
    if pen.chance(0.5):
        pen.rectangle((left + 0.62 * scale, boiler), (left + 0.66 * scale, 0.64), pen.accent)
    big = pen.uniform(0.1, 0.13) * (0.75 if wagon else 1.0)
    wheel(pen, (left + 0.17 * scale, 0.86 - big), big)
    for x in np.linspace(0.45, 0.8, pen.integer(2, 3)):
        wheel(pen, (left + float(x) * scale, 0.86 - big * 0.75), big * 0.75)


def _wagon(pen: Pen, right: float, floor: float) -> None:
    pen.rectangle((right - 0.06, floor - 0.08), (right + 0.12, floor - 0.03), DARK)
    top = pen.uniform(0.38, 0.5)
    pen.rectangle((0, top), (right, floor - 0.02), corner=0.02)
    if pen.chance(0.5):
        windows(pen, (0.05, top + 0.06), (right, top + 0.16), 2)
    else:
        pen.pie((right / 2, top + 0.01), (right * 0.42, 0.09), (180, 360), DARK)
    for x in (0.25, 0.75):
        wheel(pen, (right * x, 0.79), 0.07)


def _fast_train(pen: Pen) -> None:
    top, floor = pen.uniform(0.36, 0.42), 0.66
    nose = pen.uniform(0.66, 0.76)
    pen.rectangle((0.0, floor + 0.04), (1.0, floor + 0.09), METAL)
    for x in (0.08, 0.18, 0.48, 0.58, 0.74):
        pen.ellipse((x, floor + 0.01), (0.045, 0.045), DARK)
    front = [
        (nose, top),
        (0.88, top + 0.08),
        (0.98, floor - 0.1),
        (1.0, floor - 0.02),
        (0.97, floor),
    ]
    pen.polygon([(0.36, top), *front, (0.36, floor)])
    pen.rectangle((0.0, top), (0.32, floor), corner=0.02)
    pen.rectangle((0.3, top + 0.05), (0.38, floor - 0.03), DARK)
    windows(pen, (0.03, top + 0.06), (0.31, top + 0.14), pen.integer(2, 3))
    windows(pen, (0.41, top + 0.06), (nose, top + 0.14), pen.integer(2, 3))
    pen.polygon(
        [
            (nose + 0.02, top + 0.04),
            (0.85, top + 0.08),
            (0.9, top + 0.15),
            (nose + 0.02, top + 0.15),
        ],
        GLASS,
    )
    if pen.chance(0.7):
        stripe = pen.accent if pen.chance(0.5) else WHITE
        pen.rectangle((0.0, floor - 0.1), (0.3, floor - 0.06), stripe)
        pen.rectangle((0.38, floor - 0.1), (0.95, floor - 0.06), stripe)
    if pen.chance(0.5):
        pen.stroke([(0.44, top + 0.01), (0.52, top - 0.1), (0.6, top + 0.01)], 0.04, METAL)
