"""COCO for videos, in the layout of YouTube-VIS: one annotation a track, one mask a frame.

``segmentations``, ``bboxes``, ``areas`` and ``scores`` of an annotation have an entry for each
frame of the video that was annotated, null where the object was not seen. Ids count from 1; an
annotation's id is the number that the object has in the overlay. Categories are the labels that a
track has, sorted. Masks are COCO's compressed run lengths, boxes x, y, width, height, tight around
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grounded_ram
from grounded_ram.export.files import json_bytes, plain, replacing
from grounded_ram.video.spool import Spool
from grounded_ram.video.tracks import Story, Track

_DIGITS = 6


def write_ytvis(
    story: Story, path: Path, *, file_names: list[str], facts: Mapping[str, Any]
) -> None:
    """Write a video's objects, track by track, so that a video with any number of them fits.

    Args:
        story: what was seen.
        path: the file.
        file_names: of the frames that were annotated, as they are or would be called.
        facts: ``fps``, ``source`` and the ``run`` that made it.
    """
    categories = _categories(story)
    with replacing(path) as file:
        file.write(json_bytes(_head(story, file_names, facts))[:-1])
        file.write(b',\n"categories": ' + json_bytes(list(categories.values())))
        file.write(b',\n"annotations": [')
        for number, (in_spool, track) in enumerate(story.tracks.items()):
            category = categories[track.label]["id"]
            record = {
                **{"id": track.id, "video_id": 1, "category_id": category, "iscrowd": 0},
                **{"height": story.size_hw[0], "width": story.size_hw[1]},
                **_frames(story.spool, in_spool, story.size_hw),
                "score": round(track.score, _DIGITS),
                "label_votes": track.votes,
            }
            file.write((b",\n" if number else b"\n") + json_bytes(record))
        file.write(b"]}")


def _head(story: Story, file_names: list[str], facts: Mapping[str, Any]) -> dict[str, Any]:
    spool = story.spool
    return {
        "info": {
            "description": "labelled automatically by grounded-ram",
            "version": grounded_ram.__version__,
            "run": plain(facts["run"]),
        },
        "licenses": [],
        "videos": [
            {
                "id": 1,
                "file_names": file_names,
                "height": story.size_hw[0],
                "width": story.size_hw[1],
                "length": len(spool),
                "fps": round(facts["fps"], _DIGITS),
                "source": facts["source"],
                "frame_numbers": spool.numbers.tolist(),
                "seconds": [round(second, _DIGITS) for second in spool.seconds],
            }
        ],
    }


def _categories(story: Story) -> dict[str, dict[str, Any]]:
    tracks: dict[str, Track] = {track.label: track for track in story.tracks.values()}
    return {
        name: {"id": number, "name": name, "supercategory": tracks[name].kind}
        for number, name in enumerate(sorted(tracks), 1)
    }


def _frames(spool: Spool, track: int, size_hw: tuple[int, int]) -> dict[str, Any]:
    """Return the columns of an annotation that have an entry for each frame."""
    names = ("segmentations", "bboxes", "areas", "scores")
    columns: dict[str, list[Any]] = {name: [None] * len(spool) for name in names}
    for index, seen in spool.of_track(track):
        columns["segmentations"][index] = {"size": [*size_hw], "counts": seen.counts}
        columns["bboxes"][index] = list(seen.bbox)
        columns["areas"][index] = seen.area
        columns["scores"][index] = {"box_score": seen.score, **seen.further}
    return {"length": len(spool), **columns}
