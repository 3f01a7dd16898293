"""One stage's backend: a name or an object, loaded when first used, its results checked.

Whoever writes a backend learns here, by name and number, where it strays from ``stages``; without
that, a wrong row or a mask of another size would surface as a wrong label much later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.downloads import locate, sha256_of
from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.names import split_backend, unknown_name
from grounded_ram.registry import Stage, adapters, find_factory
from grounded_ram.stages import Detector, Segmenter, Tagger
from grounded_ram.weights import find_checkpoint

METHODS: dict[Stage, str] = {"tagger": "tag", "detector": "detect", "segmenter": "segment"}
"""The one method of each stage."""

StageT = TypeVar("StageT")
_ResultT = TypeVar("_ResultT", Tags, sv.Detections)


class Backend(Generic[StageT]):
    """The backend of one stage.

    Args:
        stage: which stage.
        choice: a name such as "sam:tiny", or an object with the stage's method.
        options: ``device`` and ``dtype`` for the factory behind a name.

    Attributes:
        name: the name; for an object, that of its class.

    Raises:
        InputError: the name is not "adapter:checkpoint", or the object lacks the method.
        UnknownNameError: no adapter or no checkpoint has that name.
    """

    def __init__(self, stage: Stage, choice: str | StageT, **options: Any) -> None:
        self.stage = stage
        self.choice = choice
        self._options = options
        self._lock = threading.Lock()
        self._digests: dict[str, str] | None = None
        if isinstance(choice, str):
            self.name = choice
            self._loaded: StageT | None = None
            _check_name(stage, choice)
        else:
            self.name = f"{type(choice).__module__}.{type(choice).__qualname__}"
            self._loaded = choice
            _check_object(stage, choice)

    def __str__(self) -> str:
        return f"{self.stage} {self.name!r}"

    def get(self) -> StageT:
        """Return the object that does the work; the first call loads what a name stands for.

        Raises:
            WeightsError: weights are absent or damaged.
            MissingDependencyError: the adapter needs a library that is not installed.
        """
        with self._lock:
            if self._loaded is None:
                make: Callable[..., Any] = find_factory(self.stage, self.name)
                self._loaded = make(find_checkpoint(self.name), **self._options)
            return self._loaded

    def record(self) -> dict[str, Any]:
        """Return the name, and the SHA-256 of each file of its checkpoint as far as it is known."""
        if not isinstance(self.choice, str):
            return {"name": self.name}
        if self._digests is None:
            self._digests = _digests(self.name)
        return {"name": self.name, "sha256": dict(self._digests)}


def check_tags(found: object, images: Sequence[Image], backend: Backend[Tagger]) -> list[Tags]:
    """Return what a tagger said of B images, if it is B ``Tags`` with scores in [0, 1]."""
    seen = _one_each(found, images, Tags, backend)
    for tags in seen:
        _scores(tags.scores, len(tags), f"{backend}: scores")
    return seen


def check_boxes(
    found: object, images: Sequence[Image], tags: Sequence[Tags], backend: Backend[Detector]
) -> list[sv.Detections]:
    """Return what a detector found, with the columns of ``stages.Detector`` and no others."""
    each = _one_each(found, images, sv.Detections, backend)
    return [_check_boxes(*three, f"{backend}") for three in zip(each, images, tags, strict=True)]


def check_masks(
    found: object,
    images: Sequence[Image],
    boxes: Sequence[sv.Detections],
    backend: Backend[Segmenter],
) -> list[sv.Detections]:
    """Return the boxes with the masks and mask scores that a segmenter gave them."""
    each = _one_each(found, images, sv.Detections, backend)
    return [_check_masks(*three, f"{backend}") for three in zip(each, images, boxes, strict=True)]


def no_boxes() -> sv.Detections:
    """Return what a detector finds where there is nothing: every column, no row."""
    return sv.Detections(
        np.zeros((0, 4), np.float32),
        confidence=np.zeros(0, np.float32),
        class_id=np.zeros(0, int),
        data={"class_name": np.zeros(0, dtype=str)},
    )


def no_masks(boxes: sv.Detections, image: Image) -> sv.Detections:
    """Return no boxes with the columns that a segmenter adds."""
    size_hw = image.shape[:2]
    mask = sv.CompactMask.from_dense(np.zeros((0, *size_hw), bool), np.zeros((0, 4)), size_hw)
    return replace(boxes, mask=mask, data={**boxes.data, "mask_score": np.zeros(0, np.float32)})


def _check_name(stage: Stage, name: str) -> None:
    """Refuse unknown names without importing the adapter, which loads large libraries."""
    adapter, _ = split_backend(name)
    known = adapters(stage)
    if adapter not in known:
        raise unknown_name(f"{stage} adapter", adapter, known)
    find_checkpoint(name)


def _check_object(stage: Stage, choice: object) -> None:
    method = METHODS[stage]
    if isinstance(choice, type):
        raise InputError(f"{stage}: expected an object, got the class {choice.__name__}; call it")
    if not callable(getattr(choice, method, None)):
        raise InputError(
            f"{stage}: expected a name such as 'adapter:checkpoint' or an object with a method "
            f"{method}(), got {type(choice).__name__}"
        )


def _digests(name: str) -> dict[str, str]:
    known = {}
    for role, file in find_checkpoint(name).files.items():
        path = locate(file) if file.is_local else None
        digest = file.sha256 or (sha256_of(path) if path else None)
        if digest:
            known[role] = digest
    return known


def _one_each(
    found: object, images: Sequence[Image], kind: type[_ResultT], backend: object
) -> list[_ResultT]:
    if not isinstance(found, (list, tuple)):
        raise InputError(f"{backend}: expected a list, got {type(found).__name__}")
    if len(found) != len(images):
        raise InputError(
            f"{backend}: expected {len(images)} results, one an image, got {len(found)}"
        )
    for one in found:
        if not isinstance(one, kind):
            raise InputError(f"{backend}: expected {kind.__name__}, got {type(one).__name__}")
    return list(found)


def _check_boxes(found: sv.Detections, image: Image, tags: Tags, who: str) -> sv.Detections:
    n = len(found)
    if n == 0:
        return no_boxes()
    rows = np.asarray(found.class_id)
    if (
        rows.shape != (n,)
        or rows.dtype.kind not in "iu"
        or rows.min() < 0
        or rows.max() >= len(tags)
    ):
        raise InputError(f"{who}: class_id: expected {n} rows of {len(tags)} tags, got {rows}")
    names = np.array(tags.names, dtype=str)[rows]
    said = np.asarray(found.data.get("class_name", names))
    if said.tolist() != names.tolist():
        raise InputError(f"{who}: class_id says {names.tolist()}, class_name says {said.tolist()}")
    xyxy = found.xyxy.astype(np.float32)
    height, width = image.shape[:2]
    inside = (xyxy[:, :2] >= 0) & (xyxy[:, :2] < xyxy[:, 2:]) & (xyxy[:, 2:] <= (width, height))
    if not inside.all():
        wrong = xyxy[~inside.all(1)][0].tolist()
        raise InputError(
            f"{who}: expected boxes x1 < x2, y1 < y2 in an image {width} wide and {height} high, "
            f"got {wrong}"
        )
    scores = _scores(found.confidence, n, f"{who}: confidence")
    return sv.Detections(xyxy, confidence=scores, class_id=rows, data={"class_name": names})


def _check_masks(
    found: sv.Detections, image: Image, boxes: sv.Detections, who: str
) -> sv.Detections:
    if not np.array_equal(found.xyxy, boxes.xyxy):
        raise InputError(f"{who}: expected the {len(boxes)} boxes it was given, in their order")
    expected = (len(boxes), *image.shape[:2])
    mask = found.mask
    if not isinstance(mask, sv.CompactMask) or mask.shape != expected:
        raise InputError(
            f"{who}: mask: expected an sv.CompactMask {expected}, "
            f"got {type(mask).__name__} {getattr(mask, 'shape', '')}"
        )
    scores = _scores(found.data.get("mask_score"), len(boxes), f"{who}: mask_score")
    return replace(boxes, mask=mask, data={**boxes.data, "mask_score": scores})


def _scores(values: object, n: int, what: str) -> NDArray[np.float32]:
    scores = np.asarray(values)
    if (
        scores.shape != (n,)
        or scores.dtype.kind != "f"
        or not ((scores >= 0) & (scores <= 1)).all()
    ):
        raise InputError(f"{what}: expected {n} floats in [0, 1], got {values}")
    return scores.astype(np.float32)
