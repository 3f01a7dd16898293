"""One stage's backend: a name or an object, loaded when first used, its results checked.

Whoever writes a backend learns here, by name and number, where it strays from ``stages``; without
that, a wrong row or a mask of another size would surface as a wrong label much later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram import hub
from grounded_ram.annotation import Tags, objects
from grounded_ram.cache import known_sha256
from grounded_ram.downloads import locate
from grounded_ram.errors import InputError
from grounded_ram.images import Image
from grounded_ram.names import split_backend, unknown_name
from grounded_ram.registry import Stage, adapters, find_factory
from grounded_ram.stages import CanCompile, Detector, HasBatchSize, Segmenter, Tagger
from grounded_ram.weights import Checkpoint, find_checkpoint, with_own_files

METHODS: dict[Stage, str] = {"tagger": "tag", "detector": "detect", "segmenter": "segment"}
"""The one method of each stage."""

StageT = TypeVar("StageT")
_ResultT = TypeVar("_ResultT", Tags, sv.Detections)


class Backend(Generic[StageT]):
    """The backend of one stage.

    Args:
        stage: which stage.
        choice: a name such as "sam:tiny", or an object with the stage's method.
        own_files: files of the user's own, by "stage" for weights or by "stage.role" for another
            file; those of this stage take the place of its checkpoint's.
        other: an earlier stage's backend: where one factory makes both of the same files, they are
            one object.
        batch_size: images that the network behind a name takes at once, if it can be told.
        compile: let torch compile that network, if it can be told.
        options: ``device`` and ``dtype`` for the factory behind a name.

    Attributes:
        name: the name; for an object, that of its class.
        checkpoint: what a named backend is read from; None for an object.

    Raises:
        InputError: the name is not "adapter:checkpoint", the object lacks the method, or there is
            no such file.
        UnknownNameError: no adapter, no checkpoint or no file of the checkpoint has that name.
    """

    def __init__(
        self,
        stage: Stage,
        choice: str | StageT,
        *,
        own_files: Mapping[str, Path] | None = None,
        other: Backend[Any] | None = None,
        batch_size: int = 1,
        compile: bool = False,  # torch's word for it
        **options: Any,
    ) -> None:
        self.stage = stage
        self.choice = choice
        self._other = other
        self._options = options
        self._batch_size, self._compile = batch_size, compile
        self._lock = threading.Lock()
        self._facts: dict[str, Any] | None = None
        self.checkpoint: Checkpoint | None = None
        own = _own_files(stage, own_files or {})
        if isinstance(choice, str):
            self.name = choice
            self._loaded: StageT | None = None
            self.checkpoint = with_own_files(_find_checkpoint(stage, choice), own)
        elif own:
            raise InputError(f"{stage}: files are for a backend given by name; this is an object")
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
                if self._other is not None and self._other._makes(self.checkpoint, make):
                    self._loaded = self._other.get()
                else:
                    self._loaded = make(self.checkpoint, **self._options)
                    set_speed(self._loaded, batch_size=self._batch_size, compile=self._compile)
            return self._loaded

    def _makes(self, checkpoint: Checkpoint | None, make: Callable[..., Any]) -> bool:
        """Tell whether the object of this backend is made by a factory of a checkpoint's files."""
        return self.checkpoint == checkpoint and find_factory(self.stage, self.name) is make

    def record(self) -> dict[str, Any]:
        """Return the name, and the SHA-256 of each file of its checkpoint as far as it is known.

        Of files from the hub whose SHA-256 nobody knew beforehand, the commits are told too.
        """
        if self.checkpoint is None:
            return {"name": self.name}
        facts = self._facts or _facts(self.checkpoint)
        if self._loaded is not None:  # what was read stays what was read
            self._facts = facts
        return {"name": self.name, **deepcopy(facts)}


def set_speed(backend: object, *, batch_size: int, compile: bool) -> None:
    """Tell a backend how fast it shall be, as far as it listens.

    Args:
        backend: of any stage.
        batch_size: images that its network takes at once.
        compile: let torch compile that network.
    """
    if isinstance(backend, HasBatchSize):
        backend.batch_size = batch_size
    if compile and isinstance(backend, CanCompile):
        backend.compile()


def check_tags(found: object, images: Sequence[Image], backend: Backend[Tagger]) -> list[Tags]:
    """Return what a tagger said of B images, if it is B ``Tags`` with scores in [0, 1]."""
    seen = _one_each(found, images, Tags, backend)
    for tags in seen:
        _scores(tags.scores, len(tags), f"{backend}: scores")
    return seen


def check_boxes(
    found: object, images: Sequence[Image], tags: Sequence[Tags], backend: Backend[Detector]
) -> list[sv.Detections]:
    """Return what a detector found, with the columns of ``stages.Detector`` and no others.

    Masks that it gave as a ``stages.Segmenter`` does are kept.
    """
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
        data={"class_name": np.zeros(0, dtype=str), "alternatives": objects([])},
    )


