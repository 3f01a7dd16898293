import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.evaluation.dataset import Report, evaluate_dataset, evaluate_tags
from grounded_ram.evaluation.objects import coco_average_precision
from grounded_ram.evaluation.scoring import score, truth_of
from grounded_ram.evaluation.tag_truth import TagTruth
from grounded_ram.evaluation.truth import Truth, read_truth
from grounded_ram.export.coco import to_coco
from grounded_ram.export.dataset import Dataset
from grounded_ram.scenes.scene import make_scene
from tests.hand_annotation import annotate, rectangle

Mask = NDArray[np.bool_]
SIZE = (40, 60)
LEFT = rectangle(SIZE, 5, 5, 25, 25)
NEAR_LEFT = rectangle(SIZE, 5, 9, 25, 29)  # IoU 2/3
RIGHT = rectangle(SIZE, 10, 40, 30, 55)
LOW = rectangle(SIZE, 30, 5, 38, 35)


def picture(name: str, objects: Sequence[tuple[str, Mask]] = (), *tags: str) -> Annotation:
    made = annotate(list(objects), ungrounded=tags)
    return replace(made, image=replace(made.image, file_name=name))


def truth_file(tmp_path: Path, pictures: Sequence[Annotation], **changes: Any) -> Truth:
    """Write pictures as a truth, change its annotations, and read it."""
    coco = to_coco(pictures)
    for item in coco["annotations"]:
        item.update(changes)
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(coco))
    return read_truth(path)


def rows(report: Report) -> dict[str, tuple[int, int, int]]:
    return {row.name: (row.true, row.found, row.right) for row in report.classes}


def test_a_run_by_hand(tmp_path: Path) -> None:
    true = [
        picture("1.jpg", [("car", LEFT), ("dog", RIGHT)]),
        picture("2.jpg", [("car", LEFT), ("tree", LOW)]),
        picture("3.jpg"),
        picture("only true.jpg", [("cat", LOW)]),
    ]
    found = [
        picture("1.jpg", [("car", NEAR_LEFT), ("cat", RIGHT)], "tree"),
        picture("2.jpg", [("car", RIGHT), ("tree", LOW)]),
        picture("3.jpg", [("car", LOW), ("sofa", LEFT)]),
        picture("only found.jpg", [("car", LOW)]),
    ]
    report = evaluate_dataset(Dataset.of(found), truth_file(tmp_path, true))
    assert report.by_masks
    assert rows(report) == {
        "car": (2, 3, 1),
        "cat": (0, 1, 0),
        "dog": (1, 0, 0),
        "tree": (1, 1, 1),
    }
    total = report.total
    assert (total.true, total.found, total.right) == (4, 5, 2)
    assert (total.precision, total.recall, total.f1) == (0.4, 0.5, pytest.approx(4 / 9))
    assert {pair: n for pair, n in report.confusion.items()} == {
        ("car", "car"): 1,
        ("car", ""): 1,
        ("dog", "cat"): 1,
        ("tree", "tree"): 1,
        ("", "car"): 2,
        ("", "sofa"): 1,
    }
    assert report.total.box.at_50 == pytest.approx((51 / 101 + 0 + 1) / 3)
    # The one car that is right has IoU 2/3: it counts at four of the ten IoUs.
    assert report.total.mask.mean == pytest.approx((0.4 * 51 / 101 + 0 + 1) / 3)
    assert {row.name: (row.true, row.seen, row.right) for row in report.tags} == {
        "car": (2, 3, 2),
        "cat": (0, 1, 0),
        "dog": (1, 0, 0),
        "tree": (1, 2, 1),
    }
    coverage = report.coverage
    assert (coverage.pictures, coverage.only_found, coverage.only_true) == (3, 1, 1)
    assert coverage.unmatched == {"sofa": 1}
    notes = "; ".join(coverage.notes())
    assert "the truth lacks, left out: 1; " in notes
    assert "the run lacks, left out: 1; " in notes
    assert "sofa (1)" in notes


def test_names_go_through_the_vocabulary(tmp_path: Path) -> None:
    true = [picture("1.jpg", [("automobile", LEFT), ("vehicle", RIGHT), ("gizmo", LOW)])]
    found = [picture("1.jpg", [("car", LEFT), ("truck", RIGHT)])]
    report = evaluate_dataset(Dataset.of(found), truth_file(tmp_path, true))
    assert rows(report) == {"automobile": (1, 1, 1), "vehicle": (1, 1, 1), "gizmo": (1, 0, 0)}
    assert report.coverage.kinds == {"truck": "vehicle"}
    assert report.coverage.unknown == ("gizmo",)
    assert report.total.box.mean == pytest.approx(2 / 3)


def test_true_names_spelt_alike_are_one_class(tmp_path: Path) -> None:
    true = [picture("1.jpg", [("Car", LEFT), ("car", RIGHT)])]
    found = [picture("1.jpg", [("car", LEFT), ("car", RIGHT)])]
    assert rows(evaluate_dataset(Dataset.of(found), truth_file(tmp_path, true))) == {
        "Car": (2, 2, 2)
    }


def test_crowds_count_neither_for_nor_against(tmp_path: Path) -> None:
    true = truth_file(tmp_path, [picture("1.jpg", [("car", LEFT)])], iscrowd=1)
    report = evaluate_dataset(Dataset.of([picture("1.jpg", [("car", LEFT)])]), true)
    assert rows(report) == {"car": (0, 0, 0)}
    assert report.confusion == {}
    assert np.isnan(report.total.precision)
    assert (report.tags[0].true, report.tags[0].right) == (1, 1)  # of the picture it is true


