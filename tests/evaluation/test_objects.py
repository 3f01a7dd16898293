from dataclasses import replace

import numpy as np
import pytest
import supervision as sv

from grounded_ram.annotation import Annotation, ImageFacts
from grounded_ram.errors import InputError
from grounded_ram.evaluation.objects import coco_average_precision
from grounded_ram.evaluation.scoring import score, truth_of
from grounded_ram.scenes.scene import make_scene


def _truth(seed: int) -> Annotation:
    scene = make_scene(seed)
    return truth_of(
        scene, ImageFacts(None, (256, 256), f"{seed + 1:x}".rjust(8, "0").ljust(64, "0"))
    )


TRUTH = [_truth(seed) for seed in range(20)]
KINDS = ("bbox", "segm")


def _found() -> list[sv.Detections]:
    return [truth.detections for truth in TRUTH]


def _renamed(found: sv.Detections, name: str) -> sv.Detections:
    names = np.full(len(found), name, dtype="<U20")
    return replace(found, data={**found.data, "class_name": names})


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_itself_is_perfect(kind: str) -> None:
    assert coco_average_precision(_found(), TRUTH, kind=kind) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_found_is_worth_nothing(kind: str) -> None:
    nothing = [found[:0] for found in _found()]
    assert coco_average_precision(nothing, TRUTH, kind=kind) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_name_is_wrong(kind: str) -> None:
    renamed = [_renamed(found, "no such thing") for found in _found()]
    assert coco_average_precision(renamed, TRUTH, kind=kind) == 0


def test_half_of_one_class_by_hand() -> None:
    """Two objects, one found, then a false one: half the recall at full precision is 51/101."""
    masks = np.zeros((2, 256, 256), bool)
    masks[0, 10:50, 10:50] = masks[1, 100:150, 100:150] = True
    xyxy = np.array([[10, 10, 50, 50], [100, 100, 150, 150]], np.float32)
    ones = np.ones(2, np.float32)
    columns = dict.fromkeys(("tag_score", "box_score", "mask_score", "label_score"), ones)
    there = sv.Detections(
        xyxy,
        mask=sv.CompactMask.from_dense(masks, xyxy, (256, 256)),
        confidence=ones,
        class_id=np.zeros(2, int),
        data={"class_name": np.array(["car", "car"]), **columns},
    )
    base = _truth(1)
    tags = type(base.tags)(("car",), np.ones(1, np.float32), ("object",))
    truth = Annotation(base.image, base.pixels, tags, there)
    found = sv.Detections(
        np.array([[10, 10, 50, 50], [200, 200, 220, 220]], np.float32),
        confidence=np.array([0.9, 0.8], np.float32),
        class_id=np.zeros(2, int),
        data={"class_name": np.array(["car", "car"])},
    )
    assert coco_average_precision([found], [truth], kind="bbox") == pytest.approx(51 / 101)


def test_no_objects_anywhere_has_no_ap() -> None:
    empty = next(t for t in map(_truth, range(100)) if not len(t.detections))
    assert np.isnan(coco_average_precision([empty.detections], [empty], kind="bbox"))


def test_as_many_detections_as_truths() -> None:
    with pytest.raises(InputError, match="got 0 for 20"):
        coco_average_precision([], TRUTH, kind="bbox")


def test_a_truth_scored_against_itself_is_all_right() -> None:
    for truth in TRUTH:
        verdict = score(truth, truth)
        assert sorted(verdict.right) == sorted(truth.detections.data["class_name"])
        assert not verdict.missed
        assert not verdict.wrong


def test_each_object_counts_once() -> None:
    truth = next(t for t in TRUTH if len(t.detections) == 1)
    twice = Annotation(truth.image, truth.pixels, truth.tags, truth.detections[np.array([0, 0])])
    verdict = score(truth, twice)
    assert len(verdict.right) == 1
    assert len(verdict.wrong) == 1
