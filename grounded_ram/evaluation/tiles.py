"""Small pictures of exhibits, as text that a page can hold."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import PIL.Image

from grounded_ram.annotation import ImageFacts
from grounded_ram.errors import InputError
from grounded_ram.evaluation.exhibits import Exhibit, Outline
from grounded_ram.export.files import data_uri
from grounded_ram.images import Image, load_same
from grounded_ram.overlay import color_of

QUALITY = 80
LEAST_WINDOW = 48
"""Sides of what is cut out of a picture, in pixels, are at least this long."""

Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class View:
    """How much of a picture is shown, and how large.

    Args:
        side: of the small picture, the longer one, in pixels.
        context: the cut is so many times as long as the object; None for the whole picture.
        aspect: width of the cut by its height, where the picture reaches so far.
    """

    side: int
    context: float | None = None
    aspect: float = 1.0


@dataclass(frozen=True)
class Line:
    """An outline as SVG draws it, in tenths of a tile's pixels."""

    color: str
    path: str
    dashed: bool


@dataclass(frozen=True)
class Tile:
    """A small picture, or why there is none.

    Args:
        data: a JPEG as a data URI; empty where there is none.
        size_wh: in pixels.
        lines: the outlines on it.
        missing: why there is none.
    """

    data: str = ""
    size_wh: tuple[int, int] = (4, 3)
    lines: tuple[Line, ...] = ()
    missing: str = ""

    @property
    def weight(self) -> int:
        """Return about how many bytes it takes in a page."""
        return len(self.data) + sum(2 * len(line.path) + 100 for line in self.lines)


def draw_tiles(wanted: Sequence[tuple[Exhibit, View]], most_bytes: int) -> dict[Exhibit, Tile]:
    """Draw exhibits; each picture is read once.

    Args:
        wanted: what to draw; the first are the most important.
        most_bytes: tiles past so many have no picture.
    """
    by_picture: dict[ImageFacts, list[tuple[Exhibit, View]]] = defaultdict(list)
    for exhibit, view in wanted:
        by_picture[exhibit.image].append((exhibit, view))
    tiles = {}
    for together in by_picture.values():
        tiles.update(_draw_from_one(together))
    used = 0
    for exhibit, _ in wanted:
        if used + tiles[exhibit].weight > most_bytes:
            tiles[exhibit] = Tile(missing="left out to keep this page small")
        used += tiles[exhibit].weight
    return tiles


def _draw_from_one(together: Sequence[tuple[Exhibit, View]]) -> dict[Exhibit, Tile]:
    """Draw exhibits of one picture; of one that is gone, say so."""
    image = together[0][0].image
    if image.path is None:
        return {one: Tile(missing="the picture was not kept") for one, _ in together}
    try:
        pixels = load_same(image.path, image.sha256).pixels
    except InputError as error:
        return {one: Tile(missing=f"no picture: {error}") for one, _ in together}
    return {exhibit: _draw(pixels, exhibit, view) for exhibit, view in together}


def _draw(pixels: Image, exhibit: Exhibit, view: View) -> Tile:
    x0, y0, x1, y1 = window(exhibit, pixels.shape[:2], view)
    cut = pixels[y0:y1, x0:x1]
    scale = min(1.0, view.side / max(cut.shape[:2]))
    size_wh = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    if scale < 1:
        cut = np.asarray(cv2.resize(cut, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(cut).save(file, "JPEG", quality=QUALITY)
    data = data_uri(file.getvalue(), "image/jpeg")
    lines = (_line(one, (x0, y0), scale) for one in exhibit.outlines)
    return Tile(data, size_wh, tuple(line for line in lines if line.path))


def window(exhibit: Exhibit, size_hw: tuple[int, ...], view: View) -> Window:
    """Return what to cut out of a picture, as x0, y0, x1, y1, whole pixels inside it."""
    height, width = size_hw
    if view.context is None or exhibit.box_xyxy is None:
        return 0, 0, width, height
    x0, y0, x1, y1 = exhibit.box_xyxy
    tall = max(y1 - y0, (x1 - x0) / view.aspect, LEAST_WINDOW / view.context) * view.context
    left, right = _span((x0 + x1) / 2, tall * view.aspect, width)
    top, bottom = _span((y0 + y1) / 2, tall, height)
    return left, top, right, bottom


def _span(middle: float, length: float, limit: int) -> tuple[int, int]:
    """Return where a span of a length around a middle begins and ends, moved to lie within."""
    whole = min(limit, max(1, round(length)))
    start = min(max(0, round(middle - whole / 2)), limit - whole)
    return start, start + whole


def _line(outline: Outline, origin: tuple[int, int], scale: float) -> Line:
    parts = []
    for part in outline.parts:
        points = np.rint((part - origin) * scale * 10).astype(int)
        parts.append("M" + "L".join(f"{x} {y}" for x, y in points.tolist()) + "Z")
    red, green, blue = color_of(outline.label)
    return Line(f"#{red:02x}{green:02x}{blue:02x}", "".join(parts), outline.is_box)
