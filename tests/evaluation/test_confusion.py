from collections import Counter

import pytest

from grounded_ram.evaluation.confusion import NOTHING, confused
from tests.evaluation.test_matching import box


@pytest.mark.parametrize("by_masks", [True, False])
def test_objects_are_paired_by_overlap_whatever_they_are_called(by_masks: bool) -> None:
    true = [box("car", 0, 0), box("dog", 50, 0), box("tree", 0, 50), box("cat", 60, 60)]
    found = [
        box("truck", 2, 0),  # overlaps the car, but less than the next
        box("bus", 1, 0),
        box("dog", 50, 2),
        box("bush", 0, 70),  # too far from the tree
        box("cat", 60, 60),
        box("dog", 60, 60),  # the same, under another name: the right name goes first
    ]
    assert Counter(confused(true, found, by_masks=by_masks)) == {
        ("car", "bus"): 1,
        (NOTHING, "truck"): 1,
        ("dog", "dog"): 1,
        ("tree", NOTHING): 1,
        (NOTHING, "bush"): 1,
        ("cat", "cat"): 1,
        (NOTHING, "dog"): 1,
    }


def test_what_lies_in_a_crowd_is_no_mistake_and_a_crowd_is_not_missed() -> None:
    crowd = box("sheep", 0, 0, 60, crowd=True)
    found = [box("sheep", 5, 5), box("dog", 30, 30), box("dog", 55, 55)]
    assert list(confused([crowd], found, by_masks=True)) == [(NOTHING, "dog")]


def test_nothing_beside_nothing() -> None:
    assert list(confused([], [], by_masks=True)) == []
    assert list(confused([box("car", 0, 0)], [], by_masks=False)) == [("car", NOTHING)]
    assert list(confused([], [box("car", 0, 0)], by_masks=False)) == [(NOTHING, "car")]
