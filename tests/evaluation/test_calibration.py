import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.evaluation.calibrated_vocabulary import vocabulary_text
from grounded_ram.evaluation.calibration import Calibrated, Calibration, Source, calibrate, wilson
from grounded_ram.evaluation.truth import Truth, read_truth
from grounded_ram.export.coco import to_coco
from grounded_ram.export.dataset import Dataset
from grounded_ram.vocabulary.edits import Edits, read_edits
from grounded_ram.vocabulary.labelling import Labelling
from tests.hand_annotation import annotate, rectangle

SIZE = (40, 60)
THERE = rectangle(SIZE, 5, 5, 25, 25)
ELSEWHERE = rectangle(SIZE, 5, 35, 25, 55)
RUN: dict[str, Any] = {"box_threshold": 0.2, "ground_kinds": ["object"], "vocabulary": {}}


def sample(
    tmp_path: Path, scores: dict[str, Sequence[tuple[float, bool]]], **run: Any
) -> tuple[Dataset, Truth]:
    """A picture for each found object: its score and whether it is right; a true one in each."""
    found, true = [], []
    for name, rows in scores.items():
        for number, (score, right) in enumerate(rows):
            one = annotate([(name, THERE if right else ELSEWHERE)])
            image = replace(one.image, file_name=f"{name} {number}.jpg")
            ranks = np.array([score], np.float32)
            data = {**one.detections.data, "box_score": ranks}
            detections = replace(one.detections, confidence=ranks, data=data)
            found.append(replace(one, image=image, detections=detections, run={**RUN, **run}))
            true.append(replace(annotate([(name, THERE)]), image=image))
    return Dataset.of(found), truth_file(tmp_path, true)


def truth_file(tmp_path: Path, pictures: Sequence[Annotation]) -> Truth:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(to_coco(pictures)))
    return read_truth(path)


def rows(done: Calibration) -> dict[str, Calibrated]:
    return {row.label: row for row in done.labels}


# Of the best 4 all are right, of the best 6 five, of all 10 six.
CARS = [
    *((0.9, True), (0.8, True), (0.75, True), (0.7, True), (0.6, False)),
    *((0.55, True), (0.5, False), (0.4, False), (0.35, True), (0.3, False)),
]


@pytest.mark.parametrize(
    ("precision", "threshold", "kept", "right"),
    [(0.9, 0.65, 4, 4), (0.8, 0.53, 6, 5), (5 / 6, 0.53, 6, 5), (0.6, 0.2, 10, 6)],
)
def test_the_lowest_threshold_that_reaches_the_precision(
    tmp_path: Path, precision: float, threshold: float, kept: int, right: int
) -> None:
    found, true = sample(tmp_path, {"car": CARS})
    row = rows(calibrate(found, true, precision, least=8))["car"]
    assert (row.source, row.threshold) == (Source.OWN, threshold)
    assert (row.after.objects, row.after.right) == (kept, right)
    assert (row.before.objects, row.before.right, row.before.true) == (10, 6, 10)
    assert (row.after.precision, row.after.recall) == (right / kept, right / 10)
    # What the threshold lets through is what was counted.
    assert sum(np.float32(score) > np.float32(threshold) for score, _ in CARS) == kept
    low, high = row.interval
    assert 0.2 <= low <= threshold <= high <= 1


def test_objects_of_one_score_stay_or_go_together(tmp_path: Path) -> None:
    found, true = sample(tmp_path, {"car": [(0.9, True), (0.5, True), (0.5, False), (0.3, False)]})
    row = rows(calibrate(found, true, 0.9, least=2))["car"]
    assert (row.threshold, row.after.objects) == (0.7, 1)


def test_half_of_the_least_objects_must_stay(tmp_path: Path) -> None:
    found, true = sample(tmp_path, {"car": CARS})
    row = rows(calibrate(found, true, 0.95, least=10))["car"]
    assert row.source is Source.UNREACHED
    assert not row.is_set
    # Of at least five objects, the best share: five of six.
    assert (row.threshold, row.after.objects, row.after.right) == (0.53, 6, 5)


def test_labels_of_few_objects_get_the_threshold_of_all(tmp_path: Path) -> None:
    dogs = [(0.95, True), (0.6, False), (0.45, True)]
    found, true = sample(tmp_path, {"car": CARS, "dog": dogs})
    done = calibrate(found, true, 0.9, least=8)
    dog = rows(done)["dog"]
    assert done.pooled.threshold == 0.65
    assert (dog.source, dog.threshold, dog.is_set) == (Source.POOLED, 0.65, True)
    assert (dog.after.objects, dog.after.right, dog.before.objects) == (1, 1, 3)
    assert np.isnan(dog.interval[0])
    assert done.pooled.before.true == 13


