"""What was seen in each frame, kept in a file: memory does not grow with the pictures of a video.

A line for each frame, then a line for each of its objects.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask


@dataclass(frozen=True)
class Seen:
    """An object in one frame.

    Args:
        track: the number of its track.
        label: its label in this frame.
        score: the box score.
        bbox: x, y, width, height, tight around the mask.
        area: pixels of the mask.
        counts: the mask as COCO's compressed run lengths.
        further: its other scores by their names.
    """

    track: int
    label: str
    score: float
    bbox: tuple[float, float, float, float]
    area: int
    counts: str
    further: dict[str, float]

    def crop(self, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the (h, w) mask inside ``bbox``.

        Args:
            size_hw: of the video.
        """
        packed = {"size": [*size_hw], "counts": self.counts.encode("ascii")}
        x, y, width, height = map(int, self.bbox)
        whole: NDArray[np.uint8] = coco_mask.decode(packed)
        return whole[y : y + height, x : x + width].astype(bool)


@dataclass(frozen=True)
class SeenFrame:
    """What was seen in one frame.

    Args:
        index: its place among the frames that were annotated, from 0.
        number: its place in the video, from 0.
        second: when it is shown.
        objects: what was seen.
    """

    index: int
    number: int
    second: float
    objects: tuple[Seen, ...]


class Spool:
    """Frames in their order, and the objects of each track.

    Args:
        file: an empty one, open for writing and reading; what is kept in memory is 16 bytes an
            object and a frame.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._places: dict[int, MutableSequence[int]] = defaultdict(lambda: array("q"))
        self.numbers = array("q")
        self.seconds = array("d")

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, number: int, second: float, objects: Sequence[Seen]) -> None:
        """Add the next frame."""
        index = len(self)
        self.numbers.append(number)
        self.seconds.append(second)
        self._file.write(json.dumps(len(objects)).encode() + b"\n")
        for one in objects:
            self._places[one.track].extend((index, self._file.tell()))
            self._file.write(json.dumps(asdict(one)).encode() + b"\n")

    def frames(self) -> Iterator[SeenFrame]:
        """Return the frames in their order; nothing else may use the spool meanwhile."""
        self._file.seek(0)
        for index, (number, second) in enumerate(zip(self.numbers, self.seconds, strict=True)):
            count = json.loads(self._file.readline())
            objects = tuple(_seen(self._file.readline()) for _ in range(count))
            yield SeenFrame(index, number, second, objects)

    def of_track(self, track: int) -> Iterator[tuple[int, Seen]]:
        """Return the objects of a track, each with the index of its frame, in their order."""
        places = self._places[track]
        for index, place in zip(places[::2], places[1::2], strict=True):
            self._file.seek(place)
            yield index, _seen(self._file.readline())


def _seen(line: bytes) -> Seen:
    told: dict[str, Any] = json.loads(line)
    told["bbox"] = tuple(told["bbox"])
    return Seen(**told)
