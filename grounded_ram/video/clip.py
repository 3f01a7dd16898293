"""A video as a stream of upright RGB frames, each with the time at which it is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from grounded_ram.autolabel.videos import announced_frames, fault_of, opened, picture_of, second_of
from grounded_ram.decoding import open_picture
from grounded_ram.errors import InputError
from grounded_ram.images import Image

USUAL_FPS = 30.0
"""Taken for a video that says nothing of use about its frames per second."""

_HIGHEST_FPS = 480.0  # browsers record webm files that claim 1000


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Args:
        number: its place in the video, from 0.
        second: when it is shown, counted from the first frame; rises from frame to frame.
        pixels: (H, W, 3) RGB, upright.
    """

    number: int
    second: float
    pixels: Image


@dataclass(frozen=True)
class Clip:
    """A video that can be read.

    Args:
        path: where it is.
        size_hw: height and width in pixels, upright.
        fps: frames per second as the container says, or ``USUAL_FPS``.
        announced: frames as the container says; 0 where it says none.
    """

    path: Path
    size_hw: tuple[int, int]
    fps: float
    announced: int

    @classmethod
    def open(cls, path: Path) -> Clip:
        """Read the first frame and what the container says.

        Raises:
            InputError: there is no such file, or no frame can be read.
        """
        if not path.is_file():
            raise InputError(f"expected a video, but there is no file {str(path)!r}")
        _refuse_picture(path)
        with opened(path) as video:
            frame = picture_of(video) if video.grab() else None
            if frame is None:
                raise InputError(f"{path}: {fault_of(video, 0)}")
            told = video.get(cv2.CAP_PROP_FPS)
            fps = told if 0 < told <= _HIGHEST_FPS else USUAL_FPS
            return cls(path, (frame.shape[0], frame.shape[1]), fps, announced_frames(video))

    def count(self) -> int:
        """Return how many frames there are: as the container says, or as many as can be read."""
        if self.announced:
            return self.announced
        with opened(self.path) as video:
            number = 0
            while video.grab():
                number += 1
        return number


class Reading:
    """One pass through a video, from its first frame to its last.

    Args:
        clip: the video.
        wants: whether a frame is decoded and yielded, by its number.

    Attributes:
        frames: how many were passed so far.
        damaged: how many of those wanted could not be decoded.
        fault: what was wrong with the video, once its end was reached.
    """

    def __init__(self, clip: Clip, wants: Callable[[int], bool]) -> None:
        self._clip = clip
        self._wants = wants
        self.frames = 0
        self.damaged = 0
        self.fault: str | None = None

    def __iter__(self) -> Iterator[Frame]:
        with opened(self._clip.path) as video:
            first: float | None = None
            second = -1 / self._clip.fps
            while video.grab():
                told = second_of(video)
                first = told if first is None else first
                # Some containers tell no time; then frames are taken to be evenly apart.
                second = told - first if told - first > second else second + 1 / self._clip.fps
                number, self.frames = self.frames, self.frames + 1
                if self._wants(number):
                    pixels = self._pixels(video)
                    if pixels is None:
                        self.damaged += 1
                    else:
                        yield Frame(number, second, pixels)
            self.fault = fault_of(video, self.frames)

    def batches(self, size: int) -> Iterator[list[Frame]]:
        """Return the frames of the pass, so many at a time; the last ones may be fewer."""
        batch: list[Frame] = []
        for frame in self:
            batch.append(frame)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _pixels(self, video: cv2.VideoCapture) -> Image | None:
        """Return the frame just read as RGB, of the first one's size; None if it is damaged."""
        frame = picture_of(video)
        if frame is None:
            return None
        height, width = self._clip.size_hw
        if frame.shape[:2] != (height, width):  # a stream may change its size on its way
            frame = np.asarray(cv2.resize(frame, (width, height)), np.uint8)
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)


def _refuse_picture(path: Path) -> None:
    """Refuse what OpenCV would read as a video of one frame.

    Raises:
        InputError: it is a picture, and no animation.
    """
    try:
        with path.open("rb") as stream, open_picture(stream, str(path)) as picture:
            frames = getattr(picture, "n_frames", 1)
    except InputError:
        return
    if frames == 1:
        raise InputError(
            f"{path}: expected a video, got a picture; type: grounded-ram annotate {path}"
        )
