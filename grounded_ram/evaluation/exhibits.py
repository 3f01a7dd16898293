"""Examples of a dataset, and how the few that are shown are chosen from any number of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from heapq import heappush, heappushpop, nlargest

import cv2
import numpy as np
from numpy.typing import NDArray

from grounded_ram.annotation import OPTIONAL_SCORES, SCORE_COLUMNS, Annotation, ImageFacts, Rejected
from grounded_ram.export.dataset import key_of
from grounded_ram.export.shapes import Region, region_of

Points = NDArray[np.float64]

DETAIL = 512
"""An outline is traced on a mask scaled to this length, in pixels;"""
COARSE = 1.3
"""and its corners may lie off by so many of these."""

MOST_PARTS = 12
"""Parts of a mask that are outlined, the largest."""

MOST_OUTLINES = 40
"""Objects that are outlined in a whole picture."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The edge of an object.

    Args:
        label: the object's name.
        parts: closed lines of (K, 2) x, y in pixels of the picture.
        is_box: whether it is a box, not the edge of a mask.
    """

    label: str
    parts: tuple[Points, ...]
    is_box: bool = False


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A picture, or an object in one, that a person should see.

    Args:
        key: tells it from all others of the dataset: the picture's name, and the object's place in
            it, or what else is shown of it.
        image: the picture; it is read again by its path.
        label: the object's name, or a tag; empty where the whole picture is meant.
        scores: what is known of it, by column, such as "box_score".
        outlines: what to draw.
        box_xyxy: what to look at; None for the whole picture.
        why: why it is shown, a sentence each; grows.
    """

    key: tuple[str, str]
    image: ImageFacts
    label: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    outlines: tuple[Outline, ...] = ()
    box_xyxy: tuple[float, float, float, float] | None = None
    why: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the picture's name in the dataset."""
        return self.key[0]


def exhibit_object(annotation: Annotation, row: int, *why: str) -> Exhibit:
    """Show an object of a picture."""
    found = annotation.detections
    x0, y0, x1, y1 = found.xyxy[row].tolist()
    return Exhibit(
        (key_of(annotation.image), f"object {row}"),
        annotation.image,
        str(found.data["class_name"][row]),
        scores_of(annotation, row),
        (_outline_object(annotation, row),),
        (x0, y0, x1, y1),
        list(why),
    )


def exhibit_rejected(annotation: Annotation, place: int, *why: str) -> Exhibit:
    """Show a box that became no label."""
    box = annotation.rejected[place]
    return Exhibit(
        (key_of(annotation.image), f"rejected {place}"),
        annotation.image,
        box.name,
        {"box_score": box.box_score},
        (_outline_box(box),),
        box.box_xyxy,
        list(why),
    )


def exhibit_picture(annotation: Annotation, *why: str, tag: str = "") -> Exhibit:
    """Show a picture with all its objects, the largest if there are very many.

    Args:
        annotation: of the picture.
        why: why it is shown.
        tag: the tag that it is shown for, one that no object carries.
    """
    areas = annotation.masks.area
    rows = sorted(range(len(areas)), key=lambda row: -areas[row])[:MOST_OUTLINES]
    outlines = tuple(_outline_object(annotation, row) for row in rows)
    key = key_of(annotation.image), f"tag {tag}" if tag else "picture"
    return Exhibit(key, annotation.image, tag, outlines=outlines, why=list(why))


def scores_of(annotation: Annotation, row: int) -> dict[str, float]:
    """Return the scores of an object that are known, by column."""
    data = annotation.detections.data
    columns = [key for key in (*SCORE_COLUMNS, *OPTIONAL_SCORES) if key in data]
    return {key: float(data[key][row]) for key in columns if not np.isnan(data[key][row])}


class Shortlist:
    """The exhibits of the highest ranks, made only once they are among them.

    Of equal ranks the first to come stays.

    Args:
        most: how many are kept in the end.
        each: how many of one kind are kept, so that none takes all the places; None for any number.
    """

    def __init__(self, most: int, each: int | None = None) -> None:
        self._most = most
        self._each = most if each is None else min(each, most)
        self._kinds: dict[str, list[tuple[float, int, Exhibit]]] = defaultdict(list)
        self._offered = 0

    def offer(self, rank: float, make: Callable[[], Exhibit], kind: str = "") -> None:
        """Keep an exhibit if it ranks among the best of its kind."""
        self._offered += 1
        heap = self._kinds[kind]
        if len(heap) < self._each:
            heappush(heap, (rank, -self._offered, make()))
        elif rank > heap[0][0]:
            heappushpop(heap, (rank, -self._offered, make()))

    def best(self) -> list[Exhibit]:
        """Return what is kept, the highest rank first."""
        kept = (entry for heap in self._kinds.values() for entry in heap)
        return [exhibit for *_, exhibit in nlargest(self._most, kept, key=lambda entry: entry[:2])]


def _outline_object(annotation: Annotation, row: int) -> Outline:
    region = region_of(annotation.masks, row)
    label = str(annotation.detections.data["class_name"][row])
    return Outline(label, () if region is None else outline(region))


def _outline_box(box: Rejected) -> Outline:
    x0, y0, x1, y1 = box.box_xyxy
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    return Outline(box.name, (corners,), is_box=True)


def outline(region: Region) -> tuple[Points, ...]:
    """Return closed lines around a mask's parts and holes, smoothed for the eye."""
    scale = DETAIL / max(region.pixels.shape)
    padded = np.pad(region.pixels.astype(np.uint8) * 255, 1)
    size_wh = [max(3, round(side * scale)) for side in padded.shape[::-1]]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    smooth = cv2.resize(padded, size_wh, interpolation=how) > 127
    found, _ = cv2.findContours(smooth.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    largest = sorted(found, key=cv2.contourArea, reverse=True)[:MOST_PARTS]
    stretch = np.array(padded.shape[::-1]) / size_wh
    origin = np.array([region.x, region.y]) - 1
    return tuple(
        (cv2.approxPolyDP(line, COARSE, closed=True).reshape(-1, 2) + 0.5) * stretch + origin
        for line in largest
    )
