"""Boxes of one frame after another -> which of them are the same object.

supervision had a ByteTrack of its own until it moved it, and all further work on it, into the
package ``trackers`` of the same authors; that one is used. It takes the time of each frame, so that
frames that are left out, or that come unevenly, do not confuse its model of motion.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.errors import GroundedRAMError, MissingDependencyError

if TYPE_CHECKING:
    from trackers import ByteTrackTracker

NO_TRACK = -1
"""The number of a box that belongs to no object."""

LEAST_IOU = 0.1
"""A box goes on with a track whose foretold box it resembles by as much; see ``similarity``."""

_BUFFER_FPS = 30  # the rate in whose frames ByteTrackTracker counts its patience


def require_trackers() -> type[ByteTrackTracker]:
    """Import the tracker.

    Raises:
        MissingDependencyError: trackers is not installed.
    """
    try:
        from trackers import ByteTrackTracker
    except ImportError as error:
        raise MissingDependencyError(
            "videos need trackers; try: pip install 'grounded-ram[video]'"
        ) from error
    return ByteTrackTracker


class Tracker:
    """Gives boxes the numbers of their tracks, from 0 in order of appearance.

    A label may flicker while its object stays, so that a box of another label may go on with a
    track, but one of the same label is preferred.

    Args:
        frame_rate: frames per second that ``follow`` is usually called with.
        patience_s: a track that is seen no more for longer is over.
        begin_threshold: boxes scored below it go on with tracks and begin none.

    Raises:
        MissingDependencyError: trackers is not installed.
    """

    def __init__(self, *, frame_rate: float, patience_s: float, begin_threshold: float) -> None:
        tracker = require_trackers()
        from grounded_ram.video.similarity import LabelledIoU

        self._likeness = LabelledIoU(self._track_labels)
        self._tracker = tracker(
            lost_track_buffer=math.ceil(patience_s * _BUFFER_FPS),
            frame_rate=frame_rate,
            track_activation_threshold=begin_threshold,
            high_conf_det_threshold=begin_threshold,
            minimum_consecutive_frames=1,
            minimum_iou_threshold=LEAST_IOU,
            iou=self._likeness,
        )
        self._votes: defaultdict[int, defaultdict[str, float]] = defaultdict(_no_votes)
        self._begin_threshold = begin_threshold
        self._begun = 0

    def follow(self, found: sv.Detections, second: float) -> NDArray[np.int_]:
        """Take the boxes of the next frame.

        Args:
            found: N boxes with scores and ``class_name``; N may be 0.
            second: when the frame is shown; later than the one before.

        Returns:
            (N,) number of each box's track, ``NO_TRACK`` for those that are no object's.
        """
        numbers = np.full(len(found), NO_TRACK)
        scores = np.asarray(found.confidence, float).tolist() if len(found) else []
        bare = sv.Detections(
            found.xyxy, confidence=found.confidence, data={"row": np.arange(len(found))}
        )
        names = [str(name) for name in found.data.get("class_name", ())]
        self._likeness.expect(found.xyxy, names)
        followed = self._tracker.update(bare, timestamp=second)
        if len(followed):
            numbers[followed.data["row"]] = followed.tracker_id
            # In the order in which the tracker has begun tracks with them.
            fresh = [
                row
                for row in followed.data["row"][np.asarray(followed.tracker_id) == NO_TRACK]
                if scores[row] >= self._begin_threshold
            ]
            numbers[fresh] = self._number_new(len(fresh))
        for number, name, score in zip(numbers.tolist(), names, scores, strict=True):
            self._votes[number][name] += score
        return numbers

    def _track_labels(self) -> dict[bytes, str]:
        """Return what each track is so far, by the box that is foretold of it."""
        from grounded_ram.video.similarity import key

        labels = {}
        for track in self._tracker.tracks:
            votes = self._votes[track.tracker_id]
            labels[key(track.get_state_bbox())] = max(votes, key=lambda name: votes[name])
        return labels

    def _number_new(self, expected: int) -> list[int]:
        """Number the tracks that were begun just now.

        The tracker itself would number a track when it is seen a second time, and its first box
        would belong to nobody.
        """
        new = [track for track in self._tracker.tracks if track.tracker_id == NO_TRACK]
        if len(new) != expected:
            raise GroundedRAMError(
                f"expected {expected} new tracks, trackers has begun {len(new)}; "
                "try: pip install 'trackers>=2.6,<3'"
            )
        for track in new:
            track.tracker_id = self._begun
            self._begun += 1
        return [track.tracker_id for track in new]


def _no_votes() -> defaultdict[str, float]:
    return defaultdict(float)
