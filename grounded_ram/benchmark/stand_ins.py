"""Wrappers around stages that make a run comparable: always as many tags, boxes and pixels.

The stages do all their work; what they answer is then replaced as far as it must be.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.segmentation.masks import no_masks
from grounded_ram.stages import Detector, Segmenter, Tagger
from grounded_ram.vocabulary.labelling import Labelling, choose
from grounded_ram.vocabulary.table import official_vocabulary

LEAST_SIDE = 8
"""Boxes are at least this many pixels wide and high."""

_MORE_BOXES = 4
"""The detector's threshold lets so many times the wanted boxes pass."""

_CELL_SHARE = 0.8
"""A box in a grid is so wide and high, compared with its cell."""


def words(count: int, labelling: Labelling, first: Iterable[str] = ()) -> tuple[str, ...]:
    """Return names that are looked for, each of them, under themselves.

    Args:
        count: how many.
        labelling: what says whether a name is looked for.
        first: names to take before others.

    Raises:
        InputError: there are not so many.
    """
    others = sorted({entry.singular for entry in official_vocabulary().values()})
    random.Random(0).shuffle(others)
    tags = labelling.merge_synonyms(Tags.of(dict.fromkeys([*first, *others]), kind="unjudged"))
    names = choose(tags, labelling).names
    if len(names) < count:
        raise InputError(
            f"expected at most {len(names)} tags, for as many words are looked for, got {count}"
        )
    return names[:count]


class FixedTags:
    """A tagger that looks, and then says what it was told to say.

    Args:
        tagger: looks.
        names: what is said of every picture.
    """

    def __init__(self, tagger: Tagger, names: Sequence[str]) -> None:
        self._tagger = tagger
        self._tags = Tags.of(names)

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        """Return the fixed tags of each image."""
        self._tagger.tag(images, threshold=threshold)
        return [self._tags] * len(images)


class TopBoxes:
    """A detector that finds a fixed number of boxes, whatever the threshold.

    They are its best ones that lie apart from one another, so that merging drops none; where there
    are too few of those, boxes in a grid stand in their places.

    Args:
        detector: finds boxes.
        count: how many are kept of each picture.
        threshold: what the detector is given as its threshold, see ``threshold_for``.
    """

    def __init__(self, detector: Detector, count: int, threshold: float) -> None:
        self._detector = detector
        self._count = count
        self._threshold = threshold

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        """Return that many boxes of each image, best first."""
        found = self._detector.detect(images, tags, threshold=self._threshold)
        triples = zip(found, images, tags, strict=True)
        return [self._best(*triple) for triple in triples]

    def _best(self, found: sv.Detections, image: Image, tags: Tags) -> sv.Detections:
        rows, boxes = apart(found.xyxy, self._count, image.shape[:2])
        if len(found):
            return replace(replace(found, mask=None).select(rows), xyxy=boxes)
        return sv.Detections(
            boxes,
            confidence=np.full(self._count, 0.5, np.float32),
            class_id=np.zeros(self._count, int),
            data={"class_name": np.full(self._count, tags.names[0])},
        )


def threshold_for(detector: Detector, image: Image, tags: Tags, count: int) -> float:
    """Return a threshold that a few times ``count`` boxes of a picture pass, not all there are.

    With a threshold of 0 a detector would write down hundreds of boxes, which no real run does.
    """
    (found,) = detector.detect([image], [tags], threshold=0.0)
    scores = np.sort(np.asarray(found.confidence, np.float32))[::-1][: _MORE_BOXES * count]
    return float(np.nextafter(scores[-1], np.float32(0))) if len(scores) else 0.0


def apart(
    boxes: NDArray[np.number], count: int, size_hw: tuple[int, ...]
) -> tuple[NDArray[np.int_], NDArray[np.float32]]:
    """Choose boxes that share no pixel; where there are too few, lay out a grid.

    Args:
        boxes: (M, 4) xyxy, best first; M may be 0.
        count: how many are wanted.
        size_hw: size of the picture.

    Returns:
        (count,) rows, which may repeat, and (count, 4) boxes.
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    share = size_hw[0] * size_hw[1] / count  # larger ones would leave no room for others
    fitting = (sides >= LEAST_SIDE).all(1) & (sides.prod(1) <= share)
    kept: list[int] = []
    for row in np.flatnonzero(fitting).tolist():
        low = np.maximum(boxes[kept, :2], boxes[row, :2])
        high = np.minimum(boxes[kept, 2:], boxes[row, 2:])
        if not (low < high).all(1).any():
            kept.append(row)
        if len(kept) == count:
            return np.array(kept), boxes[kept].astype(np.float32)
    return np.arange(count) % max(1, len(boxes)), grid(count, size_hw)


def grid(count: int, size_hw: tuple[int, ...]) -> NDArray[np.float32]:
    """Return (count, 4) boxes xyxy, side by side.

    Raises:
        InputError: the picture is too small for so many.
    """
    columns = math.ceil(math.sqrt(count))
    cell_wh = np.array([size_hw[1] / columns, size_hw[0] / math.ceil(count / columns)])
    if cell_wh.min() * _CELL_SHARE < LEAST_SIDE:
        raise InputError(
            f"{count} boxes do not fit side by side into a picture {size_hw[1]} wide and "
            f"{size_hw[0]} high; ask for fewer, or for a larger picture"
        )
    places = np.arange(count)
    centers = (np.stack([places % columns, places // columns], 1) + 0.5) * cell_wh
    half = cell_wh * _CELL_SHARE / 2
    corners: NDArray[np.float32] = np.hstack([centers - half, centers + half]).astype(np.float32)
    return corners


class OvalMasks:
    """A segmenter that cuts masks, and then gives ovals that fill the boxes instead.

    Masks of random weights are noise, with which nothing after it would take its usual time.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    def segment(
        self, images: Sequence[Image], detections: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        """Return the detections of each image with ovals for masks."""
        cut = self._segmenter.segment(images, detections)
        pairs = zip(images, cut, strict=True)
        return [replace(found, mask=ovals(found.xyxy, image.shape[:2])) for image, found in pairs]


def ovals(boxes: NDArray[np.number], size_hw: tuple[int, ...]) -> sv.CompactMask:
    """Return the ovals that fill (N, 4) boxes xyxy, as masks of an image of that size."""
    height, width = size_hw
    masks = [no_masks((height, width))]
    for x0, y0, x1, y1 in np.hstack([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])]).astype(int):
        v, u = (np.arange(n, dtype=np.float32)[:, None] * 2 + 1 - n for n in (y1 - y0, x1 - x0))
        oval = (v / (y1 - y0)) ** 2 + (u.T / (x1 - x0)) ** 2 <= 1
        packed = sv.CompactMask.from_dense(oval[None], sv.mask_to_xyxy(oval[None]), oval.shape)
        masks.append(packed.with_offset(int(x0), int(y0), (height, width)))
    return sv.CompactMask.merge(masks)