def no_masks(boxes: sv.Detections, image: Image) -> sv.Detections:
    """Return no boxes with the columns that a segmenter adds."""
    size_hw = image.shape[:2]
    mask = sv.CompactMask.from_dense(np.zeros((0, *size_hw), bool), np.zeros((0, 4)), size_hw)
    told = {"mask_score": np.zeros(0, np.float32), "mask_stability": np.zeros(0, np.float32)}
    return replace(boxes, mask=mask, data={**boxes.data, **told})


def _find_checkpoint(stage: Stage, name: str) -> Checkpoint:
    """Refuse unknown names without importing the adapter, which loads large libraries."""
    adapter, _ = split_backend(name)
    known = adapters(stage)
    if adapter not in known:
        raise unknown_name(f"{stage} adapter", adapter, known)
    return find_checkpoint(name)


def _own_files(stage: Stage, given: Mapping[str, Path]) -> dict[str, Path]:
    """Return those of the user's own files that are of one stage, by role."""
    files = {}
    for name, path in given.items():
        whose, _, role = name.partition(".")
        if whose not in METHODS:
            raise unknown_name("stage", whose, METHODS)
        if whose == stage:
            files[role or "weights"] = path
    return files


def _check_object(stage: Stage, choice: object) -> None:
    method = METHODS[stage]
    if isinstance(choice, type):
        raise InputError(f"{stage}: expected an object, got the class {choice.__name__}; call it")
    if not callable(getattr(choice, method, None)):
        raise InputError(
            f"{stage}: expected a name such as 'adapter:checkpoint' or an object with a method "
            f"{method}(), got {type(choice).__name__}"
        )


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    digests, commits = {}, {}
    for role, file in checkpoint.files.items():
        path = None if file.sha256 else locate(file)
        digest = known_sha256(path) if path else file.sha256
        if digest:
            digests[role] = digest
        if path and (commit := hub.commit(path)):
            commits[role] = commit
    return {"sha256": digests, **({"commit": commits} if commits else {})}


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
    others = _check_alternatives(found.data.get("alternatives", [()] * n), n, tags, who)
    data = {"class_name": names, "alternatives": others}
    boxes = sv.Detections(xyxy, confidence=scores, class_id=rows, data=data)
    return boxes if found.mask is None else _take_masks(found, image, boxes, who)


def _check_alternatives(given: Any, n: int, tags: Tags, who: str) -> NDArray[np.object_]:
    """Return the other tags of N boxes, if they are tags that were asked for."""
    try:
        told = [tuple((str(name), float(score)) for name, score in others) for others in given]
    except (TypeError, ValueError):
        told = []
    pairs, asked = [pair for others in told for pair in others], set(tags.names)
    if len(told) != n or any(name not in asked or not 0 <= s <= 1 for name, s in pairs):
        raise InputError(
            f"{who}: alternatives: expected {n} tuples of (tag, score), of tags asked for and "
            f"scores in [0, 1]; got {given}"
        )
    return objects(told)


def _check_masks(
    found: sv.Detections, image: Image, boxes: sv.Detections, who: str
) -> sv.Detections:
    if not np.array_equal(found.xyxy, boxes.xyxy):
        raise InputError(f"{who}: expected the {len(boxes)} boxes it was given, in their order")
    return _take_masks(found, image, boxes, who)


def _take_masks(
    found: sv.Detections, image: Image, boxes: sv.Detections, who: str
) -> sv.Detections:
    """Return the boxes with the masks that were found, their scores and their stability."""
    expected = (len(boxes), *image.shape[:2])
    mask = found.mask
    if not isinstance(mask, sv.CompactMask) or mask.shape != expected:
        raise InputError(
            f"{who}: mask: expected an sv.CompactMask {expected}, "
            f"got {type(mask).__name__} {getattr(mask, 'shape', '')}"
        )
    n = len(boxes)
    stability = np.asarray(found.data.get("mask_stability", np.full(n, np.nan)), np.float32)
    _scores(np.nan_to_num(stability), n, f"{who}: mask_stability")  # NaN where it is not known
    scores = _scores(found.data.get("mask_score"), n, f"{who}: mask_score")
    told = {"mask_score": scores, "mask_stability": stability}
    return replace(boxes, mask=mask, data={**boxes.data, **told})


def _scores(values: object, n: int, what: str) -> NDArray[np.float32]:
    scores = np.asarray(values)
    if (
        scores.shape != (n,)
        or scores.dtype.kind != "f"
        or not ((scores >= 0) & (scores <= 1)).all()
    ):
        raise InputError(f"{what}: expected {n} floats in [0, 1], got {values}")
    return scores.astype(np.float32)
