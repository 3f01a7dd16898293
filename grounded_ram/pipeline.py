"""GroundedRAM: a picture in, everything known about it out.

image ─ tagger ─► tags ─ vocabulary ─► detector ─► boxes ─ merge ─► segmenter ─► Annotation
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import supervision as sv

import grounded_ram
from grounded_ram.annotation import Annotation, Tags
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
from grounded_ram.drafts import Draft
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.images import MAX_PIXELS, Image, ImageSource, LoadedImage, load_image, load_images
from grounded_ram.presets import Preset, resolve_preset
from grounded_ram.rules import Rules, is_share
from grounded_ram.runtime import pick_device, pick_dtype
from grounded_ram.stages import Detector, HasThresholds, Segmenter, Tagger
from grounded_ram.vocabulary.edits import Edits, read_edits
from grounded_ram.vocabulary.labelling import Labelling, Labels, Words
from grounded_ram.weights import Checkpoint, OnProgress, fetch_all, with_missing

if TYPE_CHECKING:
    import torch

    from grounded_ram.decoding import ColorOrder


class GroundedRAM:
    """Tags, boxes and masks for any picture.

    Weights are read on the first image that needs them: with tags of your own the tagger is never
    loaded. One instance may serve several threads; pickling takes the choices, not the weights.

    Args:
        preset: a name, a row of your own, or None for the one that GROUNDED_RAM_PRESET names, else
            "standard".
        tagger: instead of the preset's, a name such as "ram:tiny" or an object with ``tag``,
        detector: or with ``detect``,
        segmenter: or with ``segment``; ``grounded_ram.stages`` says what each must return.
        weights: files of your own in place of a named backend's: by "tagger", "detector" or
            "segmenter" its weights, by "detector.vocab", say, another file of its checkpoint.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps"; for backends given by name.
        dtype: "auto", "float32" or "bfloat16"; for backends given by name.
        tag_threshold: instead of the preset's: tags scored at or below it are dropped.
        box_threshold: instead of the preset's: boxes scored at or below it are dropped.
        nms_iou: instead of the preset's: see ``grounded_ram.merging.merge``.
        rules: instead of the preset's: all other thresholds between a box and a label.
        vocabulary: your own edits of what is looked for and how labels are called: a YAML file, see
            ``grounded_ram.vocabulary.edits``, or what is read from one.
        max_pixels: larger pictures are refused.

    Attributes:
        preset: the row in effect, with all that was given in place of its own.
        device: where the networks run.
        dtype: the number type they run in.

    Raises:
        UnknownNameError: no preset, adapter, checkpoint or file of one has that name.
        InputError: a threshold lies outside [0, 1], the machine has no such device, an object is
            no backend, or a file in ``weights`` is not there.
    """

    def __init__(
        self,
        preset: str | Preset | None = None,
        *,
        tagger: str | Tagger | None = None,
        detector: str | Detector | None = None,
        segmenter: str | Segmenter | None = None,
        weights: Mapping[str, str | os.PathLike[str]] | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        tag_threshold: float | None = None,
        box_threshold: float | None = None,
        nms_iou: float | None = None,
        rules: Rules | None = None,
        vocabulary: str | os.PathLike[str] | Edits | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        row = resolve_preset(preset)
        own = {name: Path(path).expanduser().absolute() for name, path in (weights or {}).items()}
        edits = vocabulary
        if isinstance(edits, str | os.PathLike):
            edits = read_edits(Path(edits).expanduser())
        elif not isinstance(edits, Edits | None):
            raise InputError(f"vocabulary: expected a path or Edits, got {type(edits).__name__}")
        asked = {"weights": own, "device": device, "dtype": dtype, "max_pixels": max_pixels}
        self._asked: dict[str, Any] = asked | {"vocabulary": edits}
        self._max_pixels = max_pixels
        self.device = pick_device(device)
        self.dtype = pick_dtype(dtype, self.device)
        where: dict[str, Any] = {"own_files": own, "device": self.device, "dtype": self.dtype}
        self._tagger: Backend[Tagger] = Backend(
            "tagger", row.tagger if tagger is None else tagger, **where
        )
        self._detector: Backend[Detector] = Backend(
            "detector", row.detector if detector is None else detector, **where
        )
        self._segmenter: Backend[Segmenter] = Backend(
            "segmenter",
            row.segmenter if segmenter is None else segmenter,
            other=self._detector,
            **where,
        )
        self.preset = replace(
            row,
            tagger=self._tagger.name,
            detector=self._detector.name,
            segmenter=self._segmenter.name,
            rules=row.rules if rules is None else rules,
            **_shares(tag_threshold=tag_threshold, box_threshold=box_threshold, nms_iou=nms_iou),
        )
        self._labelling = Labelling(self.preset.ground_kinds, edits)

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

    def __repr__(self) -> str:
        row = self.preset
        return (
            f"<GroundedRAM {row.name!r}: {row.tagger}, {row.detector}, {row.segmenter}; "
            f"{self.device}, {_name_of(self.dtype)}>"
        )

    def __reduce__(self) -> tuple[partial[GroundedRAM], tuple[()]]:
        choices: dict[str, Any] = {
            "tagger": self._tagger.choice,
            "detector": self._detector.choice,
            "segmenter": self._segmenter.choice,
        }
        return partial(type(self), self.preset, **choices, **self._asked), ()

    def fetch_weights(self, *, tagger: bool = True, on_progress: OnProgress | None = None) -> None:
        """Download now what the first image would otherwise wait for.

        Args:
            tagger: fetch the tagger's too; where all tags are your own, it is never read.
            on_progress: as for ``grounded_ram.downloads.download``.

        Raises:
            WeightsError: some cannot be had; the message names all that is missing.
        """
        asked = tagger and self._labelling.edits.ask == "tagger"
        asked = asked or self.preset.rules.crop_check != "off"
        fetch_all(self._checkpoints(0 if asked else 1), on_progress=on_progress)

    def _checkpoints(self, first: int) -> list[Checkpoint]:
        """Return what the named backends are read from, beginning with a stage by its number."""
        stages = (self._tagger, self._detector, self._segmenter)[first:]
        rows = [stage.checkpoint for stage in stages if stage.checkpoint is not None]
        return [row for place, row in enumerate(rows) if row not in rows[:place]]

    def _load(self, backend: Backend[StageT]) -> StageT:
        """Return a stage's object; where its weights are missing, tell the later stages' too."""
        try:
            return backend.get()
        except WeightsError as error:
            rows = self._checkpoints(list(METHODS).index(backend.stage))
            raise with_missing(error, rows) from error.__cause__

    def annotate(
        self,
        image: ImageSource,
        *,
        tags: Sequence[str] | Tags | None = None,
        color: ColorOrder = "bgr",
    ) -> Annotation:
        """Find out what is in a picture, where, and on which pixels.

        A tag is looked for if the preset grounds its kind and the vocabulary finds it worth a box;
        synonyms are looked for under one name. ``ungrounded`` says of each tag that no object
        carries in the end why, ``rejected`` of each box.

        Args:
            image: a path, a URL, bytes, a binary file, a PIL image, a numpy array or a tensor.
            tags: what to look for, the tagger is not asked: names, each of which is looked for, or
                ``Tags``, whose kinds count as the tagger's do.
            color: channel order of a numpy array.

        Raises:
            InputError: the image or the tags cannot be used, or a backend returned what its stage
                does not.
            WeightsError: weights are absent or damaged; the message says what to type.
        """
        labelling, named = self._named(tags)
        loaded = load_image(image, color=color, max_pixels=self._max_pixels)
        return self._annotate([loaded], labelling, named)[0]

    def annotate_batch(
        self,
        images: Iterable[ImageSource],
        *,
        tags: Sequence[str] | Tags | None = None,
        color: ColorOrder = "bgr",
    ) -> list[Annotation]:
        """Annotate several pictures, of any sizes; each result is the one that ``annotate`` gives.

        Args:
            images: B pictures; B may be 0.
            tags: as for ``annotate``, the same for all.
            color: channel order of numpy arrays.

        Raises:
            InputError: as for ``annotate``; an image that cannot be used is told by its place.
            WeightsError: as for ``annotate``.
        """
        labelling, named = self._named(tags)
        return self._annotate(
            load_images(images, color=color, max_pixels=self._max_pixels), labelling, named
        )

    def tag_batch(self, images: Iterable[ImageSource], *, color: ColorOrder = "bgr") -> list[Tags]:
        """Say what is in several pictures, without looking for where; synonyms are one tag.

        Args:
            images: B pictures, of any sizes; B may be 0.
            color: channel order of numpy arrays.

        Raises:
            InputError: as for ``annotate_batch``.
            WeightsError: as for ``annotate``.
        """
        loaded = load_images(images, color=color, max_pixels=self._max_pixels)
        seen = self._tag([image.pixels for image in loaded]) if loaded else []
        return [self._labelling.merge_synonyms(tags) for tags in seen]

    def _named(self, tags: Sequence[str] | Tags | None) -> tuple[Labels, Tags | None]:
        """Return what says what to look for, and the tags that are given, if they are."""
        if tags is None and self._labelling.edits.ask == "classes":
            return self._labelling, self._labelling.all_of_classes()
        if tags is None or isinstance(tags, Tags):
            return self._labelling, tags
        return Words(), Tags.of(_names(tags))

    def _annotate(
        self, loaded: Sequence[LoadedImage], labelling: Labels, given: Tags | None
    ) -> list[Annotation]:
        if not loaded:
            return []
        pixels = [image.pixels for image in loaded]
        seen = self._tag(pixels) if given is None else [given] * len(pixels)
        drafts = [
            Draft(image, labelling.merge_synonyms(tags), labelling, **self._thresholds())
            for image, tags in zip(loaded, seen, strict=True)
        ]
        boxes = self._detect(pixels, [draft.wanted for draft in drafts])
        for draft, found in zip(drafts, boxes, strict=True):
            draft.take_boxes(found)
        objects = self._segment(pixels, [draft.found for draft in drafts])
        look = None if self.preset.rules.crop_check == "off" else self._look
        for draft, found in zip(drafts, objects, strict=True):
            draft.take_masks(found)
            draft.judge(look)
        run = self._record(asked_tagger=given is None or look is not None)
        return [draft.finish(run) for draft in drafts]

    def _thresholds(self) -> dict[str, Any]:
        return {"nms_iou": self.preset.nms_iou, "rules": self.preset.rules}

    def _tag(self, images: list[Image]) -> list[Tags]:
        tagger, threshold = self.tagger, self.preset.tag_threshold
        if limits := self._labelling.thresholds():
            if not isinstance(tagger, HasThresholds):
                raise InputError(
                    f"{self._tagger.name} has no method with_thresholds, so that the vocabulary "
                    "cannot set thresholds of single tags; leave them out"
                )
            tagger, threshold = tagger.with_thresholds(limits, threshold), None
        found = tagger.tag(images, threshold=threshold)
        return check_tags(found, images, self._tagger)

    def _look(self, crops: list[Image]) -> list[Tags]:
        """Tag parts of pictures, whatever the scores."""
        return check_tags(self.tagger.tag(crops, threshold=0.0), crops, self._tagger)

    def _detect(self, images: list[Image], tags: list[Tags]) -> list[sv.Detections]:
        """Find boxes; an image without tags is not looked at."""
        boxes = [no_boxes() for _ in images]
        rows = [i for i, wanted in enumerate(tags) if len(wanted)]
        if rows:
            some, theirs = [images[i] for i in rows], [tags[i] for i in rows]
            found = self.detector.detect(some, theirs, threshold=self.preset.box_threshold)
            checked = check_boxes(found, some, theirs, self._detector)
            for i, one in zip(rows, checked, strict=True):
                boxes[i] = one
        return boxes

    def _segment(self, images: list[Image], boxes: list[sv.Detections]) -> list[sv.Detections]:
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

    def _record(self, *, asked_tagger: bool) -> dict[str, Any]:
        """Say how a result was made, so that it can be made again."""
        return {
            "version": grounded_ram.__version__,
            "preset": self.preset.name,
            "tagger": self._tagger.record() if asked_tagger else None,
            "detector": self._detector.record(),
            "segmenter": self._segmenter.record(),
            "tag_threshold": self.preset.tag_threshold if asked_tagger else None,
            "box_threshold": self.preset.box_threshold,
            "nms_iou": self.preset.nms_iou,
            "rules": asdict(self.preset.rules),
            "ground_kinds": list(self._labelling.kinds),
            "vocabulary": self._labelling.edits.record(),
            "device": str(self.device),
            "dtype": _name_of(self.dtype),
        }


def _shares(**given: float | None) -> Mapping[str, Any]:
    """Return those thresholds that were given, as plain numbers."""
    for what, value in given.items():
        if value is not None and not is_share(value):
            raise InputError(f"{what}: expected a number in [0, 1], got {value!r}")
    return {what: float(value) for what, value in given.items() if value is not None}


def _names(tags: Sequence[str]) -> list[str]:
    if isinstance(tags, str):
        listed = [part.strip() for part in tags.split(",")]
        raise InputError(f"tags: expected a list of names, got one text; write tags={listed}")
    wrong = [tag for tag in tags if not (isinstance(tag, str) and tag.strip())]
    if wrong:
        raise InputError(f"tags: expected names that are not empty, got {wrong[0]!r}")
    return list(tags)


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
