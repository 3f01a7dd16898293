from __future__ import annotations

import random

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from grounded_ram.annotation import ImageFacts
from grounded_ram.evaluation.exhibits import (
    MOST_OUTLINES,
    Exhibit,
    Shortlist,
    exhibit_object,
    exhibit_picture,
    outline,
)
from grounded_ram.export.shapes import region_of
from tests.hand_annotation import annotate, rectangle, ring

SIZE = (200, 300)
FACTS = ImageFacts(None, (1, 1), "0" * 64)


def exhibit(name: str) -> Exhibit:
    return Exhibit((name, ""), FACTS)


@pytest.mark.parametrize(("most", "each"), [(5, None), (5, 2), (100, None), (1, 9)])
def test_a_shortlist_keeps_what_sorting_everything_would(most: int, each: int | None) -> None:
    lots = random.Random(3)
    offers = [(lots.randint(0, 9), lots.choice("abc"), str(n)) for n in range(60)]
    shortlist, made = Shortlist(most, each), []
    for rank, kind, name in offers:
        shortlist.offer(rank, lambda name=name: made.append(name) or exhibit(name), kind)

    left = dict.fromkeys("abc", most if each is None else each)
    expected = []
    for _, kind, name in sorted(offers, key=lambda offer: -offer[0]):  # stable
        if left[kind]:
            left[kind] -= 1
            expected.append(name)
    assert [one.name for one in shortlist.best()] == expected[:most]
    assert len(made) < len(offers) or most == 100


def test_a_shortlist_makes_nothing_that_it_does_not_keep() -> None:
    shortlist = Shortlist(1)
    shortlist.offer(2, lambda: exhibit("kept"))
    shortlist.offer(2, lambda: pytest.fail("made"))
    shortlist.offer(1, lambda: pytest.fail("made"))
    assert [one.name for one in shortlist.best()] == ["kept"]


def test_a_shortlist_of_nothing_is_empty() -> None:
    assert Shortlist(3).best() == []


def filled(parts: tuple[NDArray[np.float64], ...]) -> NDArray[np.bool_]:
    """Fill lines as SVG's even-odd rule does, eight times as fine, and look at pixel centres."""
    canvas = np.zeros((SIZE[0] * 8, SIZE[1] * 8), np.uint8)
    lines = [np.rint(part * 8 - 0.5).astype(np.int32) for part in parts]
    cv2.fillPoly(canvas, lines, 1)  # even-odd over all lines
    return canvas[4::8, 4::8].astype(bool)


@pytest.mark.parametrize(
    "mask",
    [
        rectangle(SIZE, 20, 30, 180, 250),
        ring(SIZE, (100, 150), 30, 80),
        rectangle(SIZE, 0, 0, 200, 300),
        rectangle(SIZE, 10, 10, 40, 40) | rectangle(SIZE, 100, 200, 160, 290),
    ],
    ids=["rectangle", "ring", "everything", "two parts"],
)
def test_an_outline_encloses_the_mask(mask: NDArray[np.bool_]) -> None:
    region = region_of(annotate([("thing", mask)]).masks, 0)
    assert region is not None
    drawn = filled(outline(region))
    assert (drawn & mask).sum() / (drawn | mask).sum() > 0.97


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 250), (199, 1), (3, 3)])
def test_small_and_thin_masks_have_an_outline_too(height: int, width: int) -> None:
    region = region_of(annotate([("thing", rectangle(SIZE, 1, 2, 1 + height, 2 + width))]).masks, 0)
    assert region is not None
    (line,) = outline(region)
    low, high = line.min(axis=0), line.max(axis=0)
    np.testing.assert_allclose(low, [2, 1], atol=0.8)
    np.testing.assert_allclose(high, [2 + width, 1 + height], atol=0.8)


def test_an_empty_mask_has_no_outline() -> None:
    shown = exhibit_object(annotate([("thing", np.zeros(SIZE, bool))]), 0)
    assert shown.outlines[0].parts == ()


def test_an_object_is_shown_with_its_scores_and_the_reason() -> None:
    annotation = annotate(
        [("dog", rectangle(SIZE, 0, 0, 9, 9)), ("cat", ring(SIZE, (50, 50), 2, 9))]
    )
    annotation.detections.data["crop_score"] = np.array([0.5, np.nan], np.float32)
    shown = exhibit_object(annotation, 1, "because")
    assert (shown.key, shown.label, shown.why) == (("street.jpg", "object 1"), "cat", ["because"])
    assert shown.scores == pytest.approx(
        {"tag_score": 0.8, "box_score": 0.6, "mask_score": 0.4, "label_score": 0.7}
    )
    assert shown.box_xyxy == tuple(annotation.detections.xyxy[1].tolist())
    assert exhibit_object(annotation, 0).scores["crop_score"] == 0.5


def test_a_picture_is_shown_with_its_largest_objects() -> None:
    masks = [rectangle(SIZE, 0, 0, 3, 3 + n) for n in range(MOST_OUTLINES + 2)]
    shown = exhibit_picture(annotate([(f"thing {n}", mask) for n, mask in enumerate(masks)]))
    names = {one.label for one in shown.outlines}
    assert names == {f"thing {n}" for n in range(2, MOST_OUTLINES + 2)}
