from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import supervision as sv
from hypothesis import given
from hypothesis import strategies as st

from grounded_ram.errors import InputError
from grounded_ram.merging import SAME_BOX_IOU, merge

Row = tuple[str, float, tuple[float, float, float, float]]


def boxes(rows: Sequence[Row]) -> sv.Detections:
    """Make detections of (name, score, box); ``data["row"]`` tells them apart afterwards."""
    names = [name for name, _, _ in rows]
    return sv.Detections(
        np.array([box for _, _, box in rows], np.float32).reshape(-1, 4),
        confidence=np.array([score for _, score, _ in rows], np.float32),
        class_id=np.array([sorted(set(names)).index(name) for name in names], int),
        data={"class_name": np.array(names, dtype=str), "row": np.arange(len(rows))},
    )


def kept(rows: Sequence[Row], iou: float = 0.5) -> list[int]:
    found: list[int] = merge(boxes(rows), iou=iou).data["row"].tolist()
    return found


def test_no_boxes_keep_their_columns() -> None:
    merged = merge(boxes([]), iou=0.5)
    assert merged.xyxy.shape == (0, 4)
    assert merged.confidence is not None
    assert merged.class_id is not None
    assert merged.confidence.dtype == np.float32
    assert set(merged.data) == {"class_name", "row"}
    assert len(merge(sv.Detections.empty(), iou=0.5)) == 0


def test_of_one_name_the_best_overlapping_box_stays() -> None:
    rows = [
        ("car", 0.6, (0, 0, 100, 100)),
        ("car", 0.9, (10, 0, 110, 100)),  # IoU 0.82 with the first
        ("car", 0.5, (60, 0, 160, 100)),  # 0.25 and 0.33
    ]
    assert kept(rows) == [1, 2]
    assert kept(rows, iou=0.2) == [1]


def test_the_same_object_from_two_prompts_comes_out_once() -> None:
    box = (20.0, 30.0, 80.0, 90.0)
    assert kept([("car", 0.7, box), ("car", 0.7, box), ("car", 0.71, box)]) == [2]


def test_one_object_under_two_names_keeps_the_better_name() -> None:
    rows = [("truck", 0.8, (0, 0, 100, 100)), ("car", 0.9, (0, 0, 100, 104))]
    assert kept(rows) == [1]


@pytest.mark.parametrize(
    "inner",
    [(30, 10, 60, 50), (0, 0, 100, 80)],
    ids=["a person in a car", "a rider as large as four fifths of the bicycle"],
)
def test_a_nested_box_of_another_name_survives(inner: tuple[float, float, float, float]) -> None:
    rows = [("car", 0.9, (0, 0, 100, 100)), ("person", 0.4, inner)]
    assert kept(rows) == [0, 1]
    assert kept(rows, iou=0.05) == [0, 1]


def test_a_small_box_inside_a_large_one_of_the_same_name_survives() -> None:
    assert kept([("fish", 0.9, (0, 0, 100, 100)), ("fish", 0.8, (10, 10, 50, 50))]) == [0, 1]


def test_names_do_not_touch_each_other_below_the_same_box() -> None:
    below = 100 * SAME_BOX_IOU - 1
    rows = [("car", 0.9, (0, 0, 100, 100)), ("bus", 0.8, (0, 0, 100, below))]
    assert kept(rows, iou=0.1) == [0, 1]


def test_a_worse_box_of_a_name_that_loses_goes_too() -> None:
    """The truck stands for the car; its own second box is the same object, and no third one."""
    rows = [
        ("car", 0.9, (0, 0, 100, 100)),
        ("truck", 0.8, (0, 0, 100, 98)),
        ("truck", 0.7, (0, 20, 100, 100)),
    ]
    assert kept(rows) == [0]


def test_a_share_of_one_keeps_everything() -> None:
    box = (0.0, 0.0, 10.0, 10.0)
    assert kept([("car", 0.9, box), ("bus", 0.8, box), ("car", 0.7, box)], iou=1.0) == [0, 1, 2]


def test_ties_go_to_the_first_name_then_the_leftmost_box() -> None:
    left, right = (0.0, 0.0, 100.0, 100.0), (2.0, 0.0, 102.0, 100.0)
    assert kept([("truck", 0.5, left), ("car", 0.5, right)]) == [1]
    assert kept([("car", 0.5, right), ("car", 0.5, left)]) == [1]


def test_large_pictures_lose_no_precision() -> None:
    """Boxes of one pixel far out, and many names: in float32 the boxes would run together."""
    rows = [(f"tag{n:04d}", 0.5, (60_000 + n, 0, 60_001 + n, 1)) for n in range(900)]
    assert len(kept(rows)) == 900


side = st.integers(0, 12)
row = st.tuples(
    st.sampled_from(["bus", "car", "truck"]),
    st.sampled_from([0.25, 0.5, 0.75]),
    st.tuples(side, side, side, side).map(lambda b: (b[0], b[1], b[0] + b[2] + 1, b[1] + b[3] + 1)),
)


def slow_merge(rows: Sequence[Row], iou: float) -> list[Row]:
    """The definition, box by box."""

    def overlap(a: Row, b: Row) -> float:
        (ax, ay, ar, ab), (bx, by, br, bb) = a[2], b[2]
        shared = max(0, min(ar, br) - max(ax, bx)) * max(0, min(ab, bb) - max(ay, by))
        return shared / ((ar - ax) * (ab - ay) + (br - bx) * (bb - by) - shared)

    def thinned(rows: Sequence[Row], same_name: bool, share: float) -> list[Row]:
        stay: list[Row] = []
        for one in rows:
            rivals = [other for other in stay if not same_name or other[0] == one[0]]
            if all(overlap(one, other) <= share for other in rivals):
                stay.append(one)
        return stay

    ordered = sorted(rows, key=lambda one: (-one[1], one[0], one[2]))
    return thinned(thinned(ordered, True, iou), False, max(iou, SAME_BOX_IOU))


@given(st.lists(row, max_size=12), st.sampled_from([0.0, 0.3, 0.51, 0.9]), st.randoms())
def test_it_is_the_slow_definition_in_whatever_order_the_boxes_come(
    rows: list[Row], iou: float, chance: object
) -> None:
    chance.shuffle(rows)  # type: ignore[attr-defined]
    merged = merge(boxes(rows), iou=iou)
    assert merged.confidence is not None
    names, found = merged.data["class_name"], merged.xyxy.tolist()
    columns = zip(names.tolist(), merged.confidence.tolist(), map(tuple, found), strict=True)
    assert list(columns) == slow_merge(rows, iou)


def test_what_comes_in_is_left_alone() -> None:
    given_boxes = boxes([("car", 0.6, (0, 0, 9, 9)), ("car", 0.9, (0, 0, 9, 9))])
    before = given_boxes.xyxy.copy()
    merge(given_boxes, iou=0.5).xyxy[:] = 7
    np.testing.assert_array_equal(given_boxes.xyxy, before)
    assert given_boxes.data["row"].tolist() == [0, 1]


@pytest.mark.parametrize("iou", [-0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(iou: float) -> None:
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        merge(boxes([]), iou=iou)


@pytest.mark.parametrize("column", ["confidence", "class_name"])
def test_a_missing_column_is_named(column: str) -> None:
    found = boxes([("car", 0.5, (0, 0, 1, 1))])
    if column == "confidence":
        found.confidence = None
    else:
        del found.data["class_name"]
    with pytest.raises(InputError, match=f"no .*{column}"):
        merge(found, iou=0.5)
