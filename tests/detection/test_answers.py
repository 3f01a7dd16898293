from __future__ import annotations

import numpy as np

from grounded_ram.annotation import Tags
from grounded_ram.detection.answers import (
    Found,
    above,
    cxcywh_to_xyxy,
    name_order,
    to_detections,
)


def test_boxes_that_some_name_fits_are_kept() -> None:
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    scores = np.array([[0.2, 0.5], [0.5, 0.75], [0.9, 0.1]], np.float32)
    found = above(boxes, scores, np.array([4, 7]), threshold=0.5)
    np.testing.assert_array_equal(found.boxes, boxes[1:])
    np.testing.assert_array_equal(found.scores, scores[1:])
    np.testing.assert_array_equal(found.rows, [4, 7])


BOX = np.array([[0.5, 0.5, 0.5, 0.5]], np.float32)
TAGS = Tags.of(["tree", "Car", "dog"])
ORDER = name_order(TAGS)


def test_parts_are_joined_best_first_under_the_tags_own_rows() -> None:
    assert [TAGS.names[row] for row in ORDER] == ["Car", "dog", "tree"]
    parts = [
        Found(BOX, np.array([[0.25]], np.float32), np.array([2])),
        Found(BOX / 2, np.array([[0.75, 0.5]], np.float32), np.array([0, 1])),
    ]
    found = to_detections(parts, TAGS, ORDER, (100, 40), 0.2)
    assert found.class_id is not None
    assert list(found.data["class_name"]) == ["Car", "tree"]
    assert found.class_id.tolist() == [1, 0]
    assert found.confidence.tolist() == [0.75, 0.25]
    np.testing.assert_allclose(found.xyxy, [[5, 12.5, 15, 37.5], [10, 25, 30, 75]])


def test_other_tags_come_along_from_half_the_threshold_on() -> None:
    scores = np.array([[0.5, 0.125, 0.375], [0.25, 0.75, 0.125]], np.float32)
    part = Found(np.tile(BOX, (2, 1)), scores, np.array([2, 0, 1]))
    found = to_detections([part], TAGS, ORDER, (100, 40), 0.25)
    assert list(found.data["class_name"]) == ["Car", "tree"]
    assert found.data["alternatives"].tolist() == [(("tree", 0.25),), (("dog", 0.375),)]


def test_a_box_without_area_is_left_out() -> None:
    flat = np.array([[0.5, 0.5, 0.0, 0.5], [0.5, 0.5, 0.5, 0.5], [np.nan] * 4], np.float32)
    scores = np.array([[0.9], [0.5], [0.8]], np.float32)
    found = to_detections([Found(flat, scores, np.array([1]))], TAGS, ORDER, (100, 40), 0.1)
    assert found.confidence.tolist() == [0.5]
    assert found.data["alternatives"].tolist() == [()]


def test_nothing_found_has_every_column() -> None:
    found = to_detections([], TAGS, ORDER, (100, 40), 0.1)
    assert found.xyxy.shape == (0, 4)
    assert set(found.data) == {"class_name", "alternatives"}


def test_corners_of_centre_boxes() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 0.25], [0.0, 1.0, 0.5, 0.5]], np.float32)
    corners = cxcywh_to_xyxy(boxes, (100, 40))
    expected = np.array([[10, 37.5, 30, 62.5], [0, 75, 10, 100]])
    np.testing.assert_allclose(corners, expected, rtol=1e-6)
    assert corners.dtype == np.float32
