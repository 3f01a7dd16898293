"""What is known of an object beside its shape, and of a box that became none, as plain values."""

from __future__ import annotations

import math
from typing import Any

from grounded_ram.annotation import OPTIONAL_SCORES, SCORE_COLUMNS, Annotation, Rejected, Tags

_DIGITS = 6


def scores(annotation: Annotation, row: int) -> dict[str, Any]:
    """Return the scores of an object, as far as they are known, and its other names if it has any.

    Returns:
        The columns of ``Annotation.detections.data`` by their names.
    """
    data = annotation.detections.data
    known = {
        key: float(data[key][row]) for key in (*SCORE_COLUMNS, *OPTIONAL_SCORES) if key in data
    }
    told: dict[str, Any] = {
        key: round(value, _DIGITS) for key, value in known.items() if not math.isnan(value)
    }
    if others := data["alternatives"][row] if "alternatives" in data else ():
        told["alternatives"] = {name: round(score, _DIGITS) for name, score in others}
    return told


def described(annotation: Annotation) -> dict[str, Any]:
    """Return what is known about one image but its shapes."""
    image, tags = annotation.image, annotation.tags
    found, areas = annotation.detections, annotation.masks.area
    return {
        "height": image.size_hw[0],
        "width": image.size_hw[1],
        "sha256": image.sha256,
        "notes": list(image.notes),
        "tags": tag_rows(tags),
        "objects": [
            {
                "name": str(found.data["class_name"][row]),
                "box_xyxy": [round(float(value), 2) for value in found.xyxy[row]],
                "mask_area": int(areas[row]),
                **scores(annotation, row),
            }
            for row in range(len(found))
        ],
        "not_found": list(annotation.not_found),
        **unlabelled(annotation),
    }


def tag_rows(tags: Tags) -> list[dict[str, Any]]:
    """Return the tags with kinds and scores, best first."""
    return [
        {"name": name, "kind": kind, "score": round(float(score), _DIGITS)}
        for name, kind, score in zip(tags.names, tags.kinds, tags.scores, strict=True)
    ]


def unlabelled(annotation: Annotation) -> dict[str, Any]:
    """Return the tags and boxes that became no label, and why."""
    return {
        "ungrounded": {name: str(reason) for name, reason in annotation.ungrounded.items()},
        "rejected": [_rejected(box) for box in annotation.rejected],
    }


def _rejected(box: Rejected) -> dict[str, Any]:
    return {
        "name": box.name,
        "box_score": round(box.box_score, _DIGITS),
        "box_xyxy": [round(side, 2) for side in box.box_xyxy],
        "reason": str(box.reason),
        **({"instead": box.instead} if box.instead else {}),
    }
