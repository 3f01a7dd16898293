"""A quick model without networks: it finds patches of three pure colours, and can be pickled."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import supervision as sv

from grounded_ram.annotation import Tags
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from tests.truth_stages import detections, with_masks

COLOURS = {"apple": (255, 0, 0), "car": (0, 0, 255), "tree": (0, 255, 0)}
DEADLY, POISON = (1, 2, 3), (3, 2, 1)
"""First pixels of pictures that kill the process that looks at them, and that raise an error."""


class Colours:
    """All three stages at once."""

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        return [Tags.of(name for name in COLOURS if _patch(image, name).any()) for image in images]

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        return [_boxes(image, asked) for image, asked in zip(images, tags, strict=True)]

    def segment(
        self, images: Sequence[Image], found: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        return [
            with_masks(one, np.array([_patch(image, str(name)) for name in one.data["class_name"]]))
            for image, one in zip(images, found, strict=True)
        ]


def colours_model() -> GroundedRAM:
    stage = Colours()
    return GroundedRAM("tiny", tagger=stage, detector=stage, segmenter=stage)


def draw(path: Path, *names: str, first: tuple[int, int, int] = (9, 9, 9), side: int = 40) -> None:
    """Write a picture with a patch of each name's colour; its first pixel makes it unique."""
    pixels = np.full((side, side, 3), 128, np.uint8)
    for place, name in enumerate(names):
        pixels[4:20, 3 + 12 * place : 12 + 12 * place] = COLOURS[name]
    pixels[0, 0] = first
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path)


def draw_many(folder: Path, count: int) -> None:
    """Write pictures, every fourth without objects, and one that is damaged."""
    names = tuple(COLOURS)
    for number in range(count):
        wanted = names[: number % 4]
        draw(folder / f"{number % 3}" / f"{number:03d}.png", *wanted, first=(number % 256, 7, 7))
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff no picture")


def _patch(image: Image, name: str) -> np.ndarray:
    return (image == np.array(COLOURS[name], np.uint8)).all(axis=2)


def _boxes(image: Image, tags: Tags) -> sv.Detections:
    first = tuple(image[0, 0].tolist())
    if first == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    if first == POISON:
        raise RuntimeError("poisoned")
    masks = [_patch(image, name) for name in tags.names]
    boxes = sv.mask_to_xyxy(np.array(masks, bool).reshape(-1, *image.shape[:2]))
    boxes[:, 2:] += 1  # supervision counts the last pixel in
    rows = zip(tags.names, boxes, strict=True)
    return detections([(tags, name, 0.9, box) for name, box in rows])