def test_where_all_together_do_not_reach_it_either_a_label_stays_as_it_is(tmp_path: Path) -> None:
    found, true = sample(tmp_path, {"car": [(0.9, False)] * 9, "dog": [(0.8, True)]})
    done = calibrate(found, true, 0.9, least=4)
    assert rows(done)["dog"].source is Source.FEW
    assert np.isnan(rows(done)["dog"].threshold)
    assert rows(done)["car"].source is Source.UNREACHED
    assert rows(done)["car"].after.right == 0
    assert not done.pooled.is_set


def test_the_truth_may_have_other_names_and_none_for_some(tmp_path: Path) -> None:
    found, _ = sample(tmp_path, {"car": CARS[:4], "sofa": CARS[:4]})
    true = [replace(annotate([("automobile", THERE)]), image=one.image) for one in list(found)[:4]]
    done = calibrate(found, truth_file(tmp_path, true), 0.9, least=2)
    assert list(rows(done)) == ["car"]
    assert rows(done)["car"].after.recall == 1
    found, _ = sample(tmp_path, {"sofa": CARS[:4]})
    true = [replace(annotate([("automobile", THERE)]), image=one.image) for one in found]
    assert calibrate(found, truth_file(tmp_path, true), 0.9).labels == ()


def test_where_nothing_has_to_go_the_threshold_of_the_run_stays(tmp_path: Path) -> None:
    vocabulary = Edits(box_thresholds={"dog": 0.25}).record()
    sure = [(0.9, True)] * 8
    found, true = sample(tmp_path, {"car": sure, "dog": sure}, vocabulary=vocabulary)
    done = rows(calibrate(found, true, 0.9, least=8))
    assert {label: row.threshold for label, row in done.items()} == {"car": 0.2, "dog": 0.25}


def test_what_lies_in_a_crowd_is_no_sample(tmp_path: Path) -> None:
    one = annotate([("car", THERE), ("dog", ELSEWHERE)])
    coco = to_coco([one])
    coco["annotations"][1]["iscrowd"] = 1
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(coco))
    done = calibrate(Dataset.of([one]), read_truth(path), 0.9, least=2)
    assert list(rows(done)) == ["car"]
    assert done.pooled.before.objects == 1


def test_pictures_are_drawn_and_not_objects(tmp_path: Path) -> None:
    """Three objects a picture, all right or all wrong: half of the samples miss the precision."""
    third = rectangle(SIZE, 30, 5, 38, 25)
    kinds = [("car", THERE), ("car", ELSEWHERE), ("car", third)]
    found, true = [], []
    for number in range(10):
        one = annotate(kinds)
        image = replace(one.image, file_name=f"{number}.jpg")
        found.append(replace(one, image=image, run=RUN))
        others = kinds if number < 8 else [("car", rectangle(SIZE, 0, 57, 3, 60))]
        true.append(replace(annotate(others), image=image))
    (row,) = calibrate(Dataset.of(found), truth_file(tmp_path, true), 0.8, least=20).labels
    assert (row.before.objects, row.before.right, row.threshold) == (30, 24, 0.2)
    assert row.interval == (0.2, 1)


def test_nothing_found_is_nothing_to_calibrate(tmp_path: Path) -> None:
    one = annotate()
    done = calibrate(Dataset.of([one]), truth_file(tmp_path, [one]), 0.9)
    assert done.labels == ()
    assert done.pooled.source is Source.FEW
    assert np.isnan(done.pooled.interval[1])
    text = vocabulary_text(done, sample="truth.json")
    assert written(tmp_path, text) == Edits()


def test_a_result_does_not_change_from_time_to_time(tmp_path: Path) -> None:
    scores = np.random.default_rng(1).uniform(0.2, 1, 80)
    found, true = sample(
        tmp_path, {"car": [(float(s), s > 0.37 + (i % 3) / 5) for i, s in enumerate(scores)]}
    )
    first, again = (rows(calibrate(found, true, 0.8)) for _ in range(2))
    assert first == again


def test_a_threshold_lies_between_scores_that_are_near(tmp_path: Path) -> None:
    found, true = sample(tmp_path, {"car": [(0.5004, True), (0.5002, True), (0.5001, False)]})
    row = rows(calibrate(found, true, 0.9, least=2))["car"]
    assert row.threshold == 0.50015


