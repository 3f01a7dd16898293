from __future__ import annotations

import numpy as np

from grounded_ram.annotation import Tags
from grounded_ram.detection.answers import (
    Found,
    best_rows,
    cxcywh_to_xyxy,
    name_order,
    to_detections,
)


def test_each_box_gets_its_best_name_if_that_is_above_the_threshold() -> None:
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    scores = np.array([[0.2, 0.5], [0.5, 0.75], [0.9, 0.1]], np.float32)
    found = best_rows(boxes, scores, threshold=0.5)
    np.testing.assert_array_equal(found.boxes, boxes[1:])
    np.testing.assert_array_equal(found.scores, np.array([0.75, 0.9], np.float32))
    np.testing.assert_array_equal(found.rows, [1, 0])


def test_parts_are_joined_best_first_under_the_tags_own_rows() -> None:
    tags = Tags.of(["tree", "Car", "dog"])
    order = name_order(tags)
    assert [tags.names[row] for row in order] == ["Car", "dog", "tree"]
    box = np.array([[0.5, 0.5, 0.5, 0.5]], np.float32)
    parts = [
        Found(box, np.array([0.25], np.float32), np.array([2])),
        Found(box / 2, np.array([0.75], np.float32), np.array([0])),
    ]
    found = to_detections(parts, tags, order, (100, 40))
    assert found.class_id is not None
    assert list(found.data["class_name"]) == ["Car", "tree"]
    assert found.class_id.tolist() == [1, 0]
    np.testing.assert_allclose(found.xyxy, [[5, 12.5, 15, 37.5], [10, 25, 30, 75]])


def test_corners_of_centre_boxes() -> None:
    boxes = np.array([[0.5, 0.5, 0.5, 0.25], [0.0, 1.0, 0.5, 0.5]], np.float32)
    corners = cxcywh_to_xyxy(boxes, (100, 40))
    expected = np.array([[10, 37.5, 30, 62.5], [0, 75, 10, 100]])
    np.testing.assert_allclose(corners, expected, rtol=1e-6)
    assert corners.dtype == np.float32
