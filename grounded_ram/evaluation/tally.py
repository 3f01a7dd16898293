"""Counts of a dataset, label by label."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation, Reason
from grounded_ram.evaluation.exhibits import Exhibit

STEPS = 100
"""Scores from 0 to 1 are counted by the nearest hundredth."""

USUAL_OBJECTS = 8
"""A class of fewer objects has no usual size."""

IN_VAIN = (Reason.NO_BOX, Reason.NO_BOX_LEFT)
"""Why no object carries a tag that was looked for."""

Histogram = NDArray[np.int64]


@dataclass(eq=False)
class ClassFacts:
    """What is known of one label.

    Args:
        label: its name.
        kind: of the tag, such as "object".
        objects: how many carry it; 0 where its tag fired in vain each time.
        pictures: how many pictures they are in.
        in_vain: in how many pictures its tag fired, was looked for, and no object carries it.
        box_scores: (STEPS + 1,) how many objects have such a score.
        label_scores: the same of the combined score.
        sizes: sum and sum of squares of the logarithms of each mask's share of its picture, and
            how many masks.
        examples: objects by "best", "typical" and "weakest"; of a class of few, by "all".
    """

    label: str
    kind: str
    objects: int = 0
    pictures: int = 0
    in_vain: int = 0
    box_scores: Histogram = field(default_factory=lambda: np.zeros(STEPS + 1, np.int64))
    label_scores: Histogram = field(default_factory=lambda: np.zeros(STEPS + 1, np.int64))
    sizes: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    examples: Mapping[str, Sequence[Exhibit]] = field(default_factory=dict)

    def size_of(self, share: float) -> tuple[float, float]:
        """Compare a mask's share of its picture with what is usual in this class.

        Returns:
            How many times as large it is, and how unusual that is: 0 where nothing is usual.
        """
        total, squares, count = self.sizes
        if count < USUAL_OBJECTS:
            return 1.0, 0.0
        mean = total / count
        spread = math.sqrt(max(squares / count - mean**2, 0.0))
        off = math.log(share) - mean
        return math.exp(off), off / spread if spread > 1e-6 else 0.0


class Tally:
    """Counts of a dataset."""

    def __init__(self) -> None:
        self.pictures = self.empty = self.rejected = 0
        self.classes: dict[str, ClassFacts] = {}
        self.run: Mapping[str, Any] = {}

    def add(self, annotation: Annotation) -> None:
        """Count one picture and what was found in it."""
        if not self.pictures:
            self.run = annotation.run
        found, tags = annotation.detections, annotation.tags
        self.pictures += 1
        self.empty += not len(found)
        self.rejected += len(annotation.rejected)
        kinds = dict(zip(tags.names, tags.kinds, strict=True))
        labels = [str(name) for name in found.data["class_name"]]
        for label in dict.fromkeys(labels):
            self._of(label, kinds).pictures += 1
        for label, reason in annotation.ungrounded.items():
            if reason in IN_VAIN:
                self._of(label, kinds).in_vain += 1
        shares = annotation.masks.area / math.prod(annotation.image.size_hw)
        for row, label in enumerate(labels):
            one = self._of(label, kinds)
            one.objects += 1
            one.box_scores[_bin(found.data["box_score"][row])] += 1
            one.label_scores[_bin(found.data["label_score"][row])] += 1
            if shares[row]:
                log = math.log(shares[row])
                one.sizes += log, log**2, 1

    def _of(self, label: str, kinds: Mapping[str, str]) -> ClassFacts:
        if label not in self.classes:
            self.classes[label] = ClassFacts(label, kinds[label])
        return self.classes[label]


def _bin(score: float) -> int:
    return min(max(round(float(score) * STEPS), 0), STEPS)


def median(scores: Histogram) -> float:
    """Return the median to the nearest hundredth; NaN of no scores."""
    if not scores.sum():
        return math.nan
    return float(np.searchsorted(scores.cumsum(), scores.sum() / 2)) / STEPS
