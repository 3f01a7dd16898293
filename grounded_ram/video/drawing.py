"""The video with its objects drawn: each in the colour of its number, called "#3 dog 0.87".

Between frames that were annotated, boxes and masks move evenly from where they were to where they
will be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, pairwise

import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.images import Image
from grounded_ram.overlay import PALETTE, draw_objects
from grounded_ram.video.clip import Frame
from grounded_ram.video.spool import Seen, SeenFrame
from grounded_ram.video.tracks import Story, Track


class Painter:
    """Draws the objects of a video on its frames, which must come in their order.

    Args:
        story: what was seen.
    """

    def __init__(self, story: Story) -> None:
        self._story = story
        self._pairs = _pairs(story.spool.frames())
        self._now = next(self._pairs, None)

    def paint(self, frame: Frame) -> Image:
        """Draw what is known of a frame's objects on a copy of it."""
        while self._now and self._now[1] is not None and self._now[1].number <= frame.number:
            self._now = next(self._pairs, None)
        placed = [one for one in self._placed(frame) if one[0].track in self._story.tracks]
        tracks = [self._story.tracks[seen.track] for seen, _ in placed]
        picture = draw_objects(
            frame.pixels,
            _detections(placed, self._story.size_hw),
            colors=[color_row(track) for track in tracks],
            texts=[
                f"#{track.id} {track.label} {seen.score:.2f}"
                for track, (seen, _) in zip(tracks, placed, strict=True)
            ],
        )
        return np.asarray(picture)

    def _placed(self, frame: Frame) -> list[tuple[Seen, NDArray[np.bool_]]]:
        """Return the objects of a frame, each with its mask inside its box."""
        if self._now is None or frame.number < self._now[0].number:
            return []
        before, after = self._now
        size_hw = self._story.size_hw
        if after is None or before.number == frame.number:
            return [(seen, seen.crop(size_hw)) for seen in before.objects]
        share = (frame.second - before.second) / (after.second - before.second)
        later = {seen.track: seen for seen in after.objects}
        return [
            between(seen, later[seen.track], share, size_hw)
            for seen in before.objects
            if seen.track in later
        ]


def color_row(track: Track) -> int:
    """Return the row of the palette for an object; neighbours in it are far apart."""
    return (track.id - 1) % len(PALETTE)


def color_of_track(track: Track) -> tuple[int, int, int]:
    """Return the RGB colour in which an object is drawn."""
    return PALETTE.by_idx(color_row(track)).as_rgb()


def between(
    before: Seen, after: Seen, share: float, size_hw: tuple[int, int]
) -> tuple[Seen, NDArray[np.bool_]]:
    """Return an object on its way from one frame to another, with its mask inside its box.

    Args:
        before: where it was.
        after: where it will be.
        share: of the way, from 0 to 1.
        size_hw: of the video.
    """
    old, new = (np.array(seen.bbox) for seen in (before, after))
    low = np.round((1 - share) * old[:2] + share * new[:2])
    size = np.maximum(np.round((1 - share) * old[2:] + share * new[2:]), 1)
    size = np.minimum(size, np.array(size_hw[::-1]) - low)
    near = before if share < 0.5 else after
    width, height = map(int, size)
    crop = near.crop(size_hw).astype(np.uint8)
    moved = cv2.resize(crop, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
    x, y, w, h = map(float, (*low, *size))
    score = (1 - share) * before.score + share * after.score
    return replace(near, bbox=(x, y, w, h), score=score), moved


def _pairs(frames: Iterator[SeenFrame]) -> Iterator[tuple[SeenFrame, SeenFrame | None]]:
    """Return each frame with the one that follows; the last has none."""
    ending: list[SeenFrame | None] = [None]
    for before, after in pairwise(chain(frames, ending)):
        assert before is not None
        yield before, after


def _detections(
    placed: list[tuple[Seen, NDArray[np.bool_]]], size_hw: tuple[int, int]
) -> sv.Detections:
    """Return objects as boxes with packed masks."""
    nothing = sv.CompactMask.from_dense(np.zeros((0, *size_hw), bool), np.zeros((0, 4)), size_hw)
    masks = [nothing]
    boxes = np.zeros((len(placed), 4), np.float32)
    for row, (seen, crop) in enumerate(placed):
        x, y, width, height = map(int, seen.bbox)
        boxes[row] = x, y, x + width, y + height
        whole = np.array([[0, 0, width - 1, height - 1]])
        packed = sv.CompactMask.from_dense(crop[None], whole, (height, width))
        masks.append(packed.with_offset(x, y, size_hw))
    return sv.Detections(boxes, mask=sv.CompactMask.merge(masks))
