"""Annotations built by hand, for tests that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation, ImageFacts, Reason, Tags

KINDS = {"grass": "stuff", "beach": "scene", "red": "attribute"}


def annotate(
    objects: Sequence[tuple[str, NDArray[np.bool_]]] = (),
    *,
    size_hw: tuple[int, int] = (40, 60),
    path: str | None = "photos/street.jpg",
    ungrounded: tuple[str, ...] = (),
    seed: int = 0,
) -> Annotation:
    """Make an annotation from names and (H, W) masks; the pixels are noise of the seed."""
    if objects:
        size_hw = objects[0][1].shape
    pixels = np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    found = [name for name, _ in objects]
    names = tuple(dict.fromkeys([*found, *ungrounded]))
    tags = Tags(names, np.linspace(0.9, 0.8, len(names)).astype(np.float32), kinds(names))
    masks = np.array([mask for _, mask in objects], bool).reshape(-1, *size_hw)
    xyxy = np.array([box_of(mask) for mask in masks], np.float32).reshape(-1, 4)
    ids = np.array([names.index(name) for name in found], int)
    box_scores = np.linspace(0.7, 0.6, len(found)).astype(np.float32)
    detections = sv.Detections(
        xyxy,
        mask=sv.CompactMask.from_dense(masks, xyxy, size_hw),
        confidence=box_scores,
        class_id=ids,
        data={
            "class_name": np.array(found, dtype=str),
            "tag_score": tags.scores[ids],
            "box_score": box_scores,
            "mask_score": np.linspace(0.5, 0.4, len(found)).astype(np.float32),
            "label_score": np.linspace(0.8, 0.7, len(found)).astype(np.float32),
        },
    )
    facts = ImageFacts(path, size_hw, sha256(pixels.tobytes()).hexdigest())
    reasons = dict.fromkeys(ungrounded, Reason.NO_BOX)
    return Annotation(facts, pixels, tags, detections, reasons, {"preset": "by hand"})


def kinds(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(KINDS.get(name, "object") for name in names)


def box_of(mask: NDArray[np.bool_]) -> list[int]:
    """Return the tight box, right and lower side outside of the mask; 0 0 1 1 for an empty mask."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return [0, 0, 1, 1]
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def rectangle(
    size_hw: tuple[int, int], top: int, left: int, bottom: int, right: int
) -> NDArray[np.bool_]:
    mask = np.zeros(size_hw, bool)
    mask[top:bottom, left:right] = True
    return mask


def ring(
    size_hw: tuple[int, int], centre_yx: tuple[int, int], inner: float, outer: float
) -> NDArray[np.bool_]:
    y, x = np.ogrid[: size_hw[0], : size_hw[1]]
    distance = np.hypot(y - centre_yx[0], x - centre_yx[1])
    return (distance <= outer) & (distance > inner)
