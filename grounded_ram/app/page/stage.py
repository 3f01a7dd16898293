"""What lies over the picture: outlines, boxes, labels, and a card for each that says what it is."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import PIL.Image
from markupsafe import Markup
from numpy.typing import NDArray

from grounded_ram.annotation import Alternatives, Annotation, Rejected
from grounded_ram.app.page.templates import render
from grounded_ram.evaluation.exhibits import Points, outline, scores_of
from grounded_ram.export.files import data_uri
from grounded_ram.export.shapes import region_of
from grounded_ram.images import Image
from grounded_ram.overlay import place_labels

LONGEST_SIDE = 1400
"""Of the picture that is shown, in pixels; networks and downloads have the whole one."""

LOSSLESS_SIDE = 640
"""Pictures up to this are shown as PNG: drawn scenes stay sharp."""

SHOWN_WIDTH = 760
"""How wide the picture is on most screens, in CSS pixels: by it labels are placed."""

LABEL_HEIGHT, LETTER_WIDTH, LABEL_PADDING = 20, 6.9, 14
"""Of labels, in CSS pixels."""

BELOW = "its box scores below the threshold"
"""Why a name has no object whose boxes only a slider keeps out."""

COLUMNS = {
    "label_score": "combined",
    "box_score": "box",
    "tag_score": "tag",
    "mask_score": "mask",
    "mask_stability": "stability",
    "crop_score": "seen alone",
}
"""What the page calls the scores, in its order."""


@dataclass(frozen=True)
class Shown:
    """An object, or a box that became none, as the page shows it.

    Args:
        key: tells it from all others on the page.
        name: what it is called.
        scores: what is known of it, and what that is called.
        alternatives: other names of it, best first.
        path: its outline as an SVG path in pixels of the picture; empty for a box without one.
        box_xywh: in pixels of the picture.
        label_xy: where its label lies, in per cent of the picture.
        card: where its card lies: CSS.
        reason: why it became no object.
        instead: the label of the object in its place.
    """

    key: str
    name: str
    scores: tuple[tuple[str, float], ...]
    box_xywh: tuple[float, float, float, float]
    card: str
    alternatives: Alternatives = ()
    path: str = ""
    label_xy: tuple[float, float] = (0.0, 0.0)
    reason: str = ""
    instead: str = ""

    @property
    def says(self) -> str:
        """Everything about it in one line, for those who listen."""
        scores = ", ".join(f"{what} {score:.2f}" for what, score in self.scores)
        others = "".join(f"; or {name} {score:.2f}" for name, score in self.alternatives)
        return f"{self.name}: {scores}{others}"


def objects_of(annotation: Annotation) -> list[Shown]:
    """Return the objects of a picture, in their own order."""
    found, size_hw = annotation.detections, annotation.image.size_hw
    labels = _label_places(annotation)
    alternatives = found.data.get("alternatives", [()] * len(found))
    shown = []
    for row in range(len(found)):
        x0, y0, x1, y1 = found.xyxy[row].tolist()
        region = region_of(annotation.masks, row)
        known = scores_of(annotation, row)
        shown.append(
            Shown(
                key=f"o{row}",
                name=str(found.data["class_name"][row]),
                scores=tuple((told, known[key]) for key, told in COLUMNS.items() if key in known),
                box_xywh=(x0, y0, x1 - x0, y1 - y0),
                card=_card_place((x0, y0, x1, y1), size_hw),
                alternatives=alternatives[row],
                path="" if region is None else svg_path(outline(region)),
                label_xy=labels[row],
            )
        )
    return shown


def rejected_of(annotation: Annotation) -> list[Shown]:
    """Return the boxes that became no object, best first."""
    size_hw = annotation.image.size_hw
    return [_rejected(f"r{row}", box, size_hw) for row, box in enumerate(annotation.rejected)]


def stage_html(annotation: Annotation) -> str:
    """Return what lies over the picture, as HTML; the picture itself is not in it."""
    objects = objects_of(annotation)
    height, width = annotation.image.size_hw
    area = {one.key: one.box_xywh[2] * one.box_xywh[3] for one in objects}
    return render(
        "stage.html",
        width=width,
        height=height,
        # Smaller ones are drawn last, so that they lie on top and can be pointed at.
        drawn=sorted(objects, key=lambda one: -area[one.key]),
        objects=objects,
        rejected=rejected_of(annotation),
    )


def findings_html(annotation: Annotation, below: Collection[str] = ()) -> str:
    """Return the lists below the picture: objects, rejected boxes, tags without an object.

    Args:
        annotation: of the picture.
        below: names without an object whose boxes score below the threshold.
    """
    return render(
        "findings.html",
        objects=objects_of(annotation),
        rejected=rejected_of(annotation),
        ungrounded=[
            (name, BELOW if name in below else str(reason))
            for name, reason in annotation.ungrounded.items()
        ],
    )


def picture_uri(pixels: Image) -> str:
    """Return a picture, no larger than a screen, as a data URI: nothing of it lies on the disk."""
    picture = PIL.Image.fromarray(pixels)
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    file = io.BytesIO()
    if max(picture.size) <= LOSSLESS_SIDE:
        picture.save(file, "PNG")
        kind = "png"
    else:
        picture.save(file, "JPEG", quality=85)
        kind = "jpeg"
    return data_uri(file.getvalue(), f"image/{kind}")


def svg_path(lines: tuple[Points, ...]) -> str:
    """Return closed lines as an SVG path, to a tenth of a pixel."""
    parts = (
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line.tolist()) + "Z"
        for line in lines
        if len(line)
    )
    return Markup("".join(parts))  # numbers of ours, which need no cutting


def _rejected(key: str, box: Rejected, size_hw: tuple[int, int]) -> Shown:
    x0, y0, x1, y1 = box.box_xyxy
    return Shown(
        key=key,
        name=box.name,
        scores=(("box", box.box_score),),
        box_xywh=(x0, y0, x1 - x0, y1 - y0),
        card=_card_place(box.box_xyxy, size_hw),
        reason=str(box.reason),
        instead=box.instead,
    )


def _card_place(box_xyxy: tuple[float, float, float, float], size_hw: tuple[int, int]) -> str:
    """Put a card beside a box, where there is more room, and no lower than it fits."""
    height, width = size_hw
    x0, y0, x1, _ = box_xyxy
    top = f"top:{min(100 * y0 / height, 62):.2f}%"
    if x0 + x1 < width:
        return f"{top};left:min({100 * x1 / width:.2f}% + 10px, 100% - 15rem)"
    return f"{top};right:min({100 - 100 * x0 / width:.2f}% + 10px, 100% - 15rem)"


def _label_places(annotation: Annotation) -> list[tuple[float, float]]:
    """Return where labels lie, in per cent of the picture, off each other if there is room."""
    found, (height, width) = annotation.detections, annotation.image.size_hw
    if not len(found):
        return []
    scale = SHOWN_WIDTH / width
    frame_wh = SHOWN_WIDTH, max(1, round(height * scale))
    sizes = np.array([_label_size(str(name)) for name in found.data["class_name"]])
    corners = place_labels(found.xyxy * scale, sizes, frame_wh)
    share: NDArray[np.float64] = 100 * corners / np.array(frame_wh)
    return [(x, y) for x, y in share.tolist()]


def _label_size(name: str) -> tuple[int, int]:
    letters = min(len(name), 40) + len(" 0.00")
    return round(letters * LETTER_WIDTH + LABEL_PADDING), LABEL_HEIGHT
