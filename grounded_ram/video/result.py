"""How a video is annotated, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grounded_ram.errors import InputError
from grounded_ram.video.clip import Clip
from grounded_ram.video.places import Places
from grounded_ram.video.tracks import Track


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a video is annotated.

    Raises:
        InputError: a number is out of range.
    """

    every: int = 1
    """Annotate each so-many-th frame; the objects move evenly between them in the overlay."""
    tag_frames: int = 16
    """The tagger is asked about so many frames, spread evenly; its tags are looked for in all."""
    min_frames: int = 2
    """Tracks seen in fewer annotated frames are left out, unless the video has but one."""
    patience_s: float = 1.0
    """An object that is gone for longer gets a new number when it comes back; it is never less
    than two annotated frames."""
    begin_threshold: float = 0.0
    """Boxes scored below it go on with tracks and begin none."""
    draw: bool = True
    """Write the overlay."""
    keep_frames: bool = False
    """Write the annotated frames too, which training on the JSON needs."""

    def __post_init__(self) -> None:
        for name in ("every", "tag_frames", "min_frames"):
            if type(value := getattr(self, name)) is not int or value < 1:
                raise InputError(f"{name}: expected a whole number from 1 on, got {value!r}")
        if not 0 <= self.begin_threshold <= 1:
            raise InputError(f"begin_threshold: expected 0 to 1, got {self.begin_threshold}")
        if not 0 <= self.patience_s < float("inf"):
            raise InputError(f"patience_s: expected seconds from 0 on, got {self.patience_s}")


@dataclass(frozen=True)
class VideoResult:
    """What came of a video.

    Args:
        places: where the files are.
        clip: what was read.
        annotated: frames that were looked at.
        drawn: frames of the overlay.
        fps: frames per second, by the times at which frames are shown.
        tracks: the objects, in the order of their numbers.
        left_out: tracks that were seen in too few frames to be kept.
        looked_for: the tags that all frames were searched for.
        notes: what the user should know, such as that the video is damaged.
        interrupted: somebody stopped it; the files hold what was done until then.
        keeps_frames: the annotated frames were written too.
    """

    places: Places
    clip: Clip
    annotated: int
    drawn: int
    fps: float
    tracks: tuple[Track, ...]
    left_out: int
    looked_for: tuple[str, ...]
    notes: tuple[str, ...]
    interrupted: bool
    keeps_frames: bool

    def record(self) -> dict[str, Any]:
        """Return plain values."""
        height, width = self.clip.size_hw
        return {
            "input": str(self.clip.path),
            "width": width,
            "height": height,
            "fps": round(self.fps, 3),
            "frames": self.annotated,
            "frames_drawn": self.drawn,
            "interrupted": self.interrupted,
            "looked_for": list(self.looked_for),
            "tracks": [track.record() for track in self.tracks],
            "tracks_left_out": self.left_out,
            "notes": list(self.notes),
            "files": {what: str(path) for what, path in self.files().items()},
        }

    def files(self) -> dict[str, Path]:
        """Return what was written, by what it is."""
        if not self.annotated:
            return {}
        found = {"objects": self.places.labels, "table": self.places.table}
        if self.drawn:
            found["overlay"] = self.places.overlay
        if self.keeps_frames:
            found["frames"] = self.places.frames
        return found
