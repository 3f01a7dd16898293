"""The objects of a video: each has one number and one label in all frames.

A label is chosen by all frames together: each gives its label as many votes as its box score says.
So a track that is a "dog" in ninety frames and a "cat" in three is a dog.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from grounded_ram.video.spool import Seen, Spool


@dataclass(frozen=True)
class Track:
    """One object.

    Args:
        id: its number, from 1 in order of appearance.
        label: what it is.
        kind: the kind of the label, such as "object".
        score: mean box score over the frames in which it was seen.
        frames: in how many annotated frames it was seen.
        first_second: when it was seen first.
        last_second: when it was seen last.
        votes: the summed scores of each label that it had, best first.
    """

    id: int
    label: str
    kind: str
    score: float
    frames: int
    first_second: float
    last_second: float
    votes: dict[str, float]

    def record(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "id": self.id,
            "label": self.label,
            "score": round(self.score, 6),
            "frames": self.frames,
            "first_second": round(self.first_second, 3),
            "last_second": round(self.last_second, 3),
            "votes": self.votes,
        }


@dataclass
class _Counts:
    """What is known of a track so far."""

    first_second: float
    last_second: float = 0.0
    frames: int = 0
    score: float = 0.0
    votes: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


class Ballot:
    """Counts votes while frames come, and decides when all are there."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Counts] = {}
        self._kinds: dict[str, str] = {}

    def count(self, seen: Seen, kind: str, second: float) -> None:
        """Count one object of a frame.

        Args:
            seen: the object.
            kind: the kind of its label.
            second: when the frame is shown.
        """
        track = self._tracks.setdefault(seen.track, _Counts(second))
        track.last_second = second
        track.frames += 1
        track.score += seen.score
        track.votes[seen.label] += seen.score
        self._kinds.setdefault(seen.label, kind)

    def decide(self, min_frames: int) -> dict[int, Track]:
        """Return the objects by the numbers that the tracker gave them.

        Args:
            min_frames: tracks that were seen in fewer are left out.
        """
        kept = {n: one for n, one in sorted(self._tracks.items()) if one.frames >= min_frames}
        return {number: self._track(k, one) for k, (number, one) in enumerate(kept.items(), 1)}

    def __len__(self) -> int:
        return len(self._tracks)

    def _track(self, number: int, counts: _Counts) -> Track:
        votes = sorted(counts.votes.items(), key=lambda vote: (-vote[1], vote[0]))
        label = votes[0][0]
        return Track(
            id=number,
            label=label,
            kind=self._kinds[label],
            score=counts.score / counts.frames,
            frames=counts.frames,
            first_second=counts.first_second,
            last_second=counts.last_second,
            votes={name: round(vote, 6) for name, vote in votes},
        )


@dataclass(frozen=True, eq=False)
class Story:
    """All that was seen in a video, decided.

    Args:
        spool: the frames.
        tracks: the objects by the numbers that they have in the spool; others were left out.
        size_hw: of the video.
    """

    spool: Spool
    tracks: dict[int, Track]
    size_hw: tuple[int, int]
