"""From a network's answers to detections: the best tag of each box, in pixels, best box first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Alternatives, Tags, objects


@dataclass(frozen=True, eq=False)
class Found:
    """N boxes of one image, and how well each of T names fits each.

    Args:
        boxes: (N, 4) cxcywh relative to the image.
        scores: (N, T) in [0, 1].
        rows: (T,) rows of the names, along the order in which they were asked for.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    rows: NDArray[np.int_]


def name_order(tags: Tags) -> NDArray[np.int_]:
    """Return the rows of the tags in the order of their names: networks are asked in no other."""
    return np.array(sorted(range(len(tags)), key=tags.names.__getitem__), int)


def above(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    rows: NDArray[np.int_],
    threshold: float,
) -> Found:
    """Keep those of Q boxes that some name fits well enough; arguments as for ``Found``."""
    kept = scores.max(axis=1) > threshold
    return Found(boxes[kept], scores[kept], rows)


def to_detections(
    parts: Sequence[Found],
    tags: Tags,
    order: NDArray[np.int_],
    size_hw: tuple[int, ...],
    threshold: float,
) -> sv.Detections:
    """Join what was found in one image: the best tag of each box, pixels, best box first.

    Args:
        parts: what was found; their rows count along ``order``.
        tags: the tags asked for.
        order: rows of the tags, as ``name_order`` gives them.
        size_hw: the image's height and width.
        threshold: other tags of a box scored above half of it come along as ``alternatives``.
    """
    boxes = np.concatenate([np.empty((0, 4), np.float32), *(part.boxes for part in parts)])
    bests = [part.scores.argmax(axis=1) for part in parts]
    pairs = list(zip(parts, bests, strict=True))
    scores = [np.take_along_axis(p.scores, best[:, None], 1)[:, 0] for p, best in pairs]
    rows = [part.rows[best] for part, best in pairs]
    others = [
        _others(of_box, order[part.rows], tags, one, threshold / 2)
        for part, best in pairs
        for of_box, one in zip(part.scores, best, strict=True)
    ]
    confidence = np.concatenate([np.empty(0, np.float32), *scores])
    xyxy = cxcywh_to_xyxy(boxes, size_hw)
    best_first = np.argsort(-confidence, kind="stable")
    kept = best_first[(xyxy[best_first, :2] < xyxy[best_first, 2:]).all(axis=1)]
    class_id = order[np.concatenate([np.empty(0, int), *rows])][kept]
    data: dict[str, Any] = {
        "class_name": np.array([tags.names[row] for row in class_id], dtype=str),
        "alternatives": objects([others[row] for row in kept]),
    }
    return sv.Detections(xyxy[kept], confidence=confidence[kept], class_id=class_id, data=data)


def _others(
    scores: NDArray[np.float32], rows: NDArray[np.int_], tags: Tags, best: int, threshold: float
) -> Alternatives:
    """Return the tags of a box that fit it, too, but for the best one."""
    fitting = [column for column in np.flatnonzero(scores > threshold).tolist() if column != best]
    pairs = [(tags.names[rows[column]], float(scores[column])) for column in fitting]
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def cxcywh_to_xyxy(boxes: NDArray[np.float32], size_hw: tuple[int, ...]) -> NDArray[np.float32]:
    """Turn (N, 4) centre boxes relative to the image into corners in pixels, cut to the image."""
    centers, halves = boxes[:, :2], boxes[:, 2:] / 2
    scale = np.array([size_hw[1], size_hw[0]] * 2, np.float32)
    corners = np.concatenate([centers - halves, centers + halves], axis=1) * scale
    clipped: NDArray[np.float32] = corners.clip(0, scale)
    return clipped
