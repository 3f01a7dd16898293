"""What becomes of one image between the stages: labels, duplicates, sound masks, a second look.

A draft holds what is known so far; each step changes it, and keeps a record of what it drops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import (
    Alternatives,
    Annotation,
    ImageFacts,
    Reason,
    Rejected,
    Tags,
    objects,
)
from grounded_ram.cleaning import clean
from grounded_ram.crops import Look, crop_scores
from grounded_ram.images import LoadedImage
from grounded_ram.merging import merge, most_specific
from grounded_ram.rules import Rules
from grounded_ram.vocabulary.labelling import Labels, choose


@dataclass(eq=False)
class Draft:
    """What is known of one image so far.

    Args:
        image: the picture.
        seen: its tags, synonyms merged.
        labels: what to look for and what to call it.
        box_threshold: of boxes whose label has none of its own.
        nms_iou: see ``presets.Preset``.
        rules: all other thresholds.
        asked: tags that are looked for whatever the labels say.

    Attributes:
        wanted: the tags to look for.
        tags: all tags, those to look for under the names of their labels.
        found: the objects so far.
        rejected: the boxes that became none.
    """

    image: LoadedImage
    seen: Tags
    labels: Labels
    box_threshold: float
    nms_iou: float
    rules: Rules
    asked: frozenset[str] = frozenset()
    wanted: Tags = field(init=False)
    tags: Tags = field(init=False)
    found: sv.Detections = field(init=False)
    rejected: list[Rejected] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.wanted = choose(self.seen, self.labels, self.asked)
        self.tags = self.labels.labelled(self.seen, self.wanted)

    def take_boxes(self, boxes: sv.Detections) -> None:
        """Call the boxes as their labels are called, and keep one for each object.

        The detector was asked with the lowest threshold that any label has; of the others, boxes
        that it would not have found at theirs go without a word.
        """
        named = most_specific(
            [self.labels.label(str(name)) for name in boxes.data["class_name"]],
            np.asarray(boxes.confidence).tolist(),
            [self._labelled(others) for others in boxes.data["alternatives"]],
            self.labels,
            support=self.rules.support,
        )
        places = {name: row for row, name in enumerate(self.tags.names)}
        rows = [places[name] for name, _ in named]
        self.found = replace(
            boxes,
            class_id=np.array(rows, np.int64),
            data={
                **boxes.data,
                "class_name": np.array([name for name, _ in named], str),
                "tag_score": self.tags.scores[rows].astype(np.float32),
                "box_score": np.array(boxes.confidence),
                "alternatives": objects([others for _, others in named]),
            },
        )
        self._drop_low_boxes()
        self._merge()

    def take_masks(self, found: sv.Detections) -> None:
        """Mend the masks that the segmenter cut, and keep one for each object."""
        self.found, gone = clean(found, self.rules)
        self.rejected += gone
        self._merge()

    def judge(self, look: Look | None) -> None:
        """Combine all scores, and drop labels that do not hold.

        Args:
            look: a second look at each object alone; None means that there is none.
        """
        crops = np.full(len(self.found), np.nan, np.float32)
        if look is not None:
            margin = self.rules.crop_margin
            pixels = self.image.pixels
            crops = crop_scores(look, pixels, self.found, self.labels, margin=margin)
        scores = label_scores(self.found, crops)
        told = {"crop_score": crops, "label_score": scores}
        self.found = replace(self.found, data={**self.found.data, **told})
        denied = (crops < self.rules.least_crop_score) & (self.rules.crop_check == "drop")
        low = scores < self.rules.least_score
        self.rejected += [
            Rejected.of(self.found, row, Reason.CONTRADICTED if denied[row] else Reason.LOW_SCORE)
            for row in np.flatnonzero(denied | low).tolist()
        ]
        self.found = self.found.select(~(denied | low))

    def finish(self, run: Mapping[str, Any], caption: str = "") -> Annotation:
        """Return what is known of the image in the end."""
        image = self.image
        facts = ImageFacts(image.path, image.pixels.shape[:2], image.sha256, image.notes)
        best_first = sorted(self.rejected, key=lambda one: (-one.box_score, one.name, one.box_xyxy))
        return Annotation(
            facts,
            image.pixels,
            self.tags,
            self.found,
            self._ungrounded(),
            run,
            tuple(best_first),
            caption,
        )

    def _labelled(self, others: Alternatives) -> Alternatives:
        return tuple((self.labels.label(name), score) for name, score in others)

    def _drop_low_boxes(self) -> None:
        names = [str(name) for name in self.found.data["class_name"]]
        own = [self.labels.box_threshold(name) for name in names]
        asked = self.labels.lowest_box_threshold(self.box_threshold)
        usual = self.box_threshold if asked < self.box_threshold else -1  # the detector saw to it
        limits = np.array([usual if limit is None else limit for limit in own], np.float32)
        low = np.asarray(self.found.data["box_score"]) <= limits
        self.rejected += [
            Rejected.of(self.found, row, Reason.LOW_BOX)
            for row in np.flatnonzero(low).tolist()
            if own[row] is not None
        ]
        self.found = self.found.select(~low)

    def _merge(self) -> None:
        self.found, gone = merge(
            self.found, iou=self.nms_iou, kinship=self.labels, rules=self.rules
        )
        self.rejected += gone

    def _ungrounded(self) -> dict[str, Reason]:
        """Say of each tag that no object carries why."""
        carried = {str(name) for name in self.found.data["class_name"]}
        also = {name for others in self.found.data["alternatives"] for name, _ in others}
        boxed = {one.name for one in self.rejected}
        looked_for = {self.labels.label(name) for name in self.wanted.names}
        reasons: dict[str, Reason] = {}
        for name, kind in zip(self.tags.names, self.tags.kinds, strict=True):
            if name in carried:
                continue
            if name not in looked_for:
                reasons[name] = self.labels.reason_against(name, kind) or Reason.NO_BOX
            elif name in also or any(self.labels.is_a(other, name) for other in carried):
                reasons[name] = Reason.SAME_OBJECT
            else:
                reasons[name] = Reason.NO_BOX_LEFT if name in boxed else Reason.NO_BOX
        return reasons


def label_scores(found: sv.Detections, crops: NDArray[np.float32]) -> NDArray[np.float32]:
    """Combine what is known of each object into one score: the geometric mean.

    Args:
        found: N objects with ``tag_score`` and ``box_score``.
        crops: (N,) scores of their crops, NaN where not known.

    Returns:
        (N,) in [0, 1].
    """
    scores = np.stack([found.data["tag_score"], found.data["box_score"], crops])
    known = ~np.isnan(scores)
    logs = np.log(np.where(known, scores, 1).clip(1e-6))
    means: NDArray[np.float32] = np.exp(logs.sum(0) / known.sum(0)).astype(np.float32)
    return means
