"""How an annotation shows itself in a notebook: the overlay, its objects and its tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO

import PIL.Image

from grounded_ram.annotation import Annotation
from grounded_ram.export.files import data_uri
from grounded_ram.overlay import color_of

SIDE = 1024
"""Longest side, in pixels, of the picture that is shown."""

MOST_ROWS = 20
"""Objects, and tags, that are listed; of more, it is said how many there are."""

_SCORES = ("label_score", "tag_score", "box_score", "mask_score")


def to_png(annotation: Annotation) -> bytes:
    """Return the overlay as a PNG file, no larger than a screen."""
    file = BytesIO()
    _overlay(annotation).save(file, "PNG")
    return file.getvalue()


def to_html(annotation: Annotation) -> str:
    """Return the overlay and a table of the objects as HTML that loads nothing from elsewhere."""
    file = BytesIO()
    _overlay(annotation).save(file, "JPEG", quality=85)  # a fifth of what a photograph's PNG takes
    image = data_uri(file.getvalue(), "image/jpeg")
    title = escape(annotation.image.name, quote=True)
    return "\n".join(
        [
            "<div>",
            f'<img alt="{title}" style="max-width: 100%" src="{image}">',
            *_objects(annotation),
            *_tags(annotation),
            "</div>",
        ]
    )


def _overlay(annotation: Annotation) -> PIL.Image.Image:
    return annotation.overlay(scale=min(1.0, SIDE / max(annotation.image.size_hw)))


def _objects(annotation: Annotation) -> Iterator[str]:
    data = annotation.detections.data
    count = len(annotation.detections)
    if not count:
        yield "<p>No objects.</p>"
        return
    yield "<table>"
    yield _row("th", ["", "object", *(name.removesuffix("_score") for name in _SCORES), "pixels"])
    areas = annotation.masks.area
    for row in range(min(count, MOST_ROWS)):
        name = str(data["class_name"][row])
        red, green, blue = color_of(name)
        swatch = f'<span style="color: rgb({red}, {green}, {blue})">&#9632;</span>'
        scores = [f"{float(data[column][row]):.2f}" for column in _SCORES]
        yield _row("td", [swatch, escape(name), *scores, str(int(areas[row]))])
    yield "</table>"
    if count > MOST_ROWS:
        yield f"<p>and {count - MOST_ROWS} more objects</p>"


def _row(cell: str, texts: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{cell}>{text}</{cell}>" for text in texts) + "</tr>"


def _tags(annotation: Annotation) -> Iterator[str]:
    tags = annotation.tags
    pairs = zip(tags.names, tags.scores.tolist(), strict=True)
    told = [f"{escape(name)} {score:.2f}" for name, score in pairs]
    rest = [f"and {len(told) - MOST_ROWS} more"] if len(told) > MOST_ROWS else []
    yield f"<p><b>tags</b>: {', '.join([*told[:MOST_ROWS], *rest]) or 'none'}</p>"
    if missing := annotation.not_found:
        yield f"<p><b>not found</b>: {escape(', '.join(missing))}</p>"
    if annotation.caption:
        yield f"<p><b>caption</b>: {escape(annotation.caption)}</p>"
