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

import grounded_ram
from grounded_ram.annotation import Annotation, Tags
from grounded_ram.drafts import Draft
from grounded_ram.errors import InputError
from grounded_ram.exploration import Exploration, Seen
from grounded_ram.images import MAX_PIXELS, Image, ImageSource, LoadedImage, load_image, load_images
from grounded_ram.presets import Preset, resolve_preset
from grounded_ram.rules import Rules, shares
from grounded_ram.runtime import dtype_name, pick_device, pick_dtype
from grounded_ram.stages import Detector, Segmenter, Tagger
from grounded_ram.trio import Trio
from grounded_ram.vocabulary.edits import Edits, read_edits
from grounded_ram.vocabulary.labelling import Labelling, Labels, Words
from grounded_ram.weights import OnProgress

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
        captions: describe each picture in a sentence, by a tagger that can, such as
            "tag2text:swin-b", guided by what it sees there.
        batch_size: pictures that each network takes at once; of backends given by name. On a GPU 8
            or more keep it busy; the last digits of scores then depend on what is annotated
            together. On a CPU more than 1 gains nothing. Where memory is short, it takes fewer.
        compile: let torch compile the image encoders of backends given by name, when they are first
            used; on a CPU the tagger's alone, which takes a minute and a C++ compiler, and gains a
            twentieth of its time.
        max_pixels: larger pictures are refused.

    Attributes:
        preset: the row in effect, with all that was given in place of its own.
        device: where the networks run.
        dtype: the number type they run in.
        batch_size: pictures that each of them takes at once.

    Raises:
        UnknownNameError: no preset, adapter, checkpoint or file of one has that name.
        InputError: a threshold lies outside [0, 1], the batch size is below 1, the machine has no
            such device, an object is no backend, or a file in ``weights`` is not there.
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
        captions: bool = False,
        batch_size: int = 1,
        compile: bool = False,  # torch's word for it
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        row = resolve_preset(preset)
        own = {name: Path(path).expanduser().absolute() for name, path in (weights or {}).items()}
        edits = vocabulary
        if isinstance(edits, str | os.PathLike):
            edits = read_edits(Path(edits).expanduser())
        elif not isinstance(edits, Edits | None):
            raise InputError(f"vocabulary: expected a path or Edits, got {type(edits).__name__}")
        if type(batch_size) is not int or batch_size < 1:
            raise InputError(f"batch_size: expected a whole number from 1 on, got {batch_size!r}")
        asked = {"weights": own, "device": device, "dtype": dtype, "max_pixels": max_pixels}
        speed = {"batch_size": batch_size, "compile": compile}
        self._asked: dict[str, Any] = asked | speed | {"vocabulary": edits, "captions": captions}
        self._captions = captions
        self.batch_size = batch_size
        self._max_pixels = max_pixels
        self.device = pick_device(device)
        self.dtype = pick_dtype(dtype, self.device)
        self._trio = Trio(
            row,
            tagger=tagger,
            detector=detector,
            segmenter=segmenter,
            own_files=own,
            device=self.device,
            dtype=self.dtype,
            **speed,
        )
        given: dict[str, Any] = {
            **self._trio.names,
            **shares(tag_threshold=tag_threshold, box_threshold=box_threshold, nms_iou=nms_iou),
        }
        self.preset = replace(row, rules=row.rules if rules is None else rules, **given)
        self._labelling = Labelling(self.preset.ground_kinds, edits)

    @property
    def tagger(self) -> Tagger:
        """Return the tagger, loaded if it was not yet."""
        return self._trio.tagger

    @property
    def detector(self) -> Detector:
        """Return the detector, loaded if it was not yet."""
        return self._trio.detector

    @property
    def segmenter(self) -> Segmenter:
        """Return the segmenter, loaded if it was not yet."""
        return self._trio.segmenter

    def __repr__(self) -> str:
        row = self.preset
        return (
            f"<GroundedRAM {row.name!r}: {row.tagger}, {row.detector}, {row.segmenter}; "
            f"{self.device}, {dtype_name(self.dtype)}>"
        )

    def __reduce__(self) -> tuple[partial[GroundedRAM], tuple[()]]:
        return partial(type(self), self.preset, **self._choices()), ()

    def on(self, device: str | torch.device) -> GroundedRAM:
        """Return a model of the same choices for another device; it loads its own weights."""
        return type(self)(self.preset, **{**self._choices(), "device": device})

    def adjusted(
        self, *, tag_threshold: float | None = None, box_threshold: float | None = None
    ) -> GroundedRAM:
        """Return a model with other thresholds that shares this one's weights, loaded or not.

        Raises:
            InputError: a threshold lies outside [0, 1].
        """
        given: Any = shares(tag_threshold=tag_threshold, box_threshold=box_threshold)
        other = object.__new__(type(self))  # copy.copy would build stages of its own
        other.__dict__.update(self.__dict__, preset=replace(self.preset, **given))
        return other

    def _choices(self) -> dict[str, Any]:
        return {**self._trio.choices, **self._asked}

    def fetch_weights(self, *, tagger: bool = True, on_progress: OnProgress | None = None) -> None:
        """Download now what the first image would otherwise wait for.

        Args:
            tagger: fetch the tagger's too; where all tags are your own, it is never read.
            on_progress: as for ``grounded_ram.downloads.download``.

        Raises:
            WeightsError: some cannot be had; the message names all that is missing.
        """
        asked = tagger and self._labelling.edits.ask == "tagger"
        asked = asked or self._captions or self.preset.rules.crop_check != "off"
        self._trio.fetch(tagger=asked, on_progress=on_progress)

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

    def explore(
        self,
        image: ImageSource,
        *,
        tags: Sequence[str] | Tags | None = None,
        color: ColorOrder = "bgr",
    ) -> Exploration:
        """Look at a picture once, to decide its labels again and again: thresholds, names, rules.

        The tagger looks twice: at the tags above their thresholds, and at all others.

        Args:
            image: as for ``annotate``.
            tags: as for ``annotate``.
            color: channel order of a numpy array.

        Raises:
            InputError: as for ``annotate``.
            WeightsError: as for ``annotate``.
        """
        labelling, given = self._named(tags)
        loaded = load_image(image, color=color, max_pixels=self._max_pixels)
        pixels = [loaded.pixels]
        every = self._trio.look(pixels)[0] if given is None else given
        fired = self._tag(pixels)[0] if given is None else given
        caption = self._trio.caption(pixels, [fired])[0] if self._captions else ""
        return Exploration(
            loaded,
            Seen(every, fired, self._labelling.thresholds(), caption),
            labelling,
            trio=self._trio,
            preset=self.preset,
            record=partial(self._record, asked_tagger=self._asks_tagger(given)),
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
        return Words(), Tags.typed(tags)

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
        threshold = labelling.lowest_box_threshold(self.preset.box_threshold)
        boxes = self._trio.detect(pixels, [draft.wanted for draft in drafts], threshold)
        for draft, found in zip(drafts, boxes, strict=True):
            draft.take_boxes(found)
        objects = self._trio.segment(pixels, [draft.found for draft in drafts])
        look = None if self.preset.rules.crop_check == "off" else self._trio.look
        for draft, found in zip(drafts, objects, strict=True):
            draft.take_masks(found)
            draft.judge(look)
        written = self._trio.caption(pixels, seen) if self._captions else [""] * len(pixels)
        run = self._record(asked_tagger=self._asks_tagger(given))
        pairs = zip(drafts, written, strict=True)
        return [draft.finish(run, caption) for draft, caption in pairs]

    def _asks_tagger(self, given: Tags | None) -> bool:
        return given is None or self._captions or self.preset.rules.crop_check != "off"

    def _thresholds(self) -> dict[str, Any]:
        row = self.preset
        return {
            "box_threshold": row.box_threshold,
            "nms_iou": row.nms_iou,
            "rules": row.rules,
        }

    def _tag(self, images: list[Image]) -> list[Tags]:
        limits = self._labelling.thresholds()
        return self._trio.tag(images, threshold=self.preset.tag_threshold, limits=limits)

    def record(self, *, tags: Sequence[str] | Tags | None = None) -> dict[str, Any]:
        """Say how ``annotate`` makes its results, so that they can be made again; loads nothing.

        Args:
            tags: as for ``annotate``.

        Raises:
            InputError: the tags cannot be used.
        """
        return self._record(asked_tagger=self._asks_tagger(self._named(tags)[1]))

    def _record(self, *, asked_tagger: bool) -> dict[str, Any]:
        return {
            "version": grounded_ram.__version__,
            "preset": self.preset.name,
            **self._trio.record(tagger=asked_tagger),
            "tag_threshold": self.preset.tag_threshold if asked_tagger else None,
            "box_threshold": self.preset.box_threshold,
            "nms_iou": self.preset.nms_iou,
            "rules": asdict(self.preset.rules),
            "ground_kinds": list(self._labelling.kinds),
            "vocabulary": self._labelling.edits.record(),
            "captions": self._captions,
            "device": str(self.device),
            "dtype": dtype_name(self.dtype),
        }
