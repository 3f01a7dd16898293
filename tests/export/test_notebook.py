from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import PIL.Image

from grounded_ram.export.notebook import MOST_ROWS, to_html, to_png
from grounded_ram.overlay import color_of
from tests.hand_annotation import annotate, rectangle

CAR = rectangle((40, 60), 5, 10, 20, 30)


class Cells(HTMLParser):
    """What stands in the cells of the tables, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.text = ""
        self.tags: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.rows and self.rows[-1] and self.tags[-1] in ("td", "th", "span"):
            self.rows[-1][-1] += data.strip()


def shown(html: str) -> PIL.Image.Image:
    (found,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return PIL.Image.open(BytesIO(b64decode(found)))


def test_the_picture_is_the_overlay_no_larger_than_a_screen() -> None:
    annotation = annotate([("car", CAR)])
    annotation = replace(annotation, pixels=np.full_like(annotation.pixels, 120))
    small = PIL.Image.open(BytesIO(to_png(annotation)))
    assert small.format == "PNG"
    np.testing.assert_array_equal(np.asarray(small), np.asarray(annotation.overlay()))
    near = np.abs(np.asarray(shown(to_html(annotation)), int) - np.asarray(small, int))
    assert near.mean() < 8
    wide = annotate(size_hw=(10, 2048))
    assert PIL.Image.open(BytesIO(to_png(wide))).size == (1024, 5)
    assert shown(to_html(wide)).size == (1024, 5)


def test_the_table_has_every_object_with_its_scores_its_colour_and_its_pixels() -> None:
    annotation = annotate([("car", CAR), ("tree", CAR)], ungrounded=("boat",))
    html = to_html(annotation)
    cells = Cells(html)
    data = annotation.detections.data
    assert cells.rows[0] == ["", "object", "label", "tag", "box", "mask", "pixels"]
    for row, name in enumerate(("car", "tree")):
        scores = [data[f"{key}_score"][row] for key in ("label", "tag", "box", "mask")]
        expected = [name, *(f"{score:.2f}" for score in scores), str(CAR.sum())]
        assert cells.rows[1 + row][1:] == expected
        assert f"rgb({', '.join(map(str, color_of(name)))})" in html
    assert "not found: boat" in cells.text


def test_what_stands_in_names_stays_text() -> None:
    evil = "<script>alert(1)</script>"
    annotation = replace(
        annotate([(evil, CAR)], path='a"><b>.jpg', ungrounded=("<i>",)), caption="<u>x</u>"
    )
    cells = Cells(to_html(annotation))
    assert not {"script", "i", "u"} & set(cells.tags)
    assert cells.tags.count("b") == 3  # tags, not found, caption
    assert cells.rows[1][1] == evil


def test_nothing_found_and_many_objects_are_told_by_their_number() -> None:
    assert "No objects." in to_html(annotate())
    many = Cells(to_html(annotate([("car", CAR)] * (MOST_ROWS + 3))))
    assert len(many.rows) == 1 + MOST_ROWS
    assert "and 3 more objects" in many.text
