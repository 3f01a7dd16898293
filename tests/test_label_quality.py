from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import supervision as sv

from grounded_ram.scenes.scene import Scene, SceneObject
from tests.hand_annotation import rectangle
from tests.label_quality import NOTHING, Counts, Reading, Result, compare, is_right, judge

SIZE = (40, 60)
CAR, APPLE = rectangle(SIZE, 0, 0, 20, 20), rectangle(SIZE, 0, 30, 20, 50)
NOWHERE = rectangle(SIZE, 25, 0, 40, 15)


def scene(*things: tuple[str, np.ndarray]) -> Scene:
    objects = tuple(SceneObject(name, mask, ("red",), None) for name, mask in things)
    return Scene(np.zeros((*SIZE, 3), np.uint8), objects, ("grass",), "")


def found(*rows: tuple[str, float, np.ndarray]) -> sv.Detections:
    masks = np.array([mask for _, _, mask in rows], bool).reshape(-1, *SIZE)
    xyxy = sv.mask_to_xyxy(masks).astype(np.float32) + np.array([0, 0, 1, 1], np.float32)
    return sv.Detections(
        xyxy,
        mask=sv.CompactMask.from_dense(masks, xyxy, SIZE),
        confidence=np.array([score for _, score, _ in rows], np.float32),
        data={"class_name": np.array([name for name, _, _ in rows], dtype=str)},
    )


def on(*rows: tuple[str, int], fits: bool = True) -> list[Result]:
    """Make results of (label, object shown), best first."""
    return [
        Result(label, 1 - 0.1 * i, thing, fits and thing != NOTHING)
        for i, (label, thing) in enumerate(rows)
    ]


TWO = scene(("car", CAR), ("apple", APPLE))
NAMES = ("car", "apple")


def counts(*results: Result, names: Sequence[str] = NAMES, reading: Reading = "tag") -> Counts:
    return judge(names, results, reading)


def test_results_come_best_first_and_each_shows_its_object() -> None:
    results = compare(TWO, found(("apple", 0.5, APPLE), ("car", 0.75, CAR), ("cat", 0.25, NOWHERE)))
    assert results == [
        Result("car", 0.75, 0, True),
        Result("apple", 0.5, 1, True),
        Result("cat", 0.25, NOTHING, False),
    ]


@pytest.mark.parametrize(
    ("columns", "thing", "fits"),
    [(20, 0, True), (40, 0, True), (41, NOTHING, False), (10, 0, True), (9, NOTHING, False)],
)
def test_half_of_both_is_enough(columns: int, thing: int, fits: bool) -> None:
    one = scene(("car", CAR))
    (result,) = compare(one, found(("car", 0.5, rectangle(SIZE, 0, 0, 20, columns))))
    assert (result.thing, result.fits) == (thing, fits)


def test_a_box_shows_its_object_though_the_mask_does_not_fit() -> None:
    frame = CAR & ~rectangle(SIZE, 1, 1, 19, 19)
    results = compare(TWO, found(("car", 0.5, frame)))
    assert results == [Result("car", 0.5, 0, False)]
    assert judge(NAMES, results) == Counts(1, 2, wrong=1)


def test_a_mask_that_fits_counts_before_the_box() -> None:
    boxed_as_apple = replace(found(("car", 0.5, CAR)), xyxy=np.array([[30, 0, 50, 20]], np.float32))
    assert compare(TWO, boxed_as_apple) == [Result("car", 0.5, 0, True)]


def test_nothing_found_and_nothing_there() -> None:
    empty = scene()
    assert compare(TWO, found()) == compare(empty, found()) == []
    assert compare(empty, found(("car", 0.5, CAR))) == [Result("car", 0.5, NOTHING, False)]
    assert judge((), []) == Counts(images=1)
    assert counts() == Counts(1, 2)
    assert counts(*on(("car", NOTHING)), names=()) == Counts(1, 0, junk=1)
    assert np.isnan(counts().precision)
    assert np.isnan(counts(names=()).recall)


def test_each_object_is_right_once() -> None:
    assert counts(*on(("car", 0), ("car", 0), ("apple", 1))) == Counts(1, 2, 2, duplicates=1)


def test_a_right_label_makes_a_better_scored_wrong_one_the_duplicate() -> None:
    assert counts(*on(("cat", 0), ("car", 0))) == Counts(1, 2, 1, duplicates=1)


def test_the_second_wrong_label_of_an_object_is_a_duplicate() -> None:
    assert counts(*on(("cat", 0), ("bird", 0), ("cat", 1))) == Counts(1, 2, 0, 1, 2)


def test_a_label_of_another_object_is_wrong() -> None:
    assert counts(*on(("apple", 0))) == Counts(1, 2, wrong=1)


@pytest.mark.parametrize(
    ("label", "name", "readings"),
    [
        ("car", "car", "name tag words"),
        ("automobile", "car", "tag words"),
        ("vehicle", "car", "tag words"),
        ("automobile car vehicle", "car", "words"),
        ("ice cream", "ice cream", "name tag words"),
        ("icecream ice cream", "ice cream", "words"),
        ("red car", "car", ""),
        ("car bike", "car", ""),
        ("animal", "car", ""),
        ("", "car", ""),
    ],
)
def test_what_is_right_is_a_matter_of_reading(label: str, name: str, readings: str) -> None:
    all_readings: tuple[Reading, ...] = ("name", "tag", "words")
    assert [r for r in all_readings if is_right(label, name, r)] == readings.split()


def test_the_reading_decides_what_is_counted_as_right() -> None:
    results = on(("vehicle", 0), ("apple food", 1))
    assert counts(*results, reading="name") == Counts(1, 2, wrong=2, outside=1)
    assert counts(*results) == Counts(1, 2, 1, wrong=1, outside=1)
    assert counts(*results, reading="words") == Counts(1, 2, 2, outside=1)


def test_a_right_label_whose_mask_does_not_fit_is_not_right() -> None:
    assert counts(*on(("car", 0), fits=False)) == Counts(1, 2, wrong=1)


@pytest.mark.parametrize("label", ["", "car vehicle", "car.", "[SEP]", "##r"])
def test_glued_and_empty_labels_are_outside_the_vocabulary(label: str) -> None:
    assert counts(*on((label, 0))) == Counts(1, 2, wrong=1, outside=1)
    assert counts(*on((label, NOTHING))) == Counts(1, 2, junk=1, outside=1)


def test_tags_of_every_kind_are_inside() -> None:
    labels = ("ice cream", "grass", "striped", "running", "animal")
    assert counts(*on(*((label, NOTHING) for label in labels))) == Counts(1, 2, junk=5)


def test_counts_add_up() -> None:
    total = sum([Counts(1, 4, 2, 1, 1, 4, 3), Counts(1, 1, 0, 0, 0, 0, 0)], Counts())
    assert total == Counts(2, 5, 2, 1, 1, 4, 3)
    assert (total.results, total.missed) == (8, 3)
    assert (total.precision, total.recall) == (0.25, 0.4)
