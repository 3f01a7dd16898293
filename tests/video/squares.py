"""A quick model without networks that finds coloured squares in videos, and videos of squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.video.encoding import Encoder
from tests.truth_stages import detections, with_masks

CHANNELS = {"apple": 0, "tree": 1, "car": 2}
"""The names of red, green and blue squares."""

SIDE = 16
BACKGROUND = 90


class Squares:
    """All three stages at once; a codec may blur what they look at."""

    def __init__(self) -> None:
        self.tagged = 0
        self.detected = 0

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        self.tagged += len(images)
        return [Tags.of(name for name in CHANNELS if patch(image, name).any()) for image in images]

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        self.detected += len(images)
        return [_boxes(image, asked) for image, asked in zip(images, tags, strict=True)]

    def segment(
        self, images: Sequence[Image], found: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        masks = [
            [patch(image, str(name)) for name in one.data["class_name"]]
            for image, one in zip(images, found, strict=True)
        ]
        shapes = [(-1, *image.shape[:2]) for image in images]
        return [
            with_masks(one, np.array(mask, bool).reshape(shape))
            for one, mask, shape in zip(found, masks, shapes, strict=True)
        ]


def squares_model(stage: Squares | None = None, *, batch_size: int = 1) -> GroundedRAM:
    stage = stage or Squares()
    parts = {"tagger": stage, "detector": stage, "segmenter": stage}
    return GroundedRAM("tiny", **parts, device="cpu", batch_size=batch_size)  # type: ignore[arg-type]


def patch(image: Image, name: str) -> NDArray[np.bool_]:
    """Return the pixels whose channel outshines the others."""
    wide = image.astype(int)
    own = wide[..., CHANNELS[name]]
    others = np.delete(wide, CHANNELS[name], axis=2).max(axis=2)
    seen = (own - others > 80).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(seen, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), bool)


def picture(squares: Mapping[str, tuple[int, int]], size_hw: tuple[int, int]) -> Image:
    """Draw squares by their left upper corners, x and y; those outside are cut."""
    pixels = np.full((*size_hw, 3), BACKGROUND, np.uint8)
    for name, (x, y) in squares.items():
        color = [20, 20, 20]
        color[CHANNELS[name]] = 235
        pixels[max(y, 0) : max(y + SIDE, 0), max(x, 0) : max(x + SIDE, 0)] = color
    return pixels


def write_squares(
    path: Path,
    frames: Sequence[Mapping[str, tuple[int, int]]],
    *,
    size_hw: tuple[int, int] = (64, 96),
    fps: float = 10.0,
    seconds: Sequence[float] | None = None,
) -> Path:
    """Write a video of squares; ``seconds`` says when each frame is shown, if not evenly."""
    with Encoder(path, fps, size_hw) as encoder:
        for number, squares in enumerate(frames):
            second = number / fps if seconds is None else seconds[number]
            encoder.write(picture(squares, size_hw), second)
    return path


def write_noise(path: Path, length: int) -> Path:
    """Write a video that can be cut anywhere, of frames that compress badly."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(length):
        writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    return path


def crossing(length: int) -> list[dict[str, tuple[int, int]]]:
    """An apple and a car that pass one another, a little above each other."""
    return [{"apple": (2 + 3 * k, 14), "car": (76 - 3 * k, 26)} for k in range(length)]


def read_video(path: Path) -> tuple[list[Image], float]:
    """Return all frames as RGB, and the frames per second, as OpenCV tells them."""
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), np.uint8))
    fps = video.get(cv2.CAP_PROP_FPS)
    video.release()
    return frames, fps


def _boxes(image: Image, tags: Tags) -> sv.Detections:
    rows = []
    for name in tags.names:
        seen = patch(image, name) if name in CHANNELS else np.zeros(1, bool)
        if seen.any():
            ys, xs = np.nonzero(seen)
            box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
            rows.append((tags, name, 0.9, box))
    return detections(rows)
