"""Our pipeline under a clock: its stages, what is between them, and what comes before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from grounded_ram.annotation import Tags
from grounded_ram.benchmark.networks import Part, load_part
from grounded_ram.benchmark.report import PASSES
from grounded_ram.benchmark.settings import BOXES, Settings
from grounded_ram.benchmark.stand_ins import FixedTags, OvalMasks, TopBoxes, threshold_for, words
from grounded_ram.benchmark.timing import Clock, Timed
from grounded_ram.export.coco import FILE_NAME, write_coco
from grounded_ram.export.files import write_picture
from grounded_ram.export.records import encode
from grounded_ram.images import Image, load_image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.registry import Stage
from grounded_ram.vocabulary.labelling import Labelling

WITH_STAND_IN = " with its stand-in"
"""Follows a stage's name where its answer is replaced meanwhile, which is nobody's time."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """What came of a few pictures.

    Args:
        pixels: the pictures.
        ms: how long each step took a picture, and sums: "annotate" of what ``annotate`` does,
            "all" of everything; "draw", too, if that was asked for.
        objects: how many were left in all.
    """

    pixels: list[Image]
    ms: Mapping[str, float]
    objects: int


class Ours:
    """Our pipeline, ready to be measured.

    Args:
        settings: what to measure.
        first: a picture, with which what is not measured is found out.
        folder: for files.
        clock: measures.
        device: where the networks run.
        dtype: the number type they run in.

    Attributes:
        parts: the stages that run, by name.
        names: the tags that are looked for.
        fixed_boxes: how many boxes are segmented of each picture; None if that is not fixed.
    """

    def __init__(
        self,
        settings: Settings,
        first: bytes,
        *,
        folder: Path,
        clock: Clock,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._settings, self._folder, self._clock = settings, folder, clock
        self.parts = _load(settings, folder, device=device, dtype=dtype)
        pixels = load_image(first).pixels
        self.names = self._choose_names(pixels)
        usual = BOXES if self.parts["detector"].is_random else None
        self.fixed_boxes = settings.boxes or usual
        self._segmented = Timed(self.parts["segmenter"].stage, clock, "segment")
        self._model = GroundedRAM(
            settings.preset,
            **self._stages(pixels),
            device=device,
            dtype=dtype,
        )

    @property
    def boxes(self) -> int:
        """How many boxes the segmenter was given since the beginning."""
        return self._segmented.boxes

    def run(self, jpegs: Sequence[bytes]) -> Chunk:
        """Do all there is to do with a few pictures."""
        measure = self._clock.measure
        with measure("decode"):
            loaded = [load_image(file) for file in jpegs]
        tags = None if self._settings.asks_tagger else list(self.names)
        with measure("annotate"):
            annotations = self._model.annotate_batch(loaded, tags=tags)
        with measure("encode"):
            for annotation in annotations:
                encode(annotation)
        with measure("overlay"):
            pictures = [annotation.overlay() for annotation in annotations]
        if self._settings.draws:
            with measure("write"):
                for picture in pictures:
                    write_picture(picture, self._folder / "ours.jpg")
        with measure("export"):
            write_coco(annotations, self._folder / FILE_NAME)
        objects = sum(len(annotation.detections) for annotation in annotations)
        passes = PASSES if "tagger" in self.parts else PASSES[1:]
        ms = milliseconds(self._clock.take(), len(jpegs), passes)
        return Chunk([image.pixels for image in loaded], ms, objects)

    def _choose_names(self, pixels: Image) -> tuple[str, ...]:
        """Take the tags that the tagger finds likeliest, if it knows anything."""
        part = self.parts.get("tagger")
        likely: tuple[str, ...] = ()
        if part is not None and not part.is_random:
            likely = part.stage.tag([pixels], threshold=0.0)[0].names
        return words(self._settings.tags, Labelling(self._settings.preset.ground_kinds), likely)

    def _stages(self, pixels: Image) -> dict[str, Any]:
        """Put a clock around each stage, and its stand-in around that."""
        clock, parts = self._clock, self.parts
        detector: Any = Timed(parts["detector"].stage, clock, "detect")
        if self.fixed_boxes is not None:
            count, tags = self.fixed_boxes, Tags.of(self.names)
            threshold = threshold_for(parts["detector"].stage, pixels, tags, count)
            detector = TopBoxes(detector, count, threshold)
        random = parts["segmenter"].is_random
        stages = {
            "detector": Timed(detector, clock, "detect" + WITH_STAND_IN),
            "segmenter": Timed(
                OvalMasks(self._segmented) if random else self._segmented,
                clock,
                "segment" + WITH_STAND_IN,
            ),
        }
        if "tagger" in parts:
            tagger = FixedTags(Timed(parts["tagger"].stage, clock, "tag"), self.names)
            stages["tagger"] = Timed(tagger, clock, "tag" + WITH_STAND_IN)
        return stages


def _load(settings: Settings, folder: Path, **options: Any) -> dict[str, Part]:
    """Load the stages that run; one that is two of them only once."""
    names: dict[Stage, str] = {
        "detector": settings.preset.detector,
        "segmenter": settings.preset.segmenter,
    }
    if settings.asks_tagger or settings.preset.rules.crop_check != "off":
        names = {"tagger": settings.preset.tagger, **names}
    speed: dict[str, Any] = {"batch_size": settings.batch, "compile": settings.compile}
    parts: dict[str, Part] = {}
    for stage, name in names.items():
        same = next((part for part in parts.values() if part.name == name), None)
        parts[stage] = replace(same) if same else load_part(stage, name, folder, **speed, **options)
    return parts


def milliseconds(
    spent: Mapping[str, float], pictures: int, passes: Sequence[str]
) -> dict[str, float]:
    """Return the milliseconds a picture of each step, and of their sums; see ``Chunk``.

    Args:
        spent: the clock's readings.
        pictures: how many took that.
        passes: the stages that ran.
    """
    each = {name: 1000 * seconds / pictures for name, seconds in spent.items()}
    inside = {name: each.get(name, 0.0) for name in passes}
    inside["merge"] = each["annotate"] - sum(each.get(name + WITH_STAND_IN, 0) for name in passes)
    others = {name: each[name] for name in ("decode", "encode", "overlay", "export")}
    drawn = {"draw": each["overlay"] + each["write"]} if "write" in each else {}
    annotate = sum(inside.values())
    whole = annotate + sum(others.values())
    return {**others, **inside, "annotate": annotate, "all": whole, **drawn}
