"""The three stages of a model: loaded when they are first needed, their answers checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import supervision as sv

from grounded_ram.annotation import Tags
from grounded_ram.backends import (
    METHODS,
    Backend,
    StageT,
    check_boxes,
    check_masks,
    check_tags,
    no_boxes,
    no_masks,
)
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.images import Image
from grounded_ram.presets import Preset
from grounded_ram.stages import Detector, HasCaptions, HasThresholds, Segmenter, Tagger
from grounded_ram.weights import Checkpoint, OnProgress, fetch_all, with_missing


class Trio:
    """A tagger, a detector and a segmenter.

    Args:
        preset: whose backends they are, unless
        tagger: a name or an object is given instead,
        detector: or for this stage,
        segmenter: or this one.
        own_files: files of the user's own, see ``backends.Backend``.
        options: ``device``, ``dtype``, ``batch_size`` and ``compile`` of named backends, as
            ``backends.Backend`` takes them.

    Raises:
        UnknownNameError: no adapter, checkpoint or file of one has that name.
        InputError: an object is no backend, or one of the files is not there.
    """

    def __init__(
        self,
        preset: Preset,
        *,
        tagger: str | Tagger | None,
        detector: str | Detector | None,
        segmenter: str | Segmenter | None,
        own_files: Mapping[str, Path],
        **options: Any,
    ) -> None:
        where: dict[str, Any] = {"own_files": own_files, **options}
        self._tagger: Backend[Tagger] = Backend(
            "tagger", preset.tagger if tagger is None else tagger, **where
        )
        self._detector: Backend[Detector] = Backend(
            "detector", preset.detector if detector is None else detector, **where
        )
        self._segmenter: Backend[Segmenter] = Backend(
            "segmenter",
            preset.segmenter if segmenter is None else segmenter,
            other=self._detector,
            **where,
        )

    @property
    def names(self) -> dict[str, str]:
        """Return the name of each stage's backend; of an object, its class's."""
        return {stage.stage: stage.name for stage in self._stages}

    @property
    def choices(self) -> dict[str, Any]:
        """Return the name or the object that each stage was given."""
        return {stage.stage: stage.choice for stage in self._stages}

    @property
    def tagger(self) -> Tagger:
        """Return the tagger, loaded if it was not yet."""
        return self._load(self._tagger)

    @property
    def detector(self) -> Detector:
        """Return the detector, loaded if it was not yet."""
        return self._load(self._detector)

    @property
    def segmenter(self) -> Segmenter:
        """Return the segmenter, loaded if it was not yet."""
        return self._load(self._segmenter)

    def fetch(self, *, tagger: bool, on_progress: OnProgress | None) -> None:
        """Download what the stages are read from, with the tagger's files or without."""
        fetch_all(self._checkpoints(0 if tagger else 1), on_progress=on_progress)

    def tag(
        self, images: list[Image], *, threshold: float | None, limits: Mapping[str, float]
    ) -> list[Tags]:
        """Tag pictures.

        Args:
            images: B pictures.
            threshold: as for ``Tagger.tag``.
            limits: thresholds of single tags.
        """
        tagger = self.tagger
        if limits:
            if not isinstance(tagger, HasThresholds):
                raise InputError(
                    f"{self._tagger.name} has no method with_thresholds, so that the vocabulary "
                    "cannot set thresholds of single tags; leave them out"
                )
            tagger, threshold = tagger.with_thresholds(limits, threshold), None
        return check_tags(tagger.tag(images, threshold=threshold), images, self._tagger)

    def caption(self, images: list[Image], tags: Sequence[Tags]) -> list[str]:
        """Describe pictures, guided by their tags.

        Raises:
            WeightsError: the tagger writes no captions.
        """
        tagger = self.tagger
        if not isinstance(tagger, HasCaptions):
            raise WeightsError(
                f"{self._tagger.name} writes no captions; use a tagger that does, such as "
                "tag2text:swin-b"
            )
        return tagger.caption(images, tags=tags)

    def look(self, crops: list[Image]) -> list[Tags]:
        """Tag parts of pictures, whatever the scores."""
        return check_tags(self.tagger.tag(crops, threshold=0.0), crops, self._tagger)

    def detect(
        self, images: list[Image], tags: list[Tags], threshold: float
    ) -> list[sv.Detections]:
        """Find boxes; an image without tags is not looked at."""
        boxes = [no_boxes() for _ in images]
        rows = [i for i, wanted in enumerate(tags) if len(wanted)]
        if rows:
            some, theirs = [images[i] for i in rows], [tags[i] for i in rows]
            found = self.detector.detect(some, theirs, threshold=threshold)
            checked = check_boxes(found, some, theirs, self._detector)
            for i, one in zip(rows, checked, strict=True):
                boxes[i] = one
        return boxes

    def segment(self, images: list[Image], boxes: list[sv.Detections]) -> list[sv.Detections]:
        """Cut each box's mask; an image without boxes is not looked at."""
        rows = [i for i, found in enumerate(boxes) if len(found)]
        objects = [
            found if len(found) else no_masks(found, image)
            for found, image in zip(boxes, images, strict=True)
        ]
        if rows:
            some, theirs = [images[i] for i in rows], [boxes[i] for i in rows]
            found = self.segmenter.segment(some, theirs)
            checked = check_masks(found, some, theirs, self._segmenter)
            for i, one in zip(rows, checked, strict=True):
                objects[i] = one
        return objects

    def record(self, *, tagger: bool) -> dict[str, Any]:
        """Say which networks are at work, of which files; the tagger only if it is asked."""
        return {
            "tagger": self._tagger.record() if tagger else None,
            "detector": self._detector.record(),
            "segmenter": self._segmenter.record(),
        }

    @property
    def _stages(self) -> tuple[Backend[Tagger], Backend[Detector], Backend[Segmenter]]:
        return self._tagger, self._detector, self._segmenter

    def _checkpoints(self, first: int) -> list[Checkpoint]:
        """Return what the named backends are read from, beginning with a stage by its number."""
        rows = [stage.checkpoint for stage in self._stages[first:] if stage.checkpoint is not None]
        return [row for place, row in enumerate(rows) if row not in rows[:place]]

    def _load(self, backend: Backend[StageT]) -> StageT:
        """Return a stage's object; where its weights are missing, tell the later stages' too."""
        try:
            return backend.get()
        except WeightsError as error:
            rows = self._checkpoints(list(METHODS).index(backend.stage))
            raise with_missing(error, rows) from error.__cause__