def test_boxes_are_compared_where_the_truth_has_no_masks(tmp_path: Path) -> None:
    ell = LEFT & ~rectangle(SIZE, 8, 8, 25, 25)  # fills the box of LEFT to a quarter
    true = [picture("1.jpg", [("car", LEFT)])]
    found = Dataset.of([picture("1.jpg", [("car", ell)])])
    assert rows(evaluate_dataset(found, truth_file(tmp_path, true))) == {"car": (1, 1, 0)}
    boxes = evaluate_dataset(found, truth_file(tmp_path, true, segmentation=[]))
    assert not boxes.by_masks
    assert rows(boxes) == {"car": (1, 1, 1)}
    assert boxes.total.box.mean == pytest.approx(1)
    assert np.isnan(boxes.total.mask.mean)


def test_nothing_found_and_nothing_true(tmp_path: Path) -> None:
    some = [picture("1.jpg", [("car", LEFT)])]
    missed = evaluate_dataset(Dataset.of([picture("1.jpg")]), truth_file(tmp_path, some))
    assert (missed.total.recall, missed.total.mask.mean) == (0, 0)
    assert np.isnan(missed.total.precision)
    invented = evaluate_dataset(Dataset.of(some), truth_file(tmp_path, [picture("1.jpg")]))
    assert invented.coverage.unmatched == {"car": 1}
    assert rows(invented) == {}
    assert np.isnan(invented.total.mask.mean)
    assert np.isnan(invented.tag_summary.map)


def test_an_empty_mask_is_no_object(tmp_path: Path) -> None:
    true = truth_file(tmp_path, [picture("1.jpg", [("car", LEFT)])])
    found = Dataset.of([picture("1.jpg", [("car", LEFT), ("car", np.zeros(SIZE, bool))])])
    assert rows(evaluate_dataset(found, true)) == {"car": (1, 1, 1)}


def test_another_size_is_another_picture(tmp_path: Path) -> None:
    true = truth_file(tmp_path, [picture("1.jpg", [("car", LEFT)])])
    turned = [picture("1.jpg", [("car", LEFT.T)])]
    with pytest.raises(InputError, match=r"1\.jpg: .* 60 x 40 pixels, but .* 40 x 60"):
        evaluate_dataset(Dataset.of(turned), true)


def test_it_agrees_with_what_measures_drawn_scenes(tmp_path: Path) -> None:
    """Other code of ours, and pycocotools on the whole, on scenes with neighbours' objects."""
    pairs = []
    for seed in range(12):
        scene, other = make_scene(seed), make_scene(seed + 100)
        facts = replace(picture("x").image, size_hw=scene.image.shape[:2], file_name=f"{seed}.png")
        true = truth_of(scene, facts)
        found = true if seed % 3 else truth_of(other, facts)
        ranks = np.linspace(0.9, 0.1, len(found.detections)).astype(np.float32)
        detections = replace(
            found.detections,
            confidence=ranks,
            data={**found.detections.data, "box_score": ranks},
        )
        pairs.append((true, replace(found, detections=detections)))
    report = evaluate_dataset(
        Dataset.of([found for _, found in pairs]), truth_file(tmp_path, [true for true, _ in pairs])
    )
    verdicts = [score(true, found) for true, found in pairs]
    known = {name for true, _ in pairs for name in true.detections.data["class_name"]}
    assert report.total.right == sum(len(one.right) for one in verdicts)
    assert report.total.true == sum(len(one.right) + len(one.missed) for one in verdicts)
    wrong = [name for one in verdicts for name in one.wrong if name in known]
    assert report.total.found - report.total.right == len(wrong)
    boxes, truths = [found.detections for _, found in pairs], [true for true, _ in pairs]
    expected = coco_average_precision(boxes, truths, kind="segm")
    assert report.total.mask.at_50 == pytest.approx(expected, abs=1e-12)


def test_tags_of_lists_by_hand() -> None:
    truth = TagTruth(
        {"t/1": frozenset({"automobile"}), "t/2": frozenset({"dog"}), "t/9": frozenset()},
        ("automobile", "dog", "cat"),
    )
    found = [picture("t/1.jpg", [], "sedan", "dog", "red"), picture("t/2.jpg", [], "tree")]
    report = evaluate_tags(Dataset.of(found), truth)
    assert {row.name: (row.true, row.seen, row.right) for row in report.tags} == {
        "automobile": (1, 1, 1),
        "dog": (1, 1, 0),
    }
    assert report.coverage.unmatched == {"red": 1, "tree": 1}
    assert report.coverage.kinds == {"sedan": "automobile"}
    assert (report.coverage.pictures, report.coverage.only_true) == (2, 1)
    assert report.tag_summary.map == pytest.approx((1 + 1 / 2) / 2)


def test_of_tags_that_are_one_true_name_the_best_score_counts() -> None:
    truth = TagTruth({"1": frozenset({"car"}), "2": frozenset()}, ("car",))
    found = [picture("1", [], "sedan", "dog", "car"), picture("2", [], "tree", "car", "cat")]
    # 0.9 and 0.8 in the first picture, 0.85 in the second.
    assert evaluate_tags(Dataset.of(found), truth).tag_summary.map == 1
