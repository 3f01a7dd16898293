from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import supervision as sv
from hypothesis import given
from hypothesis import strategies as st

from grounded_ram.annotation import Tags
from grounded_ram.benchmark.stand_ins import (
    LEAST_SIDE,
    FixedTags,
    OvalMasks,
    TopBoxes,
    apart,
    grid,
    ovals,
    threshold_for,
    words,
)
from grounded_ram.errors import InputError
from grounded_ram.merging import merge
from grounded_ram.presets import PRESETS
from grounded_ram.scenes.scene import make_scene
from grounded_ram.vocabulary.labelling import Labelling, Words, choose
from tests.truth_stages import Truth, with_masks

SIZE = (120, 160)
IMAGE = np.zeros((*SIZE, 3), np.uint8)
LABELLING = Labelling(PRESETS["standard"].ground_kinds)
TAGS = Tags.of(["car", "dog", "tree"])


class Boxes:
    """A detector that finds given boxes, all of one tag, with falling scores."""

    def __init__(self, boxes: Any) -> None:
        self.boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self.scores = np.linspace(0.9, 0.1, len(self.boxes)).astype(np.float32)
        self.thresholds: list[float] = []

    def detect(
        self, images: Sequence[Any], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        self.thresholds.append(threshold)
        found = sv.Detections(
            self.boxes,
            confidence=self.scores,
            class_id=np.ones(len(self.boxes), int),
            data={"class_name": np.full(len(self.boxes), tags[0].names[1])},
        )
        return [found.select(np.flatnonzero(self.scores > threshold))] * len(images)


def random_boxes(seed: int, count: int) -> Any:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (count, 2, 2)) * (SIZE[1], SIZE[0])
    return np.hstack([corners.min(1), corners.max(1)]).astype(np.float32)


def assert_apart(boxes: Any) -> None:
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clip(0).prod(-1)
    np.fill_diagonal(shared, 0)
    assert shared.max(initial=0) == 0
    assert (boxes[:, 2:] - boxes[:, :2]).min(initial=LEAST_SIDE) >= LEAST_SIDE - 1e-3
    assert (boxes >= 0).all()
    assert (boxes <= (SIZE[1], SIZE[0]) * 2).all()


def test_words_are_looked_for_and_labelled_as_they_are() -> None:
    found = words(300, LABELLING, ["car", "red", "dog", "automobile"])
    assert found[:2] == ("car", "dog")  # no place has "red", and an automobile is a car
    assert len(set(found)) == 300
    again = choose(LABELLING.merge_synonyms(Tags.of(found)), LABELLING)
    assert again.names == found
    assert words(300, LABELLING, ["car", "red", "dog", "automobile"]) == found


def test_more_words_than_there_are_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"at most \d{4} tags, for as many words are looked for, got 99999"
    ):
        words(99_999, LABELLING)


def test_the_tagger_looks_and_the_fixed_tags_are_said() -> None:
    scene = make_scene(7)
    truth = Truth(scene)
    said = FixedTags(truth, ["a", "b"]).tag([scene.image, scene.image])
    assert [tags.names for tags in said] == [("a", "b"), ("a", "b")]
    assert truth.calls == [("tag", 2)]


@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(1, 12))
def test_chosen_boxes_are_as_many_as_asked_for_and_share_no_pixel(
    seed: int, found: int, count: int
) -> None:
    given_boxes = random_boxes(seed, found)
    rows, boxes = apart(given_boxes, count, SIZE)
    assert len(rows) == len(boxes) == count
    assert_apart(boxes)
    if found:
        assert rows.max() < found


def test_the_best_boxes_that_lie_apart_are_chosen() -> None:
    given_boxes = np.array(
        [
            [0, 0, 160, 120],  # leaves no room
            [0, 0, 40, 40],
            [10, 10, 50, 50],  # shares pixels with that
            [60, 0, 64, 60],  # too narrow
            [40, 0, 80, 40],  # touches, and that is all
            [100, 80, 140, 110],
        ],
        np.float32,
    )
    rows, boxes = apart(given_boxes, 3, SIZE)
    assert rows.tolist() == [1, 4, 5]
    np.testing.assert_array_equal(boxes, given_boxes[[1, 4, 5]])


