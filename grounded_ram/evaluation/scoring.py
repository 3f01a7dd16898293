"""How right an annotation of a drawn scene is, object by object and tag by tag."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grounded_ram.annotation import Annotation, ImageFacts, Tags
from grounded_ram.vocabulary.labelling import Labelling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grounded_ram.scenes.scene import Scene

LEAST_IOU = 0.5
"""An object is found if a mask of its name shares at least this part of both masks' pixels."""


@dataclass(frozen=True)
class Score:
    """What was right, missed and wrong in one scene, by name.

    Args:
        right: objects found, each with the right name and mask.
        missed: objects that were not.
        wrong: results that are no object: a wrong name, a mask too far off, a thing found twice.
        tags_right: tags seen that are true, of every kind.
        tags_missed: true tags that were not seen.
        tags_wrong: tags seen that are not true.
    """

    right: tuple[str, ...]
    missed: tuple[str, ...]
    wrong: tuple[str, ...]
    tags_right: tuple[str, ...]
    tags_missed: tuple[str, ...]
    tags_wrong: tuple[str, ...]


def truth_of(scene: Scene, image: ImageFacts) -> Annotation:
    """Return the scene's truth as an annotation has it: synonyms are one tag, every score is 1."""
    import supervision as sv

    tags = Labelling(()).merge_synonyms(scene.tags)
    names = [thing.name for thing in scene.objects]
    size_hw = image.size_hw
    masks = np.array([thing.mask for thing in scene.objects], bool).reshape(-1, *size_hw)
    boxes = [thing.box_xyxy for thing in scene.objects]
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    ones = np.ones(len(names), np.float32)
    detections = sv.Detections(
        xyxy,
        mask=sv.CompactMask.from_dense(masks, xyxy, size_hw),
        confidence=ones,
        class_id=np.array([tags.names.index(name) for name in names], int),
        data={
            "class_name": np.array(names, dtype=str),
            "tag_score": ones,
            "box_score": ones,
            "mask_score": ones,
            "label_score": ones,
        },
    )
    return Annotation(image, scene.image, tags, detections)


def score(truth: Annotation, result: Annotation) -> Score:
    """Compare a result with the truth: the best scored object first takes the mask it fits best."""
    true_names, names = _names(truth), _names(result)
    fits = _mask_iou(truth, result)
    fits[np.array(true_names, dtype=str)[:, None] != np.array(names, dtype=str)[None]] = 0
    taken: dict[int, int] = {}
    scores = np.asarray(result.detections.confidence, np.float32)
    for row in np.argsort(-scores, kind="stable"):
        free = [i for i in range(len(true_names)) if i not in taken and fits[i, row] >= LEAST_IOU]
        if free:
            taken[max(free, key=lambda i: float(fits[i, row]))] = int(row)
    return Score(
        right=tuple(true_names[i] for i in sorted(taken)),
        missed=tuple(name for i, name in enumerate(true_names) if i not in taken),
        wrong=tuple(name for row, name in enumerate(names) if row not in taken.values()),
        tags_right=_without(result.tags, _without(result.tags, truth.tags.names)),
        tags_missed=_without(truth.tags, result.tags.names),
        tags_wrong=_without(result.tags, truth.tags.names),
    )


def _names(annotation: Annotation) -> list[str]:
    return [str(name) for name in annotation.detections.data["class_name"]]


def _without(tags: Tags, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in tags.names if name not in names)


def _mask_iou(truth: Annotation, result: Annotation) -> NDArray[np.float64]:
    """Return (N, M) shared pixels over all pixels of each true mask with each result's."""
    pixels = math.prod(truth.image.size_hw)
    a, b = (it.masks.to_dense().reshape(-1, pixels).astype(float) for it in (truth, result))
    shared = a @ b.T
    return np.asarray(shared / np.maximum(a.sum(1)[:, None] + b.sum(1)[None] - shared, 1))
