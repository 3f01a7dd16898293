"""How well a box goes on with a track: by place, and by label. Importing this needs trackers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from trackers import BaseIoU

OTHER_LABEL = 0.5
"""The overlap of a box and a track that bear different labels counts as much."""

MARGIN = 0.2
"""Boxes grow by so much of their sides at each end before they are compared, so that what moves by
its own width between two frames still overlaps itself (as in C-BIoU, Yang et al., 2023)."""

Boxes = NDArray[np.number[Any]]


class LabelledIoU(BaseIoU):
    """Overlap of grown boxes, less where labels differ: who hides another does not take its number.

    ``trackers`` hands over boxes alone, so labels are found again by them.

    Args:
        track_labels: returns the labels of all tracks by their foretold boxes' bytes.
    """

    def __init__(self, track_labels: Callable[[], dict[bytes, str]]) -> None:
        self._track_labels = track_labels
        self._box_labels: dict[bytes, str] = {}

    def expect(self, boxes: Boxes, labels: list[str]) -> None:
        """Take the labels of the next frame's boxes."""
        self._box_labels = {key(box): name for box, name in zip(boxes, labels, strict=True)}

    def _compute(self, boxes_1: Boxes, boxes_2: Boxes) -> Boxes:
        """Compare N foretold boxes of tracks with M boxes of a frame; (N, M)."""
        overlap = sv.box_iou_batch(_grown(boxes_1), _grown(boxes_2))
        of_tracks = self._track_labels()
        tracks = np.array([of_tracks[key(box)] for box in boxes_1])
        found = np.array([self._box_labels[key(box)] for box in boxes_2])
        return np.where(tracks[:, None] == found, overlap, OTHER_LABEL * overlap)


def key(box: Boxes) -> bytes:
    """Return what tells a box from others."""
    return np.asarray(box, np.float64).tobytes()


def _grown(boxes: Boxes) -> Boxes:
    corners = np.asarray(boxes, np.float64)
    margin = MARGIN * (corners[:, 2:] - corners[:, :2])
    return np.hstack([corners[:, :2] - margin, corners[:, 2:] + margin])
