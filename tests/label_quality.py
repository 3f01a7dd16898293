"""What labels are worth on a drawn scene: right ones, duplicates, wrong ones, junk.

Every result is exactly one of the four. It shows the object that its mask overlaps by half, or else
the one that its box does; junk shows none. The boxes count here, too, because the segmenter is the
same whatever is compared: where a box is right and its mask is not, nothing was made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache
from typing import Literal

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.scenes.catalog import VOCABULARY, further_names
from grounded_ram.scenes.scene import Scene

Reading = Literal["name", "tag", "words"]
"""What is a right label: the object's plain name; or any true tag, that is a synonym or what it is
a kind of, too; or any text whose words are all in true tags, such as "automobile car"."""

LEAST_IOU = 0.5
NOTHING = -1


@dataclass(frozen=True)
class Result:
    """One result, compared with the scene.

    Args:
        label: any text.
        score: the results of a scene are told apart by it, best first.
        thing: which of the scene's objects it shows; ``NOTHING`` if none.
        fits: its mask overlaps that object's by half.
    """

    label: str
    score: float
    thing: int
    fits: bool


@dataclass(frozen=True)
class Counts:
    """Results of some scenes, counted; they add up.

    Args:
        images: scenes.
        objects: true objects in them.
        right: results that have the right label for an object and fit it; one an object.
        duplicates: results on an object that a better one shows; a right one is always better.
        wrong: results with a wrong label for their object, or a mask that does not fit it.
        junk: results that show no object.
        outside: results, of all four sorts, whose label is no tag of the vocabulary.
    """

    images: int = 0
    objects: int = 0
    right: int = 0
    duplicates: int = 0
    wrong: int = 0
    junk: int = 0
    outside: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def results(self) -> int:
        return self.right + self.duplicates + self.wrong + self.junk

    @property
    def missed(self) -> int:
        return self.objects - self.right

    @property
    def precision(self) -> float:
        return self.right / self.results if self.results else float("nan")

    @property
    def recall(self) -> float:
        return self.right / self.objects if self.objects else float("nan")


def compare(scene: Scene, found: sv.Detections) -> list[Result]:
    """Say which object each result shows, best result first.

    Args:
        scene: what is true.
        found: N results with masks, ``confidence`` and ``class_name``; N may be 0.
    """
    if not len(found):
        return []
    names, scores = found.data["class_name"], np.asarray(found.confidence)
    things, fits = _shown(scene, found)
    return [
        Result(str(names[row]), float(scores[row]), int(things[row]), bool(fits[row]))
        for row in np.argsort(-scores, kind="stable")
    ]


def judge(true_names: Sequence[str], results: Sequence[Result], reading: Reading = "tag") -> Counts:
    """Count the results of one scene.

    Args:
        true_names: of its objects.
        results: what was found, best first.
        reading: which labels are right.
    """
    shown: set[int] = set()
    others = []
    for result in results:
        right = result.fits and is_right(result.label, true_names[result.thing], reading)
        if right and result.thing not in shown:
            shown.add(result.thing)
        else:
            others.append(result.thing)
    right_ones, wrong = len(shown), 0
    for thing in others:
        if thing != NOTHING and thing not in shown:
            shown.add(thing)
            wrong += 1
    junk = others.count(NOTHING)
    return Counts(
        images=1,
        objects=len(true_names),
        right=right_ones,
        duplicates=len(others) - wrong - junk,
        wrong=wrong,
        junk=junk,
        outside=sum(result.label not in VOCABULARY for result in results),
    )


@cache
def is_right(label: str, name: str, reading: Reading) -> bool:
    """Tell whether a label is right for an object of that plain name."""
    tags = {name, *further_names(name)}
    if reading == "words":
        return bool(label) and {*label.split()} <= {word for tag in tags for word in tag.split()}
    return label == name or (reading == "tag" and label in tags)


def _shown(scene: Scene, found: sv.Detections) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """Return the object that each result shows, and whether its mask fits it."""
    if not scene.objects:
        return np.full(len(found), NOTHING), np.zeros(len(found), bool)
    masks = np.array([thing.mask for thing in scene.objects])
    boxes = np.array([thing.box_xyxy for thing in scene.objects])
    by_mask = _mask_iou(np.asarray(found.mask), masks)
    by_box = sv.box_iou_batch(found.xyxy, boxes)
    fits = by_mask.max(axis=1) >= LEAST_IOU
    boxed = np.where(by_box.max(axis=1) >= LEAST_IOU, by_box.argmax(axis=1), NOTHING)
    return np.where(fits, by_mask.argmax(axis=1), boxed), fits


def _mask_iou(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (N, M) shared pixels over all pixels of each result and each object."""
    a = found.reshape(len(found), -1).astype(np.float32)
    b = true.reshape(len(true), -1).astype(np.float32)
    shared = a @ b.T
    iou: NDArray[np.float32] = shared / (a.sum(1)[:, None] + b.sum(1)[None] - shared)
    return iou
