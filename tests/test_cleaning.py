from __future__ import annotations

import numpy as np
import pytest
import supervision as sv
from numpy.typing import NDArray

from grounded_ram.annotation import Reason
from grounded_ram.cleaning import clean, mend
from grounded_ram.rules import Rules
from tests.hand_annotation import rectangle

SIZE = (60, 80)


def objects(masks: list[NDArray[np.bool_]], **columns: list[float]) -> sv.Detections:
    """Make detections of masks, each box the whole picture; ``row`` tells them apart."""
    dense = np.array(masks, bool).reshape(-1, *SIZE)
    n = len(dense)
    given = {name: np.array(values, np.float32) for name, values in columns.items()}
    return sv.Detections(
        np.tile(np.array([0, 0, SIZE[1], SIZE[0]], np.float32), (n, 1)),
        mask=sv.CompactMask.from_dense(dense, sv.mask_to_xyxy(dense), SIZE),
        confidence=np.full(n, 0.5, np.float32),
        data={
            "class_name": np.array([f"thing {row}" for row in range(n)], str),
            "row": np.arange(n),
            "mask_score": np.full(n, 0.9, np.float32),
            "mask_stability": np.full(n, 0.9, np.float32),
            **given,
        },
    )


def test_small_holes_are_filled_and_small_islands_removed() -> None:
    sound = rectangle(SIZE, 5, 5, 45, 45)  # 1,600 pixels
    flawed = sound.copy()
    flawed[20:23, 20:23] = False
    flawed[50:55, 60:65] = True
    np.testing.assert_array_equal(mend(flawed, Rules()), sound)
    np.testing.assert_array_equal(mend(flawed, Rules(hole=0, island=0)), flawed)


def test_large_holes_and_islands_stay() -> None:
    """A ring stays a ring; what a lamp post cuts in two stays two parts."""
    mask = rectangle(SIZE, 5, 5, 45, 45) & ~rectangle(SIZE, 20, 20, 28, 28)
    mask |= rectangle(SIZE, 48, 50, 58, 62)
    np.testing.assert_array_equal(mend(mask, Rules()), mask)


def test_what_is_in_many_parts_keeps_them() -> None:
    """Behind bars, or a fence itself: each part is small, all together are the object."""
    stripes = np.zeros(SIZE, bool)
    stripes[:, ::4] = stripes[:, 1::4] = True
    np.testing.assert_array_equal(mend(stripes, Rules()), stripes)
    lattice = ~stripes
    lattice[::6] = True
    changed = np.count_nonzero(mend(lattice, Rules()) ^ lattice)
    assert 0 < changed < 0.01 * np.count_nonzero(lattice)


def test_what_is_open_to_the_outside_is_no_hole() -> None:
    mask = rectangle(SIZE, 0, 0, 40, 40)
    mask[:3, :3] = False
    mask[39, 20] = False
    np.testing.assert_array_equal(mend(mask, Rules()), mask)


def test_of_specks_alone_the_largest_stays() -> None:
    mask = rectangle(SIZE, 0, 0, 2, 2) | rectangle(SIZE, 10, 10, 13, 13)
    found = mend(mask, Rules(island=1.0))
    np.testing.assert_array_equal(found, rectangle(SIZE, 10, 10, 13, 13))


def test_boxes_are_tight_around_their_masks_wherever_these_are() -> None:
    masks = [rectangle(SIZE, 0, 0, 10, 12), rectangle(SIZE, 40, 60, 60, 80)]
    masks[1][30, 5] = True  # an island: the box must not reach it
    found, gone = clean(objects(masks), Rules())
    assert gone == []
    np.testing.assert_array_equal(found.xyxy, [[0, 0, 12, 10], [60, 40, 80, 60]])
    assert found.xyxy.dtype == np.float32
    masks[1][30, 5] = False
    np.testing.assert_array_equal(found.mask.to_dense(), masks)
    assert found.mask.image_shape == SIZE


def test_an_object_of_just_enough_pixels_stays() -> None:
    given = objects([rectangle(SIZE, 0, 0, 4, 4)])
    assert len(clean(given, Rules(least_pixels=16))[0]) == 1
    assert len(clean(given, Rules(least_pixels=17))[0]) == 0


@pytest.mark.parametrize(
    ("rules", "reasons"),
    [
        ({}, {0: Reason.SMALL, 1: Reason.SMALL}),
        ({"least_pixels": 1}, {0: Reason.SMALL}),
        ({"least_pixels": 1, "least_mask_score": 0.5}, {0: Reason.SMALL, 2: Reason.UNSURE}),
        ({"least_pixels": 1, "least_stability": 0.5}, {0: Reason.SMALL, 3: Reason.UNSTABLE}),
    ],
)
def test_small_and_unsure_masks_are_dropped_and_told(
    rules: dict[str, float], reasons: dict[int, Reason]
) -> None:
    whole = rectangle(SIZE, 5, 5, 25, 25)
    masks = [np.zeros(SIZE, bool), rectangle(SIZE, 0, 0, 3, 5), whole, whole, whole]
    given = objects(
        masks,
        mask_score=[0.9, 0.9, 0.4, 0.9, 0.9],
        mask_stability=[0.9, 0.9, 0.9, 0.4, float("nan")],
    )
    found, gone = clean(given, Rules(**rules))
    assert {int(one.name.split()[1]): one.reason for one in gone} == reasons
    assert found.data["row"].tolist() == [row for row in range(5) if row not in reasons]
    assert gone[0].box_xyxy == (0, 0, 80, 60)


def test_nothing_stays_nothing_with_its_columns() -> None:
    found, gone = clean(objects([]), Rules())
    assert gone == []
    assert found.xyxy.shape == (0, 4)
    assert found.mask.shape == (0, *SIZE)
    assert "mask_score" in found.data
    (only,), dropped = (
        objects([np.zeros(SIZE, bool)]),
        clean(objects([np.zeros(SIZE, bool)]), Rules()),
    )
    assert dropped[0].mask.shape == (0, *SIZE)
    assert only is not None
