"""A person of a picture book, posed by the angles of the joints in one of a few actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from grounded_ram.scenes.pen import DARK, SKIN_TONES, WOOD, Color, Pen, Point, arc, darker

HAIR: tuple[Color, ...] = (
    (40, 32, 30),
    (92, 58, 36),
    (196, 140, 62),
    (170, 78, 40),
    (130, 130, 134),
)

Limb = tuple[float, float]
"""Degrees of the upper and the lower half: 0 hangs down, 90 points right, 180 up, -90 left."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How a person holds the limbs.

    Args:
        arms: left and right arm as seen (side view: far and near).
        legs: left and right leg as seen (side view: far and near).
        lean: degrees the torso leans to the right.
        side: whether the person is seen from the side, facing right.
        seat: whether something to sit on is drawn below the hips.
        crossed: whether the legs are folded in front of the torso.
    """

    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]
    lean: float = 0.0
    side: bool = False
    seat: bool = False
    crossed: bool = False


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Proportions and clothes of one person; lengths in units of the square."""

    head: float
    torso: float
    shoulder: float
    arm: float
    leg: float
    thick: float
    skin: Color
    trousers: Color | None
    short_sleeves: bool
    dress: bool


def person(pen: Pen, action: str) -> None:
    """Draw a person in one of ``ACTIONS``."""
    pose = _POSES[action](pen)
    figure = _figure(pen, pose, seated=action == "sitting")
    hip: Point = (0.5, 0.55)
    neck = _step(hip, 180 - pose.lean, figure.torso)
    if pose.seat:
        _seat(pen, figure, hip)
    shoulders = [_shoulder(figure, pose, neck, i) for i in (0, 1)]
    if pose.side:
        _arm(pen, figure, shoulders[0], pose.arms[0], color=darker(pen.body, 0.8))
    if pose.crossed:
        _torso(pen, figure, pose, neck, hip=hip)
        _legs(pen, figure, pose, hip)
    else:
        _legs(pen, figure, pose, hip)
        _torso(pen, figure, pose, neck, hip=hip)
    _head(pen, figure, pose, neck)
    if not pose.side:
        _arm(pen, figure, shoulders[0], pose.arms[0])
    _arm(pen, figure, shoulders[1], pose.arms[1])


def _figure(pen: Pen, pose: Pose, *, seated: bool) -> Figure:
    thick = pen.uniform(0.1, 0.135)
    trousers = darker(pen.body, pen.uniform(0.6, 0.8)) if pen.chance(0.35) else None
    return Figure(
        head=pen.uniform(0.105, 0.135),
        torso=pen.uniform(0.26, 0.32),
        shoulder=pen.uniform(0.09, 0.13) * (0.6 if pose.side else 1.0),
        arm=pen.uniform(0.15, 0.18),
        leg=pen.uniform(0.17, 0.22) * (1.25 if seated and pose.side else 1.0),
        thick=thick,
        skin=pen.choice(SKIN_TONES),
        trousers=trousers,
        short_sleeves=pen.chance(0.25),
        dress=not seated and pen.chance(0.25),
    )


def _step(start: Point, degrees: float, length: float) -> Point:
    """Walk from a point: 0 degrees is down, 90 right."""
    t = np.radians(degrees)
    return float(start[0] + length * np.sin(t)), float(start[1] + length * np.cos(t))


def _shoulder(figure: Figure, pose: Pose, neck: Point, index: int) -> Point:
    top = _step(neck, -pose.lean, figure.thick * 0.45)
    if pose.side:
        return top
    return _step(top, (-90, 90)[index] - pose.lean, figure.shoulder)


def _hip(figure: Figure, pose: Pose, hip: Point, index: int) -> Point:
    offset = 0.0 if pose.side else figure.thick * 0.5
    return hip[0] + (-offset, offset)[index], hip[1]


