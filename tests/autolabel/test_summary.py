from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grounded_ram.autolabel.summary import MOST_FIRST, reason_in_short, summarize
from grounded_ram.export.dataset import Dataset
from tests.hand_annotation import annotate, rectangle

MASK = rectangle((9, 9), 1, 1, 5, 5)


def test_a_run_in_a_few_numbers() -> None:
    pictures = [
        annotate([("dog", MASK), ("cat", MASK)], path="a.jpg", ungrounded=("bus",)),
        annotate([("dog", MASK)], path="b.jpg", seed=1),
        annotate(path="c.jpg", ungrounded=("bus", "car")),
    ]
    found = summarize(
        Dataset.of(pictures),
        failures=[("x", "'x' was 12 px"), ("y", "'y' was 900 px"), ("z", "gone")],
        duplicates=[["a", "b"], ["c", "d", "e"]],
        skipped={"hidden": 1, "no picture ending": 5},
    )
    assert found["pictures"] == 3
    assert found["without_objects"] == 1
    assert found["objects"] == 3
    assert found["classes"] == [
        {"name": "dog", "objects": 2, "mean_score": 0.8},
        {"name": "cat", "objects": 1, "mean_score": 0.7},
    ]
    assert found["failed"] == [
        {"pictures": 2, "first": "x", "reason": "'x' was 12 px"},
        {"pictures": 1, "first": "z", "reason": "gone"},
    ]
    assert list(found["skipped"].items()) == [("no picture ending", 5), ("hidden", 1)]
    assert found["duplicates"] == {
        "groups": 2,
        "pictures": 5,
        "first": [["a", "b"], ["c", "d", "e"]],
    }
    assert list(found["look_first"]["seen_but_not_found"].items()) == [("bus", 2), ("car", 1)]
    assert found["look_first"]["least_sure"] == [
        {"picture": "a.jpg", "label": "cat", "label_score": 0.7},
        {"picture": "b.jpg", "label": "dog", "label_score": 0.8},
    ]


def test_nothing_at_all_is_summed_up_too() -> None:
    found = summarize(Dataset.of([]), failures=[], duplicates=[], skipped={})
    assert (found["pictures"], found["objects"], found["classes"]) == (0, 0, [])


def test_the_least_sure_come_first_and_are_few() -> None:
    pictures = []
    for number in range(2 * MOST_FIRST):
        one = annotate([("dog", MASK)], path=f"{number:02d}.jpg")
        score = np.full(1, 1 - number / 100, np.float32)
        data = {**one.detections.data, "label_score": score}
        pictures.append(replace(one, detections=replace(one.detections, data=data)))
    found = summarize(Dataset.of(pictures), failures=[], duplicates=[], skipped={})
    names = [one["picture"] for one in found["look_first"]["least_sure"]]
    assert names == [f"{n:02d}.jpg" for n in range(2 * MOST_FIRST - 1, MOST_FIRST - 1, -1)]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("'a/b.jpg' cannot be decoded", "'...' cannot be decoded"),
        ("expected at most 178956970 pixels\nmore", "expected at most # pixels"),
        ("", ""),
        ("x" * 500, "x" * 120),
    ],
)
def test_reasons_are_alike_without_names_and_numbers(reason: str, expected: str) -> None:
    assert reason_in_short(reason) == expected
