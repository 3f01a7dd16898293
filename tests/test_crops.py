from __future__ import annotations

import numpy as np
import supervision as sv

from grounded_ram.annotation import Tags
from grounded_ram.crops import crop, crop_scores
from grounded_ram.images import Image
from grounded_ram.vocabulary.edits import Edits
from grounded_ram.vocabulary.labelling import Labelling, Words

IMAGE = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)


class Knows:
    """A tagger that knows some tags, and how sure it is of them in each picture it is shown."""

    def __init__(self, *scores: dict[str, float]) -> None:
        self.scores = scores
        self.seen: list[Image] = []

    def __call__(self, images: list[Image]) -> list[Tags]:
        first = len(self.seen)
        self.seen += images
        return [
            Tags(tuple(of), np.array([*of.values()], np.float32), ("object",) * len(of))
            for of in self.scores[first : len(self.seen)]
        ]


def found(*names: str) -> sv.Detections:
    boxes = np.tile(np.array([10, 10, 30, 20], np.float32), (len(names), 1))
    return sv.Detections(boxes.reshape(-1, 4), data={"class_name": np.array(names, str)})


def test_a_crop_is_the_box_and_a_margin_inside_the_image() -> None:
    box = np.array([10.2, 10.0, 29.6, 20.0], np.float32)
    np.testing.assert_array_equal(crop(IMAGE, box, 0.0), IMAGE[10:20, 10:30])
    np.testing.assert_array_equal(crop(IMAGE, box, 0.5), IMAGE[5:25, 0:40])
    np.testing.assert_array_equal(crop(IMAGE, box, 9.0), IMAGE)
    assert crop(IMAGE, np.array([59.5, 39.5, 60, 40], np.float32), 0.0).shape == (1, 1, 3)


def test_each_label_is_scored_in_its_own_crop() -> None:
    tagger = Knows({"tree": 0.9, "car": 0.2}, {"tree": 0.1, "car": 0.7})
    scores = crop_scores(tagger, IMAGE, found("car", "car"), Words(), margin=0.5)
    np.testing.assert_allclose(scores, [0.2, 0.7], rtol=1e-6)
    assert [one.shape for one in tagger.seen] == [(20, 40, 3)] * 2


def test_kinds_and_synonyms_of_a_label_speak_for_it_and_not_what_it_is_a_kind_of() -> None:
    tags = {"vehicle": 0.9, "sedan": 0.6, "automobile": 0.5, "car": 0.3}  # best first
    scores = crop_scores(Knows(tags, tags), IMAGE, found("car", "vehicle"), Words(), margin=0.0)
    np.testing.assert_allclose(scores, [0.6, 0.9], rtol=1e-6)


def test_a_label_that_the_tagger_does_not_know_has_no_score() -> None:
    scores = crop_scores(Knows({"tree": 0.9}), IMAGE, found("zebra"), Words(), margin=0.0)
    assert np.isnan(scores).tolist() == [True]


def test_no_objects_are_not_looked_at() -> None:
    tagger = Knows()
    assert crop_scores(tagger, IMAGE, found(), Words(), margin=0.0).shape == (0,)
    assert tagger.seen == []


def test_a_label_that_collects_tags_is_confirmed_by_each_of_them() -> None:
    edits = Edits(
        classes={"hound": ("dog",), "drinkware": ("cup", "bottle")}, rename={"hound": "Hund"}
    )
    tags = {"puppy": 0.9, "hound": 0.8, "bottle": 0.7, "cup": 0.1, "drinkware": 0.05}
    labels = Labelling((), edits)
    given = found("Hund", "drinkware")
    scores = crop_scores(Knows(tags, tags), IMAGE, given, labels, margin=0.0)
    np.testing.assert_allclose(scores, [0.9, 0.7], rtol=1e-6)


def test_very_many_crops_are_looked_at_a_few_at_a_time() -> None:
    names = ["car", "tree"] * 20
    tagger = Knows(*({name: (row + 1) / 100} for row, name in enumerate(names)))
    scores = crop_scores(tagger, IMAGE, found(*names), Words(), margin=0.0)
    np.testing.assert_allclose(scores, np.arange(1, 41) / 100, rtol=1e-6)
