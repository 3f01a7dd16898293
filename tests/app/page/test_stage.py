from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import PIL.Image
import pytest

from grounded_ram.annotation import Annotation, Reason, Rejected, objects
from grounded_ram.app.page.stage import (
    LONGEST_SIDE,
    findings_html,
    objects_of,
    picture_uri,
    stage_html,
    svg_path,
)
from grounded_ram.app.page.templates import render
from grounded_ram.evaluation.exhibits import outline
from grounded_ram.export.shapes import region_of
from tests.hand_annotation import annotate, rectangle

SIZE = (80, 120)
HOSTILE = (
    "<script>document.title='hacked'</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "${alert(1)}",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
    "</title></svg><b>",
)
VOID = ("img", "path", "rect")


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, kind: str) -> list[dict[str, str]]:
        return [a for _, a in self.tags if kind in a.get("class", "").split()]


def some(*names: str) -> Annotation:
    found = annotate(
        [
            (name, rectangle(SIZE, 5 * n, 9 * n, 5 * n + 20, 9 * n + 30))
            for n, name in enumerate(names)
        ],
        size_hw=SIZE,
        ungrounded=(f"no {names[0]}",) if names else ("nothing",),
    )
    others = objects([((name + " or so", 0.25),) for name in names])
    detections = replace(found.detections, data={**found.detections.data, "alternatives": others})
    box = Rejected(names[0] if names else "box", 0.33, (1.0, 2.0, 30.0, 40.0), Reason.SMALL, "dog")
    return replace(found, detections=detections, rejected=(box,))


@pytest.mark.parametrize("build", [stage_html, findings_html])
def test_names_of_strangers_are_text_wherever_they_stand(
    build: Callable[[Annotation], str],
) -> None:
    page, usual = Page(build(some(*HOSTILE))), Page(build(some("dog", "cat")))
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in usual.tags}
    assert not [key for _, a in page.tags for key in a if key.startswith("on")]
    assert page.open == []
    for name in HOSTILE:
        assert name in page.text


def test_every_object_has_an_outline_a_label_a_card_and_a_row_under_one_key() -> None:
    annotation = some("dog", "cat", "dog")
    page, lists = Page(stage_html(annotation)), Page(findings_html(annotation))
    keys = ["o0", "o1", "o2"]
    assert sorted(g["data-key"] for g in page.of("object")) == keys
    assert [g["data-key"] for g in page.of("name")] == keys
    assert [g["data-key"] for g in page.of("card")] == [*keys, "r0"]
    rows = [a["data-key"] for tag, a in lists.tags if tag == "li" and "data-key" in a]
    assert rows == [*keys, "r0"]
    assert all(g["tabindex"] == "0" for g in page.of("object"))
    told = {g["data-key"]: g["aria-label"] for g in page.of("object")}
    assert told["o1"] == "cat: combined 0.75, box 0.65, tag 0.85, mask 0.45; or cat or so 0.25"


def test_smaller_objects_lie_on_top_of_larger_ones() -> None:
    small, large = rectangle(SIZE, 10, 10, 20, 20), rectangle(SIZE, 0, 0, 70, 100)
    page = Page(stage_html(annotate([("small", small), ("large", large)], size_hw=SIZE)))
    assert [g["data-key"] for g in page.of("object")] == ["o1", "o0"]


def test_zero_objects_and_empty_masks_are_drawn_as_nothing() -> None:
    page = Page(stage_html(annotate(size_hw=SIZE)))
    assert page.of("object") == page.of("card") == []
    assert "No object" in Page(findings_html(annotate(size_hw=SIZE))).text
    empty = annotate([("ghost", np.zeros(SIZE, bool))], size_hw=SIZE)
    assert objects_of(empty)[0].path == ""
    assert len(Page(stage_html(empty)).of("object")) == 1


def test_lists_say_what_was_rejected_and_which_tags_have_no_object_and_why() -> None:
    text = re.sub(r"\s+", " ", Page(findings_html(some("cat"))).text)
    assert "cat its mask is empty or too small: dog0.33" in text
    assert "no cat no box was found" in text


def test_the_outline_lies_on_the_mask() -> None:
    mask = rectangle(SIZE, 10, 20, 50, 90)
    mask[20:30, 30:60] = False
    annotation = annotate([("frame", mask)], size_hw=SIZE)
    path = objects_of(annotation)[0].path
    assert path.count("M") == path.count("Z") == 2  # the hole, too
    numbers = np.array([float(n) for n in re.findall(r"[\d.]+", path)]).reshape(-1, 2)
    np.testing.assert_allclose(numbers.min(0), [20, 10], atol=0.8)
    np.testing.assert_allclose(numbers.max(0), [90, 50], atol=0.8)
    region = region_of(annotation.masks, 0)
    assert region is not None
    assert svg_path(outline(region)) == path


def test_labels_lie_inside_the_picture() -> None:
    corner = rectangle(SIZE, 70, 110, 80, 120)
    annotation = annotate([("a rather long name", corner)], size_hw=SIZE)
    x, y = objects_of(annotation)[0].label_xy
    assert 0 <= x < 90
    assert 0 <= y <= 100


@pytest.mark.parametrize(
    ("size", "kind", "shown"),
    [
        ((60, 40), "PNG", (60, 40)),
        ((3000, 1500), "JPEG", (LONGEST_SIDE, LONGEST_SIDE // 2)),
        ((1, 5000), "JPEG", (1, LONGEST_SIDE)),
    ],
)
def test_the_picture_is_shown_no_larger_than_a_screen(
    size: tuple[int, int], kind: str, shown: tuple[int, int]
) -> None:
    uri = picture_uri(np.full((size[1], size[0], 3), 90, np.uint8))
    head, data = uri.split(",")
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == f"data:image/{kind.lower()};base64"
    assert (picture.format, picture.size) == (kind, shown)


def test_a_message_is_shown_whole_and_as_text() -> None:
    text = "".join(f"<b>{n}</b> & " for n in range(100))
    page = Page(render("message.html", title="no", text=text))
    assert text in page.text
    assert [tag for tag, _ in page.tags if tag == "b"] == []


def test_no_rejected_box_is_not_said_to_be_no_box() -> None:
    html = findings_html(replace(some("dog"), rejected=()))
    assert "Boxes below the threshold are not listed" in html