def _arm(pen: Pen, figure: Figure, start: Point, limb: Limb, *, color: Color | None = None) -> None:
    elbow = _step(start, limb[0], figure.arm)
    hand = _step(elbow, limb[1], figure.arm)
    width = figure.thick * 0.82
    if figure.short_sleeves:
        pen.stroke([elbow, hand], width * 0.9, figure.skin)
        pen.stroke([start, elbow], width, color)
    else:
        pen.stroke([start, elbow, hand], width, color)
    palm = _step(hand, limb[1], width * 0.35)
    pen.ellipse(palm, (width * 0.55, width * 0.55), figure.skin)


def _leg(
    pen: Pen, figure: Figure, start: Point, limb: Limb, *, toes: float, color: Color | None
) -> None:
    knee = _step(start, limb[0], figure.leg)
    foot = _step(knee, limb[1], figure.leg)
    if figure.dress and figure.trousers is None:
        pen.stroke([start, knee, foot], figure.thick * 0.85, figure.skin)
    else:
        pen.stroke([start, knee, foot], figure.thick, color)
    ankle = _step(foot, limb[1], figure.thick * 0.1)
    pen.stroke(
        [ankle, _step(ankle, limb[1] + toes, figure.thick * 0.55)], figure.thick * 0.75, DARK
    )


def _legs(pen: Pen, figure: Figure, pose: Pose, hip: Point) -> None:
    far = darker(figure.trousers or pen.body, 0.8) if pose.side else figure.trousers
    for i, color in ((0, far), (1, figure.trousers)):
        outward = 1 if pose.side or i == 1 else -1
        toes = 0.0 if pose.crossed else 75.0 * outward
        _leg(pen, figure, _hip(figure, pose, hip, i), pose.legs[i], toes=toes, color=color)


def _torso(pen: Pen, figure: Figure, pose: Pose, neck: Point, *, hip: Point) -> None:
    across = 90 - pose.lean
    half = figure.shoulder + figure.thick * 0.4
    low = figure.thick * (0.7 if pose.side else 0.95)
    top = _step(neck, -pose.lean, 0.01)
    corners = [_step(top, across, half * 0.8), _step(top, across + 180, half * 0.8)]
    arms = _step(neck, -pose.lean, figure.thick * 0.45)
    corners = [*corners, _step(arms, across + 180, half)]
    corners += [_step(hip, across + 180, low), _step(hip, across, low), _step(arms, across, half)]
    pen.polygon(corners)
    if figure.dress:
        hem = [_step(_step(hip, limb[0], figure.leg * 0.75), 0, 0.0) for limb in pose.legs]
        left, right = min(x for x, _ in hem) - 0.07, max(x for x, _ in hem) + 0.07
        bottom = max(y for _, y in hem)
        waist = _step(hip, 180 - pose.lean, figure.torso * 0.4)
        sides = [_step(waist, across + 180, low * 0.9), (left, bottom), (right, bottom)]
        pen.polygon([*sides, _step(waist, across, low * 0.9)])
    elif pen.chance(0.3):
        ends = [_step(hip, across + 180, low * 0.9), _step(hip, across, low * 0.9)]
        pen.stroke(ends, 0.045, pen.accent)


def _head_centre(figure: Figure, pose: Pose, neck: Point) -> Point:
    return _step(neck, 180 - pose.lean * 0.6, figure.head * 0.85)


