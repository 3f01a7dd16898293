"""Annotations made of what other people's files say of a picture and its objects."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL.Image
import supervision as sv
from pycocotools import mask as coco_mask

from grounded_ram.annotation import (
    OPTIONAL_SCORES,
    SCORE_COLUMNS,
    Annotation,
    ImageFacts,
    Tags,
    objects,
)
from grounded_ram.cache import sha256_of
from grounded_ram.export.pictures import TURNED

Rle: TypeAlias = dict[str, Any]
"""COCO's compressed run lengths: ``size``, and ``counts`` in bytes."""

_EXIF_ORIENTATION = 0x0112


@dataclass(frozen=True, eq=False)
class Found:
    """An object as a file has it.

    Args:
        name: what it is called.
        rle: its mask.
        kind: the kind of its name.
        box_xyxy: its box in pixels; None means tight around the mask.
        told: scores by the names of their columns, or one ``score``, and ``alternatives``, a score
            for each name; whatever else there is does not matter.
    """

    name: str
    rle: Rle
    kind: str = "object"
    box_xyxy: Sequence[float] | None = None
    told: Mapping[str, Any] = field(default_factory=dict)

    def score(self, column: str) -> float:
        """Return a score; 1 where nobody gave one, NaN if it is one that may be missing."""
        if column in OPTIONAL_SCORES:
            return float(self.told.get(column, np.nan))
        whole = self.told.get("score", 1) if column in ("box_score", "label_score") else 1
        return float(self.told.get(column, whole))


def assemble(image: ImageFacts, found: Sequence[Found]) -> Annotation:
    """Return an annotation without pixels; its tags are the names found, in their order."""
    first: dict[str, Found] = {}
    for one in found:
        first.setdefault(one.name, one)
    tags = Tags(
        tuple(first),
        np.array([one.score("tag_score") for one in first.values()], np.float32),
        tuple(one.kind for one in first.values()),
    )
    return Annotation(image, None, tags, _detections(found, tags, image.size_hw))


def facts(path: Path, key: str, size_hw: tuple[int, int], sha256: str | None = None) -> ImageFacts:
    """Return what is known of a picture, which need not be there.

    Args:
        path: its file.
        key: its path in the dataset.
        size_hw: as the labels have it.
        sha256: its digest; None: the picture is read for it, or its path if it is not there.

    Raises:
        InputError: the key leads out of the dataset.
    """
    return ImageFacts(str(path), size_hw, sha256 or digest(path), _turn(path, size_hw), key)


def digest(path: Path) -> str:
    """Return the digest of a picture's file; where it is not there, that of its path."""
    try:
        return sha256_of(path)
    except OSError:
        return hashlib.sha256(str(path).encode()).hexdigest()


def box_rle(box_xyxy: Sequence[float], size_hw: tuple[int, int]) -> Rle:
    """Return the pixels of a box, its sides rounded to whole ones."""
    left, top, right, bottom = (max(0, round(float(side))) for side in box_xyxy)
    mask = np.zeros(size_hw, np.uint8, order="F")
    mask[top:bottom, left:right] = 1
    rle: Rle = coco_mask.encode(mask)
    return rle


def polygons_rle(lines: Sequence[Sequence[float]], size_hw: tuple[int, int]) -> Rle:
    """Return the pixels inside of polygons, each x, y, x, y ..., by the rules of pycocotools."""
    # Of fewer than three corners nothing is inside; pycocotools takes two for a box.
    inside = [list(map(float, line)) for line in lines if len(line) >= 6]
    if not inside:
        return box_rle([0] * 4, size_hw)
    rle: Rle = coco_mask.merge(coco_mask.frPyObjects(inside, *size_hw))
    return rle


def upright_size(path: Path) -> tuple[tuple[int, int], bool]:
    """Return the height and width of a picture as people see it, and whether its file turns it.

    Raises:
        OSError: it is not there, or is no picture.
    """
    with PIL.Image.open(path) as picture:
        orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
        width, height = picture.size
    return ((height, width) if orientation < 5 else (width, height)), orientation != 1


def _turn(path: Path, size_hw: tuple[int, int]) -> tuple[str, ...]:
    """Note where a file holds its picture in another orientation than the labels have it."""
    try:
        upright_hw, turned = upright_size(path)
    except OSError:
        return ()  # who needs it will say so
    return (TURNED,) if turned and upright_hw == size_hw else ()


def _detections(found: Sequence[Found], tags: Tags, size_hw: tuple[int, int]) -> sv.Detections:
    tight = np.array([coco_mask.toBbox(one.rle) for one in found], np.float64).reshape(-1, 4)
    tight[:, 2:] += tight[:, :2]
    boxes = [
        box if one.box_xyxy is None else one.box_xyxy
        for one, box in zip(found, tight.tolist(), strict=True)
    ]
    data: dict[str, Any] = {
        column: np.array([one.score(column) for one in found], np.float32)
        for column in (*SCORE_COLUMNS, *OPTIONAL_SCORES)
    }
    others = [tuple(dict(one.told.get("alternatives") or {}).items()) for one in found]
    rles = [{**one.rle, "counts": one.rle["counts"].decode("ascii")} for one in found]
    last = np.maximum(tight - [0, 0, 1, 1], 0)  # of pixels: right and lower side inside
    return sv.Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        mask=sv.CompactMask.from_coco_rle(rles, last, size_hw),
        confidence=data["box_score"],
        class_id=np.array([tags.names.index(one.name) for one in found], int),
        data={
            "class_name": np.array([one.name for one in found], str),
            "alternatives": objects(others),
            **data,
        },
    )
