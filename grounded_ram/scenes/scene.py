"""One picture-book scene with everything that is true about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.scenes.backgrounds import draw_background
from grounded_ram.scenes.camera import photograph
from grounded_ram.scenes.caption import describe
from grounded_ram.scenes.catalog import (
    ACTIONS,
    CATEGORIES,
    COLORS,
    OBJECTS,
    PERSON,
    VOCABULARY,
    further_names,
)
from grounded_ram.scenes.objects_people import person
from grounded_ram.scenes.pen import DARK, WHITE, Color, Part, Pen
from grounded_ram.scenes.render import Placement, Style, paint

_COUNTS = np.array([0.03, 0.13, 0.17, 0.18, 0.16, 0.13, 0.10, 0.06, 0.04])
_SMALLEST, _LARGEST = 0.11, 0.66  # longer side over the picture's: one to six
_PATTERN_FROM = 0.19  # below this size stripes and dots cannot be told from noise
_LEAST_VISIBLE = 0.5  # of what an object showed when it was drawn
_LEAST_AREA = 60  # pixels of an object inside the picture


def tight_box(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the (4,) xyxy box around the pixels set, of which there must be one."""
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], np.float32)


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object as it can be seen.

    Args:
        name: its category.
        mask: (H, W) its visible pixels; never empty.
        attributes: its colour, then "striped" or "dotted" if it is.
        action: what a person does; None for things.
    """

    name: str
    mask: NDArray[np.bool_]
    attributes: tuple[str, ...]
    action: str | None

    @property
    def box_xyxy(self) -> NDArray[np.float32]:
        """Return the (4,) tight box around the visible pixels, in pixels."""
        return tight_box(self.mask)


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and its truth.

    Args:
        image: (H, W, 3) uint8 RGB.
        objects: from back to front.
        places: names of the scenes behind the objects.
        caption: one sentence.
    """

    image: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    places: tuple[str, ...]
    caption: str

    @property
    def tags(self) -> Tags:
        """Return the true tags of all four kinds, in vocabulary order, with score 1."""
        true = set(self.places)
        for thing in self.objects:
            true.update((thing.name, *further_names(thing.name), *thing.attributes))
            if thing.action is not None:
                true.add(thing.action)
        names = tuple(name for name in VOCABULARY if name in true)
        kinds = tuple(VOCABULARY[name] for name in names)
        return Tags(names, np.ones(len(names), np.float32), kinds)


@dataclass(frozen=True)
class _Sketch:
    """An object before it has a place."""

    name: str
    attributes: tuple[str, ...]
    action: str | None
    parts: list[Part]
    style: Style


@dataclass
class _Stage:
    """The canvas while objects are put on it; ``owner`` holds 1 + the object's number, 0 behind."""

    canvas: NDArray[np.uint8]
    owner: NDArray[np.uint8]
    placed: list[_Sketch] = field(default_factory=list)
    drawn_areas: list[int] = field(default_factory=list)

    def put(self, sketch: _Sketch, placement: Placement) -> bool:
        """Draw the object unless it would hide another or hardly be seen; tell whether it was."""
        canvas = self.canvas.copy()
        mask = paint(canvas, sketch.parts, placement, sketch.style)
        area = int(np.count_nonzero(mask))
        if area < _LEAST_AREA:
            return False
        owner = np.where(mask, np.uint8(len(self.placed) + 1), self.owner)
        visible = np.bincount(owner.ravel(), minlength=len(self.placed) + 2)[1:-1]
        if any(
            v < _LEAST_VISIBLE * drawn for v, drawn in zip(visible, self.drawn_areas, strict=True)
        ):
            return False
        self.canvas, self.owner = canvas, owner
        self.placed.append(sketch)
        self.drawn_areas.append(area)
        return True


def make_scene(seed: int, *, size: int = 256) -> Scene:
    """Draw the scene of a seed; the same seed gives the same scene, and another seed another one.

    Args:
        seed: any number from 0.
        size: side of the square picture, in pixels; at least 64.
    """
    rng = np.random.default_rng([seed, 20_24])
    background, places = draw_background(rng, size)
    stage = _Stage(np.clip(background, 0, 255).astype(np.uint8), np.zeros((size, size), np.uint8))
    for _ in range(int(rng.choice(len(_COUNTS), p=_COUNTS / _COUNTS.sum()))):
        _add_object(rng, stage)
    objects = tuple(
        SceneObject(sketch.name, stage.owner == number, sketch.attributes, sketch.action)
        for number, sketch in enumerate(stage.placed, 1)
    )
    return Scene(photograph(rng, stage.canvas), objects, places, describe(objects, places))


def _add_object(rng: np.random.Generator, stage: _Stage) -> None:
    """Sketch one object and try a few places for it; a crowded picture may have none."""
    side = stage.owner.shape[0]
    share = float(np.exp(rng.uniform(np.log(_SMALLEST), np.log(_LARGEST))))
    sketch = _sketch(rng, share, share * side)
    for _ in range(6):
        margin = 0.25 * share * side  # at least three quarters of each side stay inside
        placement = Placement(
            centre=(
                float(rng.uniform(margin, side - margin)),
                float(rng.uniform(margin, side - margin)),
            ),
            size=share * side,
            turn=float(np.clip(rng.normal(0, 9), -25, 25)),
            flip=bool(rng.random() < 0.5),
            stretch=float(rng.uniform(0.8, 1.25)),
        )
        if stage.put(sketch, placement):
            return
        share *= 0.85
        share = max(share, _SMALLEST)


def _sketch(rng: np.random.Generator, share: float, pixels: float) -> _Sketch:
    """Choose what the object is and how it looks."""
    # A person comes four times as often as anything else: five actions share it.
    pick = int(rng.integers(len(CATEGORIES) + 3))
    name = CATEGORIES[pick] if pick < len(CATEGORIES) else PERSON
    color, accent = (str(c) for c in rng.choice(sorted(COLORS), 2, replace=False))
    pen = Pen(rng, _jitter(rng, COLORS[color], 10), _jitter(rng, COLORS[accent], 18))
    action = None
    if name == PERSON:
        action = ACTIONS[int(rng.integers(len(ACTIONS)))]
        person(pen, action)
    else:
        OBJECTS[name](pen)
    attributes: tuple[str, ...] = (color,)
    style = _style(rng, pen.body, pixels)
    if share >= _PATTERN_FROM and rng.random() < 0.3:
        pattern = "striped" if rng.random() < 0.5 else "dotted"
        style, attributes = replace(style, pattern=pattern), (color, pattern)
    return _Sketch(name, attributes, action, pen.parts, style)


def _style(rng: np.random.Generator, body: Color, pixels: float) -> Style:
    """Choose outline, shade and the ink of a possible pattern, far in brightness from the body."""
    ink = DARK if sum(body) > 480 else WHITE
    outline = float(rng.uniform(0.004, 0.018) * pixels) if rng.random() < 0.55 else 0.0
    return Style(
        outline=min(outline, 2.5),
        shade=float(rng.uniform(0.15, 0.5)) if rng.random() < 0.5 else 0.0,
        ink=_jitter(rng, ink, 10),
    )


def _jitter(rng: np.random.Generator, color: Color, spread: float) -> Color:
    r, g, b = (int(v) for v in np.clip(np.asarray(color) + rng.normal(0, spread, 3), 0, 255))
    return r, g, b