def _head(pen: Pen, figure: Figure, pose: Pose, neck: Point) -> None:
    x, y = _head_centre(figure, pose, neck)
    r = figure.head
    hair = pen.choice(HAIR)
    style = pen.choice(("short", "long", "bun", "tail", "cap", "hat", "beanie", "curly"))
    back = -1 if pose.side else pen.choice((-1, 1))
    if style == "long":
        shift = -0.3 * r if pose.side else 0.0
        pen.rectangle(
            (x - r * 1.15 + shift, y - r * 0.6),
            (x + r * 1.15 + shift, y + r * 1.15),
            hair,
            corner=r * 0.5,
        )
    elif style == "bun":
        pen.ellipse(
            (x + (back * 0.5 * r if pose.side else 0.0), y - r * 1.2), (r * 0.45, r * 0.4), hair
        )
    elif style == "tail":
        pen.stroke(
            [(x + back * r * 0.8, y - r * 0.3), (x + back * r * 1.5, y + r * 0.5)], r * 0.5, hair
        )
    elif style == "curly":
        for degrees in range(150, 400, 40):
            px, py = arc((x, y), (r * 0.9, r * 0.9), degrees, degrees, steps=1)[0]
            pen.ellipse((px, py), (r * 0.42, r * 0.42), hair)
    pen.ellipse((x, y), (r, r * 1.05), figure.skin)
    _face(pen, (x, y), r, side=pose.side)
    start, end = (150, 340) if pose.side else (190, 350)
    if style in ("cap", "hat", "beanie"):
        _hat(pen, (x, y), r, style, forward=1 if pose.side else back)
    else:
        pen.pie((x, y), (r * 1.04, r * 1.1), (start + pen.uniform(-8, 8), end), hair)


def _face(pen: Pen, centre: Point, r: float, *, side: bool) -> None:
    x, y = centre
    eyes = (0.5,) if side else (-0.35, 0.35)
    for dx in eyes:
        pen.ellipse((x + dx * r, y + 0.08 * r), (r * 0.12, r * 0.15), DARK)
    mouth = (x + (0.45 * r if side else 0.0), y + 0.42 * r)
    pen.pie(mouth, (r * (0.25 if side else 0.35), r * 0.25), (0, 180), (190, 60, 60))


def _hat(pen: Pen, centre: Point, r: float, style: str, *, forward: int) -> None:
    x, y = centre
    color = None if pen.chance(0.5) else pen.accent
    brow = y - r * 0.25
    if style == "cap":
        pen.stroke([(x, brow), (x + forward * r * 1.4, brow)], 0.05, color)
        pen.pie((x, brow + 0.01), (r * 1.02, r * 0.95), (180, 360), color)
    elif style == "beanie":
        pen.ellipse((x, brow - r * 0.95), (r * 0.3, r * 0.3), color)
        pen.pie((x, brow + 0.01), (r * 1.05, r * 1.0), (180, 360), color)
    else:
        pen.rectangle((x - r * 0.75, brow - r * 0.85), (x + r * 0.75, brow), color, corner=r * 0.3)
        pen.stroke([(x - r * 1.35, brow), (x + r * 1.35, brow)], 0.05, color)


def _seat(pen: Pen, figure: Figure, hip: Point) -> None:
    x, y = hip[0], hip[1] + figure.thick * 0.4
    pen.rectangle((x - 0.12, y), (x + 0.1, y + figure.leg), WOOD, corner=0.03)


def _jitter(pen: Pen, limb: Limb, amount: float = 8.0) -> Limb:
    return limb[0] + pen.uniform(-amount, amount), limb[1] + pen.uniform(-amount, amount)


def _mirror(limb: Limb) -> Limb:
    return -limb[0], -limb[1]


def _resting_arm(pen: Pen) -> Limb:
    """Return a right arm that hangs, hangs away from the body, or rests on the hip."""
    return _jitter(pen, pen.choice(((12.0, 6.0), (30.0, 20.0), (52.0, -30.0))), 6)


def _standing_legs(pen: Pen) -> tuple[Limb, Limb]:
    spread = pen.uniform(0, 14)
    return (-spread, -spread), (spread, spread)


def _standing(pen: Pen) -> Pose:
    if pen.chance(0.25):
        swing = pen.uniform(0, 15)
        arms = (swing, swing + 10), (-swing, -swing + 15)
        return Pose(arms=arms, legs=((4, 2), (-4, -6)), lean=pen.uniform(-4, 4), side=True)
    right = _resting_arm(pen)
    left = _jitter(pen, right, 4) if pen.chance(0.6) else _resting_arm(pen)
    lean = pen.uniform(-4, 4)
    return Pose(arms=(_mirror(left), right), legs=_standing_legs(pen), lean=lean)


