from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grounded_ram.annotation import Annotation, Reason, objects
from grounded_ram.app.page.batch_queue import (
    MOST_SUGGESTED,
    count_decisions,
    make_queue,
    next_undecided,
    rows_to_decide,
    suggestions,
    with_rows,
)
from grounded_ram.evaluation.review import collect
from grounded_ram.export.dataset import Dataset
from tests.hand_annotation import annotate, rectangle

SIZE = (40, 60)
SCORES = (0.9, 0.3, 0.6)


def picture(name: str, *labels: str, seed: int = 0) -> Annotation:
    """A picture with an object of each label, of falling certainty but for the second."""
    masks = [
        (label, rectangle(SIZE, 2 + n, 2 + n, 22 + n, 30 + n)) for n, label in enumerate(labels)
    ]
    found = annotate(masks, size_hw=SIZE, seed=seed)
    data = {**found.detections.data, "label_score": np.array(SCORES[: len(labels)], np.float32)}
    return replace(
        found,
        image=replace(found.image, file_name=name),
        detections=replace(found.detections, data=data),
    )


PICTURES = [picture("a.png", "dog", "cat", "cup"), picture("b.png", "cup", "dog", seed=1)]


def nothing(annotation: Annotation, row: int) -> bool:
    return False


def test_a_queue_has_each_object_once_in_the_order_of_the_report() -> None:
    queue = make_queue(lambda: PICTURES, nothing)
    places = [(item.name, f"object {item.row}") for item in queue]
    review = collect(Dataset.of(PICTURES))
    shown = [one for section in review.queue for one in section.exhibits]
    assert places == [one.key for one in shown if one.key[1].startswith("object ")]
    assert sorted(places) == sorted(
        {
            (one.image.file_name, f"object {row}")
            for one in PICTURES
            for row in range(len(one.detections))
        }
    )
    assert queue[0].label in ("cat", "dog")  # scored 0.3
    assert queue[0].section == "Weakest labels"
    assert "combined score only 0.30" in queue[0].why


def test_what_was_decided_is_left_out_and_rows_stay_those_of_the_record() -> None:
    gone = {("a.png", 0), ("a.png", 1), ("b.png", 0)}

    def is_decided(annotation: Annotation, row: int) -> bool:
        return (annotation.image.file_name, row) in gone

    queue = make_queue(lambda: PICTURES, is_decided)
    assert {(item.name, item.row, item.label) for item in queue} == {
        ("a.png", 2, "cup"),
        ("b.png", 1, "dog"),
    }


def test_a_queue_of_one_label_has_no_other() -> None:
    queue = make_queue(lambda: PICTURES, nothing, label="dog")
    assert {(item.name, item.row) for item in queue} == {("a.png", 0), ("b.png", 1)}


@pytest.mark.parametrize("pictures", [[], [picture("empty.png")]])
def test_where_there_are_no_objects_the_queue_is_empty(pictures: list[Annotation]) -> None:
    assert make_queue(lambda: pictures, nothing) == []


def test_rows_are_kept_with_their_masks() -> None:
    found = with_rows(PICTURES[0], [2, 0])
    assert list(found.detections.data["class_name"]) == ["cup", "dog"]
    np.testing.assert_array_equal(found.masks.area, PICTURES[0].masks.area[[2, 0]])
    assert with_rows(PICTURES[0], [0, 1, 2]) is PICTURES[0]
    assert len(with_rows(PICTURES[0], []).detections) == 0
    assert rows_to_decide(PICTURES[0], nothing, "cup") == [2]


def test_suggestions_begin_with_what_boxes_and_the_tagger_said() -> None:
    found = annotate(
        [("dog", rectangle(SIZE, 2, 2, 22, 30)), ("cat", rectangle(SIZE, 4, 4, 20, 30))],
        ungrounded=("wolf", "beach", "mammal"),
    )
    found = replace(found, ungrounded={**found.ungrounded, "mammal": Reason.POOR})
    column = objects([(("fox", 0.5), ("dog", 0.4)), ()])
    data = {**found.detections.data, "alternatives": column}
    found = replace(found, detections=replace(found.detections, data=data))
    names = suggestions(found, 0, ["dog", "teapot", "fox", "horse"])
    assert names[:4] == ["fox", "wolf", "horse", "animal"]  # a horse is an animal too
    assert "beagle" in names  # a kind of dog
    assert not {"beach", "mammal", "dog"} & set(names)
    assert names[-1] == "teapot"
    assert len(names) == len(set(names)) <= MOST_SUGGESTED


def test_an_unknown_name_has_the_labels_of_the_run() -> None:
    found = annotate([("gizmo 7", rectangle(SIZE, 2, 2, 22, 30))])
    assert suggestions(found, 0, ["cup", "gizmo 7"]) == ["cup"]


@pytest.mark.parametrize(
    ("decided", "after", "expected"),
    [
        ([False, False, False], 0, 1),
        ([False, True, False], 0, 2),
        ([False, True, True], 1, 0),
        ([False, True, True], 0, 0),
        ([True, True, True], 1, None),
        ([], 0, None),
        ([True, False], 7, 1),
    ],
)
def test_the_next_object_is_the_next_undecided_one_around_the_end(
    decided: list[bool], after: int, expected: int | None
) -> None:
    assert next_undecided(decided, after) == expected


def test_decisions_are_counted_and_what_is_left() -> None:
    counts = count_decisions(["accept", None, "accept", "rename", None])
    assert counts == {"accept": 2, "rename": 1, "left": 2}
    assert counts["reject"] == 0
