"""A video in; out come its objects with one number and one label each, drawn, as JSON, as a table.

The video is read two or three times, frame by frame, so that its length does not matter:

    some frames ─ tagger ─► what to look for
    each frame ─ GroundedRAM ─► boxes, masks ─ tracker ─► tracks ─ vote ─► numbers and labels
    each frame ─ the tracks are drawn ─► NAME.mp4

A label is only known when all frames were seen; hence the last pass.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL.Image
import supervision as sv

from grounded_ram.annotation import Annotation, Tags
from grounded_ram.export import shapes
from grounded_ram.export.columns import scores
from grounded_ram.export.files import write_picture
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.video.clip import Clip, Reading
from grounded_ram.video.drawing import Painter
from grounded_ram.video.encoding import CODECS, Encoder
from grounded_ram.video.places import Places
from grounded_ram.video.result import Choices, VideoResult
from grounded_ram.video.spool import Seen, Spool
from grounded_ram.video.track_table import write_tracks
from grounded_ram.video.tracking import NO_TRACK, Tracker, require_trackers
from grounded_ram.video.tracks import Ballot, Story
from grounded_ram.video.vocabulary import tags_of
from grounded_ram.video.ytvis import write_ytvis

logger = logging.getLogger(__name__)

Told: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how many frames of it are done, and of how many."""


def annotate_video(
    model: GroundedRAM,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    tags: Sequence[str] | None = None,
    choices: Choices | None = None,
    overwrite: bool = False,
    stop: Callable[[], bool] = lambda: False,
    on_progress: Told = lambda what, done, of: None,
) -> VideoResult:
    """Find the objects of a video, follow them, and write ``NAME.mp4``, ``.json``, ``.tracks.csv``.

    The same video gives the same numbers, whatever ``model.batch_size`` is. Memory does not grow
    with the video, but for 16 bytes an object and a frame.

    Args:
        model: what looks at the frames.
        source: a video file.
        output: a folder; NAME is the source's, without its ending.
        tags: what to look for instead of asking the tagger.
        choices: how; None means ``Choices()``.
        overwrite: remove what an earlier run left, as soon as there is something to write.
        stop: asked between frames; once it says True, what was done until then is written.
        on_progress: told how far it is.

    Raises:
        InputError: there is no video, or something is there already.
        MissingDependencyError: trackers is not installed.
    """
    places, clip = check_video(Path(source), Path(output), overwrite=overwrite)
    job = _Job(model, clip, places, choices or Choices(), stop, on_progress)
    with tempfile.TemporaryFile() as file:
        return job.do(Spool(file), tags)


def check_video(source: Path, output: Path, *, overwrite: bool) -> tuple[Places, Clip]:
    """Make sure, before models are loaded, that there is a video and room for what comes of it.

    Raises:
        InputError: as of ``annotate_video``.
        MissingDependencyError: likewise.
    """
    require_trackers()
    clip = Clip.open(source)
    places = Places.of(source, output)
    places.check(overwrite=overwrite)
    return places, clip


