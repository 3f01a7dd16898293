"""tracks.csv: a line for each object in each frame, for spreadsheets and scripts.

Boxes are tight around the masks, in pixels counted from 0, right and lower side outside.
"""

from __future__ import annotations

import csv
from io import TextIOWrapper
from pathlib import Path

from grounded_ram.annotation import OPTIONAL_SCORES, SCORE_COLUMNS
from grounded_ram.export.files import replacing
from grounded_ram.video.tracks import Story

COLUMNS = (
    *("frame", "second", "track", "label", "label_here"),
    *("x1", "y1", "x2", "y2", "area", *SCORE_COLUMNS, *OPTIONAL_SCORES),
)
"""``label`` is the track's, ``label_here`` the one that this frame alone would give."""


def write_tracks(story: Story, path: Path) -> None:
    """Write all objects, frame by frame."""
    with replacing(path) as file:
        text = TextIOWrapper(file, "utf-8", newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
        writer.writeheader()
        for frame in story.spool.frames():
            for seen in frame.objects:
                if track := story.tracks.get(seen.track):
                    x, y, width, height = map(int, seen.bbox)
                    row = {"frame": frame.number, "second": round(frame.second, 3)}
                    row |= {"x1": x, "y1": y, "x2": x + width, "y2": y + height}
                    names = {"track": track.id, "label": track.label, "label_here": seen.label}
                    told = {"area": seen.area, "box_score": seen.score, **seen.further}
                    writer.writerow({**row, **names, **told})
        text.flush()
        text.detach()
