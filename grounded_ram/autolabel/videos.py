"""Frames of videos, kept as JPEG files called after the time they are shown at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from grounded_ram.autolabel.items import NAME_TAKEN, Item, Naming, Skipped
from grounded_ram.errors import InputError
from grounded_ram.export.files import replacing

if TYPE_CHECKING:
    import cv2

JPEG_QUALITY = 95

SCENE_CHANGE = 25.0
"""Mean difference of two frames, of 255, from which on the second begins a scene."""

_SHORTEST_SCENE_S = 0.5
_COMPARED_PX = 32  # both sides of the small frames that are compared
_ENOUGH = 0.98  # part of the frames announced below which a video is taken for cut short

Frame: TypeAlias = NDArray[np.uint8]  # (H, W, 3) BGR

_Wants: TypeAlias = "Callable[[int, float, cv2.VideoCapture], bool]"
"""Whether a frame is taken, by its number, its second, and the video that stands at it."""


class Video:
    """Frames of a video.

    Args:
        path: absolute.
        frames: which of them, see ``check_frames``.
    """

    is_listed = False

    def __init__(self, path: Path, frames: str) -> None:
        self.base = str(path.parent)
        self._path = path
        self._frames = check_frames(frames)

    def items(self, naming: Naming) -> Iterator[Item | Skipped]:
        """Write out its frames in their order; those that are there already stay."""
        above = naming.of(str(self._path.with_suffix("")))
        with opened(self._path) as video:
            wants = _choice(self._frames)
            number = 0
            while video.grab():
                second = second_of(video)
                if wants(number, second, video):
                    yield self._item(video, f"{above}/{timecode(second)}.jpg", naming)
                number += 1
            if fault := fault_of(video, number):
                yield Skipped(naming.of(str(self._path)), fault)

    def record(self) -> dict[str, Any]:
        """Return what was asked for."""
        return {"kind": "video", "path": str(self._path), "frames": self._frames}

    def _item(self, video: cv2.VideoCapture, name: str, naming: Naming) -> Item | Skipped:
        if not naming.take(name):
            return Skipped(name, NAME_TAKEN)
        path = naming.keep_in / name
        time = path.stem.replace("-", ":")
        if not path.exists():
            frame = picture_of(video)
            if frame is None:
                return Skipped(name, "damaged frame")
            with replacing(path) as file:
                file.write(_jpeg(frame))
        return Item(name, str(path), origin=f"{self._path.name} at {time}")


def check_frames(text: str) -> str:
    """Make sure that a choice of frames is one: "30" each 30th, "2s" every two seconds, "scenes".

    Raises:
        InputError: it is none.
    """
    if not re.fullmatch(r"scenes|[1-9]\d*|(?=.*[1-9])\d*\.?\d+s", text):
        raise InputError(
            f"frames: expected a number as 30 for each 30th, seconds as 2s or 0.5s, or scenes for "
            f"the first of each scene; got {text!r}"
        )
    return text


def timecode(second: float) -> str:
    """Write a time as HH-MM-SS.mmm."""
    milliseconds = round(second * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}-{minutes % 60:02}-{rest // 1000:02}.{rest % 1000:03}"


def _choice(frames: str) -> _Wants:
    if frames == "scenes":
        return _Scenes()
    if frames.endswith("s"):
        return _Every(float(frames[:-1]))
    step = int(frames)
    return lambda number, second, video: number % step == 0


class _Every:
    """The first frame of every so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0

    def __call__(self, number: int, second: float, video: cv2.VideoCapture) -> bool:
        # Half a millisecond, since times are binary fractions of what they mean.
        if second + 0.0005 < self._next * self._seconds:
            return False
        self._next = int((second + 0.0005) / self._seconds) + 1
        return True


class _Scenes:
    """The first frame, and each that is unlike the one before it, but for flicker."""

    def __init__(self) -> None:
        self._before: NDArray[np.float32] | None = None
        self._since = 0.0

    def __call__(self, number: int, second: float, video: cv2.VideoCapture) -> bool:
        import cv2

        frame = picture_of(video)
        if frame is None:
            return False
        size = (_COMPARED_PX, _COMPARED_PX)
        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._before = self._before, small
        if before is not None and (
            np.abs(small - before).mean() < SCENE_CHANGE or second - self._since < _SHORTEST_SCENE_S
        ):
            return False
        self._since = second
        return True


@contextmanager
def opened(path: Path) -> Iterator[cv2.VideoCapture]:
    """Open a video, whose frames come upright as its container says; see ``fault_of``."""
    import cv2

    video = cv2.VideoCapture(str(path))
    video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # frames upright, as the container says
    try:
        yield video
    finally:
        video.release()


def second_of(video: cv2.VideoCapture) -> float:
    """Return the time at which the frame just read is shown."""
    import cv2

    return max(0.0, video.get(cv2.CAP_PROP_POS_MSEC) / 1000)


def picture_of(video: cv2.VideoCapture) -> Frame | None:
    """Return the frame just read; None if it is damaged."""
    whole, frame = video.retrieve()
    return cast(Frame, frame) if whole else None


def _jpeg(frame: Frame) -> bytes:
    import cv2

    done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise InputError(f"cannot write a frame of {frame.shape[1]} x {frame.shape[0]} as JPEG")
    return data.tobytes()


def announced_frames(video: cv2.VideoCapture) -> int:
    """Return how many frames the container says there are; 0 where it says none."""
    import cv2

    return max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT))) if video.isOpened() else 0


def fault_of(video: cv2.VideoCapture, frames_read: int) -> str | None:
    """Return what was wrong with a video that was read to its end; None if nothing was."""
    announced = announced_frames(video)
    if frames_read == 0:
        return "damaged, or no video: no frame can be read"
    if frames_read < announced * _ENOUGH - 1:
        return f"damaged: it ends after {frames_read:,} of {announced:,} frames"
    return None