@dataclass
class _Job:
    """One video being annotated; ``notes`` grows."""

    model: GroundedRAM
    clip: Clip
    places: Places
    choices: Choices
    stop: Callable[[], bool]
    on_progress: Told
    notes: list[str] = field(default_factory=list)

    def do(self, spool: Spool, tags: Sequence[str] | None) -> VideoResult:
        """Annotate, decide, write."""
        looked_for = self._vocabulary(tags)
        ballot = self._annotate(spool, looked_for)
        least = min(self.choices.min_frames, max(1, len(spool)))
        story = Story(spool, ballot.decide(least), self.clip.size_hw)
        interrupted, drawn = self.stop(), 0
        if len(spool):
            drawn = self._write(story, looked_for)
        return VideoResult(
            places=self.places,
            clip=self.clip,
            annotated=len(spool),
            drawn=drawn,
            fps=_fps(spool, self.clip),
            tracks=tuple(story.tracks.values()),
            left_out=len(ballot) - len(story.tracks),
            looked_for=_names(looked_for),
            notes=tuple(self.notes),
            interrupted=interrupted or self.stop(),
            keeps_frames=self.choices.keep_frames,
        )

    def _vocabulary(self, tags: Sequence[str] | None) -> Tags | Sequence[str] | None:
        """Return what all frames are searched for; None where the vocabulary's classes say it."""
        if tags is not None or self.model.record()["vocabulary"].get("ask") == "classes":
            return tags

        def told(done: int, of: int) -> bool:
            self.on_progress("asking what is there", done, of)
            return not self.stop()

        return tags_of(self.model, self.clip, self.choices.tag_frames, told=told)

    def _annotate(self, spool: Spool, tags: Tags | Sequence[str] | None) -> Ballot:
        """Look at the frames until the end or a stop, and follow what is found."""
        every, rate = self.choices.every, self.clip.fps / self.choices.every
        tracker = Tracker(
            frame_rate=rate,
            patience_s=max(self.choices.patience_s, 2 / rate),
            begin_threshold=self.choices.begin_threshold,
        )
        ballot = Ballot()
        reading = Reading(self.clip, lambda number: number % every == 0)
        for batch in reading.batches(self.model.batch_size):
            if self.stop():
                break
            pixels = [frame.pixels for frame in batch]
            annotations = self.model.annotate_batch(pixels, tags=tags, color="rgb")
            if self.choices.keep_frames and not len(spool):
                self.places.clear()  # no earlier: what is there stays until there is something new
            for frame, annotation in zip(batch, annotations, strict=True):
                objects = _follow(tracker, annotation, frame.second, ballot)
                spool.add(frame.number, frame.second, objects)
                if self.choices.keep_frames:
                    picture = PIL.Image.fromarray(frame.pixels)
                    write_picture(picture, self.places.frame(frame.number))
            self.on_progress("annotating", reading.frames, self.clip.announced)
        if reading.damaged:
            self._note(f"{reading.damaged:,} frames are damaged and were left out")
        if reading.fault is not None:
            self._note(reading.fault)
        return ballot

    def _write(self, story: Story, tags: Tags | Sequence[str] | None) -> int:
        """Write the files, the overlay last; return how many frames were drawn."""
        spool = story.spool
        if not self.choices.keep_frames:
            self.places.clear()
        write_ytvis(
            story,
            self.places.labels,
            file_names=[self.places.file_name(number) for number in spool.numbers],
            facts={
                "fps": _fps(spool, self.clip),
                "source": self.clip.path.name,
                "run": self._record(tags),
            },
        )
        write_tracks(story, self.places.table)
        return self._draw(story) if self.choices.draw else 0

    def _draw(self, story: Story) -> int:
        """Write the overlay as far as was annotated, and return how many frames it has."""
        cut_short = self.stop()  # a second wish for an end ends the drawing too
        last = story.spool.numbers[-1]
        reading = Reading(self.clip, lambda number: True)
        painter = Painter(story)
        wanted = takewhile(lambda frame: not cut_short or frame.number <= last, reading)
        with Encoder(self.places.overlay, _fps(story.spool, self.clip), story.size_hw) as encoder:
            for frame in wanted:
                encoder.write(painter.paint(frame), frame.second)
                self.on_progress("drawing", encoder.frames, self.clip.announced)
                if self.stop() and not cut_short:
                    break
        if encoder.codec == CODECS[-1]:
            self._note("this PyAV has no H.264: players show the overlay, browsers do not")
        return encoder.frames

    def _record(self, tags: Tags | Sequence[str] | None) -> Mapping[str, Any]:
        video = {
            "every": self.choices.every,
            "min_frames": self.choices.min_frames,
            "patience_s": self.choices.patience_s,
            "begin_threshold": self.choices.begin_threshold,
            "looked_for": _names(tags),
        }
        return {**self.model.record(tags=tags), "video": video}

    def _note(self, text: str) -> None:
        logger.warning("%s: %s", self.clip.path, text)
        self.notes.append(text)


def _follow(tracker: Tracker, annotation: Annotation, second: float, ballot: Ballot) -> list[Seen]:
    """Return the objects of a frame with the numbers of their tracks, and count their votes.

    Objects with an empty mask are left out, as in all our exports.
    """
    found = annotation.detections
    regions = [shapes.region_of(annotation.masks, row) for row in range(len(found))]
    rows = [row for row, region in enumerate(regions) if region is not None]
    names: dict[str, Any] = {"class_name": np.asarray(found.data["class_name"])[rows]}
    scored = np.asarray(found.confidence)[rows]
    boxes = sv.Detections(found.xyxy[rows], confidence=scored, data=names)
    seen = []
    for row, number in zip(rows, tracker.follow(boxes, second).tolist(), strict=True):
        region = regions[row]
        if region is None or number == NO_TRACK:
            continue
        told = scores(annotation, row)
        told.pop("alternatives", None)
        x, y, width, height = shapes.bbox_xywh(region)
        one = Seen(
            track=number,
            label=str(found.data["class_name"][row]),
            score=told.pop("box_score"),
            bbox=(x, y, width, height),
            area=shapes.area(region),
            counts=str(shapes.rle(region, annotation.image.size_hw)["counts"]),
            further=told,
        )
        ballot.count(one, annotation.tags.kinds[np.asarray(found.class_id)[row]], second)
        seen.append(one)
    return seen


def _names(tags: Tags | Sequence[str] | None) -> tuple[str, ...]:
    return tags.names if isinstance(tags, Tags) else tuple(tags or ())


def _fps(spool: Spool, clip: Clip) -> float:
    """Return frames per second by the frames' times; what the container says of a single one."""
    if len(spool) < 2:
        return clip.fps
    return (spool.numbers[-1] - spool.numbers[0]) / (spool.seconds[-1] - spool.seconds[0])