def test_the_interval_covers_the_thresholds_of_fresh_samples(tmp_path: Path) -> None:
    """Scores in [0, 1] that are right with a probability that rises with them: known truth."""
    rng = np.random.default_rng(3)

    def drawn(count: int) -> list[tuple[float, bool]]:
        scores = rng.uniform(0.2, 1, count)
        return [(float(s), bool(rng.random() < s)) for s in scores]

    found, true = sample(tmp_path, {"car": drawn(300)})
    low, high = rows(calibrate(found, true, 0.8))["car"].interval
    # Above t the mean of the probability is (1 + t) / 2: 0.8 is reached at t = 0.6.
    assert low < 0.6 < high
    assert high - low < 0.3


@pytest.mark.parametrize("precision", [0, -1, 1.5, float("nan"), "0.9"])
def test_a_precision_is_a_share(tmp_path: Path, precision: Any) -> None:
    found, true = sample(tmp_path, {"car": CARS})
    with pytest.raises(InputError, match="precision: expected a number above 0"):
        calibrate(found, true, precision)


@pytest.mark.parametrize(("right", "objects"), [(0, 1), (1, 1), (5, 6), (9, 10), (35, 35), (0, 50)])
def test_wilson_is_scipys(right: int, objects: int) -> None:
    expected = binomtest(right, objects).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(wilson(right, objects), expected, atol=1e-6)
    assert wilson(0, 0) == (0, 1)


def written(tmp_path: Path, text: str) -> Edits:
    path = tmp_path / "vocabulary.yaml"
    path.write_text(text, encoding="utf-8")
    return read_edits(path)


def test_the_file_sets_what_is_set_and_tells_the_rest(tmp_path: Path) -> None:
    bad = [(0.9, False)] * 9
    found, true = sample(tmp_path, {"car": CARS, "dog": [(0.7, True)], "cat": bad})
    # All together reach nothing, so that the dog stays as it is.
    text = vocabulary_text(calibrate(found, true, 0.9, least=8), sample="truth.json")
    assert written(tmp_path, text) == Edits(box_thresholds={"car": 0.65})
    (car,) = (line for line in text.splitlines() if line.startswith("  car"))
    assert "precision 1.00 (0.51 to 1.00), before 0.60" in car
    assert "recall 0.40, before 0.60" in car
    assert "4 of 10 objects" in car
    assert "\n  # cat: " in text
    assert "none reaches the precision" in text
    assert "\n  # dog  # " in text
    assert "of truth.json" in text


def test_the_edits_of_the_run_are_kept(tmp_path: Path) -> None:
    edits = Edits(
        rename={"car": "Auto: no"},
        block=("tree",),
        synonyms={"dog": ("doggo",)},
        box_thresholds={"car": 0.3, "dog": 0.4, "cat": 0.5, "bird": 0.6},
    )
    scores = {"Auto: no": CARS, "gizmo": CARS, "cat": [(0.9, False)] * 30}
    found, _ = sample(tmp_path, scores, vocabulary=json.loads(json.dumps(edits.record())))
    names = {"Auto: no": "car", "gizmo": "gizmo", "cat": "cat"}
    true = [
        replace(
            annotate([(names[str(one.detections.data["class_name"][0])], THERE)]), image=one.image
        )
        for one in found
    ]
    done = calibrate(found, truth_file(tmp_path, true), 0.9, least=8)
    text = vocabulary_text(done, sample="truth.json")
    again = written(tmp_path, text)
    limits = {"dog": 0.4, "bird": 0.6, "Auto: no": 0.65, "gizmo": 0.65, "cat": 0.5}
    assert again == replace(edits, synonyms={"dog": ("doggo",), "gizmo": ()}, box_thresholds=limits)
    assert text.count("as it was") == 3
    assert Labelling(("object",), again).box_threshold("Auto: no") == 0.65


def test_what_a_reader_must_know_is_noted(tmp_path: Path) -> None:
    sure = [(0.9, True)] * 8
    found, true = sample(tmp_path, {"car": sure}, tagger=None)
    notes = calibrate(found, true, 0.9, least=8).notes()
    assert any("--box-threshold): car" in note for note in notes)
    assert any("words of --tags" in note for note in notes)
    found, true = sample(tmp_path, {"car": CARS}, tagger={"name": "ram"})
    assert calibrate(found, true, 0.9, least=8).notes() == []