def test_a_grid_stands_in_where_too_few_lie_apart() -> None:
    rows, boxes = apart(np.array([[0, 0, 40, 40], [1, 1, 41, 41]], np.float32), 5, SIZE)
    assert rows.tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_array_equal(boxes, grid(5, SIZE))


def test_a_grid_that_does_not_fit_is_refused() -> None:
    assert_apart(grid(100, SIZE))
    with pytest.raises(InputError, match=r"1000 boxes do not fit .* 160 wide and 120 high"):
        grid(1000, SIZE)


@pytest.mark.parametrize("threshold", [0.0, 0.99])
@pytest.mark.parametrize("found", [0, 1, 40])
def test_as_many_boxes_are_found_as_wanted_whatever_the_threshold(
    found: int, threshold: float
) -> None:
    inner = Boxes(random_boxes(1, found))
    results = TopBoxes(inner, 6, 0.05).detect([IMAGE] * 2, [TAGS] * 2, threshold=threshold)
    assert inner.thresholds == [0.05]
    for boxes in results:
        assert len(boxes) == 6
        assert_apart(boxes.xyxy)
        names = [TAGS.names[row] for row in np.asarray(boxes.class_id)]
        assert boxes.data["class_name"].tolist() == names
        kept, gone = merge(boxes, iou=0.5, kinship=Words())
        assert (len(kept), gone) == (6, [])


def test_boxes_keep_their_own_scores() -> None:
    inner = Boxes([[0, 0, 20, 20], [5, 5, 25, 25], [60, 60, 90, 90]])
    (boxes,) = TopBoxes(inner, 2, 0.0).detect([IMAGE], [TAGS], threshold=0.5)
    np.testing.assert_array_equal(np.asarray(boxes.confidence), inner.scores[[0, 2]])


def test_a_few_times_as_many_boxes_pass_the_threshold() -> None:
    inner = Boxes(random_boxes(2, 100))
    threshold = threshold_for(inner, IMAGE, TAGS, 5)
    assert inner.thresholds == [0.0]
    assert np.count_nonzero(inner.scores > threshold) == 20
    assert threshold_for(Boxes([]), IMAGE, TAGS, 5) == 0.0


def test_ovals_fill_their_boxes() -> None:
    boxes = np.array([[10, 20, 50, 80], [60.4, 0, 63.2, 4]], np.float32)
    masks = ovals(boxes, SIZE).to_dense()
    assert masks.shape == (2, *SIZE)
    area = np.count_nonzero(masks, axis=(1, 2))
    np.testing.assert_allclose(area, [np.pi / 4 * 40 * 60, np.pi / 4 * 4 * 4], rtol=0.05)
    assert not masks[0, :20].any()
    assert not masks[0, :, 50:].any()
    assert masks[0, 50, 10]
    assert masks[0, 20, 30]
    assert ovals(np.zeros((0, 4)), SIZE).shape == (0, *SIZE)


def test_ovals_take_the_places_of_masks_that_were_cut() -> None:
    class Cutter:
        def segment(
            self, images: Sequence[Any], detections: Sequence[sv.Detections]
        ) -> list[sv.Detections]:
            return [with_masks(f, np.ones((len(f), *SIZE), bool), 0.7) for f in detections]

    (boxes,) = Boxes([[10, 10, 30, 30], [60, 60, 90, 90]]).detect([IMAGE], [TAGS], threshold=0)
    (found,) = OvalMasks(Cutter()).segment([IMAGE], [boxes])
    np.testing.assert_array_equal(found.xyxy, boxes.xyxy)
    np.testing.assert_array_equal(found.data["mask_score"], np.full(2, 0.7, np.float32))
    expected = replace(boxes, mask=ovals(boxes.xyxy, SIZE))
    np.testing.assert_array_equal(found.mask.to_dense(), expected.mask.to_dense())