def _waving(pen: Pen) -> Pose:
    upper = pen.uniform(110, 150)
    wave: Limb = (upper, max(upper, pen.uniform(140, 185)))
    rest = _resting_arm(pen)
    arms = (_mirror(rest), wave) if pen.chance(0.5) else (_mirror(wave), rest)
    return Pose(arms=arms, legs=_standing_legs(pen), lean=pen.uniform(-6, 6))


def _running(pen: Pen) -> Pose:
    stride, kick = pen.uniform(45, 78), pen.uniform(-62, -35)
    ahead = stride, stride - pen.uniform(20, 65)
    behind = kick, kick - pen.uniform(15, 70)
    fore, aft = pen.uniform(30, 70), pen.uniform(-85, -55)
    arms = (fore, fore + pen.uniform(60, 95)), (aft, aft + pen.uniform(35, 80))
    legs = (behind, ahead)
    if pen.chance(0.5):
        arms, legs = (arms[1], arms[0]), (ahead, behind)
    return Pose(arms=arms, legs=legs, lean=pen.uniform(8, 26), side=True)


def _jumping(pen: Pen) -> Pose:
    upper = pen.uniform(130, 154)
    arm: Limb = (upper, upper + pen.uniform(-15, 20))
    arms = _mirror(_jitter(pen, arm)), _jitter(pen, arm)
    kind = pen.integer(0, 2)
    if kind == 0:
        spread = pen.uniform(32, 58)
        legs = (-spread, -spread + pen.uniform(-8, 15)), (spread, spread + pen.uniform(-15, 8))
    elif kind == 1:
        knee, shin = pen.uniform(55, 80), pen.uniform(-45, -15)
        legs = (-knee, -shin), (knee, shin)
    else:
        back = pen.uniform(45, 80)
        legs = (pen.uniform(-30, -15), -back), (pen.uniform(20, 45), -back + pen.uniform(-15, 15))
    return Pose(arms=arms, legs=legs, lean=pen.uniform(-8, 8))


def _sitting(pen: Pen) -> Pose:
    kind = pen.choice(("seat", "seat", "seat", "floor", "knees", "crossed"))
    lean = pen.uniform(-14, 8)
    near = pen.uniform(0, 30), pen.uniform(35, 75)
    arms = _jitter(pen, near, 10), near
    if kind == "crossed":
        knee = pen.uniform(70, 84)
        arm = pen.uniform(25, 50), pen.uniform(10, 40)
        return Pose(arms=(_mirror(arm), arm), legs=((-knee, knee), (knee, -knee)), crossed=True)
    if kind == "floor":
        if pen.chance(0.5):
            arms = (-30.0, -20.0), (-38.0, -20.0)
        legs = _jitter(pen, (84.0, 86.0), 5), _jitter(pen, (86.0, 86.0), 5)
        return Pose(arms=arms, legs=legs, lean=lean, side=True)
    if kind == "knees":
        thigh = pen.uniform(118, 140)
        arms = ((60.0, 70.0), (62.0, 75.0)) if pen.chance(0.5) else ((-35.0, -15.0), (-30.0, -10.0))
        legs = (thigh, 15.0), (thigh - 8, 22.0)
        return Pose(arms=arms, legs=legs, lean=pen.uniform(-14, 0), side=True)
    thigh, shin = pen.uniform(82, 96), pen.uniform(-10, 12)
    legs = (thigh - pen.uniform(0, 8), shin + pen.uniform(-5, 25)), (thigh, shin)
    return Pose(arms=arms, legs=legs, lean=lean, side=True, seat=pen.chance(0.35))


_POSES: dict[str, Callable[[Pen], Pose]] = {
    "standing": _standing,
    "running": _running,
    "jumping": _jumping,
    "sitting": _sitting,
    "waving": _waving,
}
ACTIONS = tuple(_POSES)
