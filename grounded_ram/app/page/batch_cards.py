"""What the batch tab shows, as HTML: progress, cards of pictures, an object to decide on."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from grounded_ram.annotation import Annotation
from grounded_ram.app.page.batch_job import Progress
from grounded_ram.app.page.batch_queue import QueueItem
from grounded_ram.app.page.batch_run import OpenRun, Page
from grounded_ram.app.page.stage import COLUMNS
from grounded_ram.app.page.templates import render
from grounded_ram.autolabel.exports import Written
from grounded_ram.autolabel.progress import duration
from grounded_ram.autolabel.reviewing import Decision
from grounded_ram.errors import InputError
from grounded_ram.evaluation.exhibits import exhibit_object, scores_of
from grounded_ram.evaluation.tiles import View, draw_tiles
from grounded_ram.export.files import data_uri

THUMBNAIL, LARGE = 360, 1400
"""Longest sides of a picture in the gallery, and of the one that was chosen, in pixels."""

QUALITY = 82
"""Of JPEGs."""

DRAWERS = 4
"""Threads that draw a page of the gallery; decoding leaves Python meanwhile."""

IN_CONTEXT = View(side=760, context=2.6, aspect=4 / 3)
WHOLE = View(side=300)

MOST_FAILURES = 200
"""That are listed."""

MOST_NAMES = 10
"""That are offered for an object."""

MOST_CHIPS = 5
"""Labels that are named below a thumbnail."""

ENDINGS: Mapping[str, str] = {
    "starting": "Starting",
    "labelling": "Labelling",
    "stopping": "Finishing the pictures that were begun",
    "stopped": "Stopped. All that was labelled is kept; press Go on for the rest",
    "done": "Done",
    "failed": "Not labelled",
}
"""What is said of a job in each state."""


@dataclass(frozen=True)
class Card:
    """A picture in the gallery.

    Args:
        name: the picture's, in the run.
        picture: a JPEG as a data URI; empty where there is none.
        labels: how many objects have each label, the most frequent first.
        missing: why there is no picture.
    """

    name: str
    picture: str
    labels: Sequence[tuple[str, int]]
    missing: str = ""


def draw_card(run: OpenRun, name: str, side: int = THUMBNAIL, *, names: bool = False) -> Card:
    """Draw a picture with its objects, as they are after all decisions.

    Args:
        run: that it is in.
        name: the picture's.
        side: longest, in pixels; no picture is made larger.
        names: write the labels into it.
    """
    annotation = run.annotation(name)
    found = Counter(str(label) for label in annotation.detections.data["class_name"])
    labels = found.most_common()
    scale = min(1.0, side / max(annotation.image.size_hw))
    try:
        picture = annotation.overlay(scale=scale, labels=names, boxes=names, opacity=0.4)
    except InputError as error:
        return Card(name, "", labels, str(error))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return Card(name, data_uri(file.getvalue(), "image/jpeg"), labels)


def gallery_html(run: OpenRun, page: Page) -> str:
    """Draw a page of the gallery, and no other one."""
    with ThreadPoolExecutor(DRAWERS) as pool:
        cards = list(pool.map(lambda name: draw_card(run, name), page.names))
    return render("batch-gallery.html", cards=cards, most=MOST_CHIPS, total=len(run.names))


def large_html(run: OpenRun, name: str) -> str:
    """Draw one picture large, its labels written in."""
    return render("batch-large.html", card=draw_card(run, name, LARGE, names=True))


def failures_html(failures: Sequence[tuple[str, str]]) -> str:
    """List the pictures that failed, and why."""
    more = max(0, len(failures) - MOST_FAILURES)
    return render("batch-failures.html", failures=failures[:MOST_FAILURES], more=more)


def progress_html(progress: Progress, folder: Path) -> str:
    """Say what a job does, how far it is and how long it will take."""
    left = progress.seconds_left
    return render(
        "batch-progress.html",
        now=progress,
        heading=ENDINGS[progress.state],
        folder=str(folder),
        left="" if left is None or not progress.at_work else duration(left),
    )


def object_html(run: OpenRun, item: QueueItem) -> str:
    """Draw an object with what is around it, its mask outlined, and where it lies in the whole."""
    annotation = run.labelled(item)
    # Two, as tiles are told apart by what they show.
    near, far = exhibit_object(annotation, item.row), exhibit_object(annotation, item.row)
    tiles = draw_tiles([(near, IN_CONTEXT), (far, WHOLE)], most_bytes=32_000_000)
    return render("batch-object.html", item=item, near=tiles[near], far=tiles[far])


def facts_html(item: QueueItem, annotation: Annotation, decision: Decision | None) -> str:
    """Say what an object is called, how sure the models are, and why it is in the queue."""
    data = annotation.detections.data
    scores = scores_of(annotation, item.row)
    return render(
        "batch-facts.html",
        item=item,
        scores=[(COLUMNS[key], scores[key]) for key in COLUMNS if key in scores],
        alternatives=data["alternatives"][item.row] if "alternatives" in data else (),
        decision=decision,
    )


def counts_html(run: OpenRun, place: int | None) -> str:
    """Say how many objects were decided on, of the queue and of the run, and how many are left."""
    counts = run.counts()
    total = sum(counts.values())
    return render("batch-counts.html", counts=counts, total=total, place=place, run=run)


def finished_html() -> str:
    """Say, in the place of an object, that no object of the queue is undecided."""
    return render("batch-finished.html")


def written_html(written: Mapping[str, Written]) -> str:
    """Say where each format lies."""
    return render("batch-written.html", written=written)


def message_html(title: str, text: str) -> str:
    """Say what went wrong."""
    return render("message.html", title=title, text=text)


def names_html(names: Sequence[str], *, listed: bool = False) -> str:
    """Offer names: a few to be pressed, or many for a text box to complete."""
    return render("batch-names.html", names=names if listed else names[:MOST_NAMES], listed=listed)
