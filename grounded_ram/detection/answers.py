"""From a network's answers to detections: the best tag of each box, in pixels, best box first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Tags


@dataclass(frozen=True, eq=False)
class Found:
    """N boxes of one image, cxcywh relative to it, their scores and rows of the names asked for."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    rows: NDArray[np.int_]


def name_order(tags: Tags) -> NDArray[np.int_]:
    """Return the rows of the tags in the order of their names: networks are asked in no other."""
    return np.array(sorted(range(len(tags)), key=tags.names.__getitem__), int)


def best_rows(boxes: NDArray[np.float32], scores: NDArray[np.float32], threshold: float) -> Found:
    """Give each of Q boxes its best name, and keep those scored above the threshold.

    Args:
        boxes: (Q, 4) cxcywh relative to the image.
        scores: (Q, T) of T names, T at least 1.
        threshold: boxes scored at or below it are dropped.
    """
    kept = scores.max(axis=1) > threshold
    return Found(boxes[kept], scores[kept].max(axis=1), scores[kept].argmax(axis=1))


def to_detections(
    parts: Sequence[Found], tags: Tags, order: NDArray[np.int_], size_hw: tuple[int, ...]
) -> sv.Detections:
    """Join what was found in one image: pixels, inside the image, best first.

    Args:
        parts: what was found; their rows count along ``order``.
        tags: the tags asked for.
        order: rows of the tags, as ``name_order`` gives them.
        size_hw: the image's height and width.
    """
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(part.boxes for part in parts)])
    scores = np.concatenate([np.empty(0, np.float32), *(part.scores for part in parts)])
    rows = np.concatenate([np.empty(0, int), *(part.rows for part in parts)])
    boxes = cxcywh_to_xyxy(boxes, size_hw)
    best_first = np.argsort(-scores, kind="stable")
    kept = best_first[(boxes[best_first, :2] < boxes[best_first, 2:]).all(axis=1)]
    class_id = order[rows[kept]]
    return sv.Detections(
        xyxy=boxes[kept],
        confidence=scores[kept],
        class_id=class_id,
        data={"class_name": np.array([tags.names[row] for row in class_id], dtype=str)},
    )


def cxcywh_to_xyxy(boxes: NDArray[np.float32], size_hw: tuple[int, ...]) -> NDArray[np.float32]:
    """Turn (N, 4) centre boxes relative to the image into corners in pixels, cut to the image."""
    centers, halves = boxes[:, :2], boxes[:, 2:] / 2
    scale = np.array([size_hw[1], size_hw[0]] * 2, np.float32)
    corners = np.concatenate([centers - halves, centers + halves], axis=1) * scale
    clipped: NDArray[np.float32] = corners.clip(0, scale)
    return clipped
