"""Deciding again must be what annotating anew would have been, and must run no network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import supervision as sv

from grounded_ram.annotation import Annotation, Reason, Tags, objects
from grounded_ram.errors import InputError
from grounded_ram.exploration import DECIDED, Exploration
from grounded_ram.images import Image
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene
from grounded_ram.vocabulary.edits import Edits
from tests.test_drafts import PICTURE, Stages

SEEDS = (1_500_101, 1_500_102, 1_500_103)


class Counting:
    """A stage that counts the calls of another's methods."""

    def __init__(self, stage: Any) -> None:
        self._stage = stage
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stage, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            return method(*arguments, **options)

        return counted


@pytest.fixture(scope="module")
def model() -> GroundedRAM:
    return GroundedRAM("tiny", device="cpu")


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    return [make_scene(seed, size=192).image for seed in SEEDS]


@pytest.fixture(scope="module")
def explored(model: GroundedRAM, pictures: list[Image]) -> list[Exploration]:
    return [model.explore(picture, color="rgb") for picture in pictures]


def assert_alike(a: Annotation, b: Annotation) -> None:
    """Compare what two annotations say; numbers but for the digits that a batch may move."""
    assert a.tags.names == b.tags.names
    assert a.ungrounded == b.ungrounded
    assert a.detections.data["class_name"].tolist() == b.detections.data["class_name"].tolist()
    np.testing.assert_array_equal(a.detections.xyxy, b.detections.xyxy)
    np.testing.assert_array_equal(a.masks.to_dense(), b.masks.to_dense())
    for column in ("tag_score", "box_score", "mask_score", "label_score", "mask_stability"):
        np.testing.assert_allclose(
            a.detections.data[column], b.detections.data[column], rtol=1e-5, err_msg=column
        )
    others = [
        [[name for name, _ in pairs] for pairs in one.detections.data["alternatives"]]
        for one in (a, b)
    ]
    assert others[0] == others[1]
    told = [[(r.name, r.reason, r.instead) for r in one.rejected] for one in (a, b)]
    assert told[0] == told[1]


def test_with_no_choice_the_labels_are_those_of_annotate(
    model: GroundedRAM, pictures: list[Image], explored: list[Exploration]
) -> None:
    found = 0
    for picture, one in zip(pictures, explored, strict=True):
        expected = model.annotate(picture, color="rgb")
        assert_alike(one.decide(), expected)
        assert one.decide().run == expected.run
        found += len(expected.detections)
    assert found > 5


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_another_box_threshold_gives_what_a_model_with_it_gives(
    threshold: float, pictures: list[Image], explored: list[Exploration]
) -> None:
    model = GroundedRAM("tiny", device="cpu", box_threshold=threshold)
    for picture, one in zip(pictures, explored, strict=True):
        expected = model.annotate(picture, color="rgb")
        assert_alike(one.decide(box_threshold=threshold), expected)
        assert one.decide(box_threshold=threshold).run == expected.run


def test_other_rules_give_what_a_model_with_them_gives(
    model: GroundedRAM, pictures: list[Image], explored: list[Exploration]
) -> None:
    rules = replace(model.preset.rules, least_pixels=600, crop_check="drop", mask_iou=0.3)
    other = GroundedRAM("tiny", device="cpu", rules=rules)
    for picture, one in zip(pictures, explored, strict=True):
        assert_alike(one.decide(rules=rules), other.annotate(picture, color="rgb"))


def test_a_higher_tag_threshold_leaves_the_tags_that_a_tagger_with_it_gives(
    pictures: list[Image], explored: list[Exploration]
) -> None:
    model = GroundedRAM("tiny", device="cpu", tag_threshold=0.9)
    for picture, one in zip(pictures, explored, strict=True):
        assert one.decide(tag_threshold=0.9).tags.names == (
            model.tag_batch([picture], color="rgb")[0].names
        )


def test_thresholds_of_single_tags_hold_at_any_other_threshold() -> None:
    scores = {"dog": 0.9, "cat": 0.9}
    stages = Stages(scores)
    model = GroundedRAM(
        "tiny", tagger=Limited(scores), detector=stages, segmenter=stages,
        vocabulary=Edits(thresholds={"cat": 0.2}), device="cpu",
    )  # fmt: skip
    assert model.explore(PICTURE).decide(tag_threshold=0.95).tags.names == ("cat",)


class Limited(Stages):
    """A tagger whose tags take thresholds of their own."""

    limits: dict[str, float]

    def with_thresholds(self, own: dict[str, float], others: float | None = None) -> Limited:
        return self

    def tag(self, images: Any, *, threshold: float | None = None) -> list[Tags]:
        return [Tags(tuple(self.scores), np.array([0.9, 0.9], np.float32), ("object",) * 2)]


def test_a_tag_keeps_its_score_and_kind_wherever_its_threshold_is() -> None:
    scores = {"cat": 0.9, "fog": 0.9, "moon": 0.9}
    stages = Stages(scores)
    tagger = Known(Tags(("cat", "fog"), np.array([0.7, 0.05], np.float32), ("object", "scene")))
    model = GroundedRAM(
        "tiny", tagger=tagger, detector=stages, segmenter=stages, device="cpu",
        vocabulary=Edits(thresholds={"cat": 0.8}),
    )  # fmt: skip
    one = model.explore(PICTURE)
    assert one.tags.names == ("cat",)
    assert one.fired() == frozenset()
    found = one.decide(also=["cat", "fog", "moon"]).tags
    assert found.names == ("moon", "cat", "fog")
    np.testing.assert_allclose(found.scores, [1, 0.7, 0.05])
    assert found.kinds == ("object", "object", "scene")


class Known(Limited):
    """A tagger that says the same of every picture, where its thresholds are low enough."""

    def __init__(self, tags: Tags) -> None:
        self.tags, self.own = tags, dict[str, float]()

    def with_thresholds(self, own: dict[str, float], others: float | None = None) -> Known:
        limited = Known(self.tags)
        limited.own = {"fog": 0.5, **own}
        return limited

    def tag(self, images: Any, *, threshold: float | None = None) -> list[Tags]:
        limits = np.array([self.own.get(name, threshold or 0) for name in self.tags.names])
        return [self.tags.take(np.flatnonzero(self.tags.scores > limits).tolist())]


def test_deciding_again_runs_no_network(pictures: list[Image]) -> None:
    plain = GroundedRAM("tiny", device="cpu")
    stages = {name: Counting(getattr(plain, name)) for name in ("tagger", "detector", "segmenter")}
    one = GroundedRAM("tiny", device="cpu", **stages).explore(pictures[0], color="rgb")  # type: ignore[arg-type]
    before = {name: stage.calls for name, stage in stages.items()}
    assert before == {"tagger": 2, "detector": 1, "segmenter": 1}
    first = one.decide()
    name = str(first.detections.data["class_name"][0])
    one.decide(box_threshold=0.6, without=[name], tag_threshold=0.9)
    assert {name: stage.calls for name, stage in stages.items()} == before
    one.decide(also=["zebra crossing"])
    one.decide(also=["zebra crossing"])
    assert stages["detector"].calls == 2
    lower = one.decide(tag_threshold=0.11)
    assert len(lower.tags) > len(first.tags) + 5
    looks = stages["detector"].calls
    assert 2 < looks < 2 + len(lower.tags) / 5  # many names at a time
    one.decide(tag_threshold=0.11)
    assert stages["detector"].calls == looks


def test_what_is_found_at_a_lower_tag_threshold_depends_on_no_earlier_one(
    model: GroundedRAM, pictures: list[Image]
) -> None:
    one, other = (model.explore(pictures[1], color="rgb") for _ in range(2))
    for threshold in (0.5, 0.3, 0.2):
        one.decide(tag_threshold=threshold)
    assert_alike(one.decide(tag_threshold=0.11), other.decide(tag_threshold=0.11))


def test_a_name_switched_off_leaves_no_trace(explored: list[Exploration]) -> None:
    first = explored[0].decide()
    name = str(first.detections.data["class_name"][0])
    without = explored[0].decide(without=[name])
    assert name in first.tags.names
    assert name not in without.tags.names
    assert name not in without.detections.data["class_name"].tolist()
    assert name not in {one.name for one in without.rejected}
    assert without.run[DECIDED] == {"without": [name], "also": []}


def test_a_box_goes_to_its_next_best_name_when_the_best_is_switched_off() -> None:
    both = Two()
    model = GroundedRAM("tiny", tagger=both, detector=both, segmenter=both, device="cpu")
    one = model.explore(PICTURE)
    assert one.decide().detections.data["class_name"].tolist() == ["dog"]
    other = one.decide(without=["dog"])
    assert other.detections.data["class_name"].tolist() == ["cat"]
    np.testing.assert_allclose(other.detections.confidence, [0.6])
    assert one.decide(without=["dog"], box_threshold=0.65).ungrounded == {"cat": Reason.NO_BOX}


class Two(Stages):
    """One box that is a dog, or else a cat."""

    def __init__(self) -> None:
        super().__init__({"dog": 0.8, "cat": 0.6})

    def detect(self, images: Any, tags: Any, *, threshold: float) -> list[sv.Detections]:
        (found,) = super().detect(images, tags, threshold=threshold)
        others = objects([(("cat", 0.6),)])
        return [replace(found.select([0]), data={**found.select([0]).data, "alternatives": others})]


def test_a_word_of_the_users_own_is_found_whatever_the_order_of_asking(model: GroundedRAM) -> None:
    scene = make_scene(SEEDS[0], size=192)
    truth = [thing.name for thing in scene.objects]
    fired = model.annotate(scene.image, color="rgb").tags.names
    words = [*dict.fromkeys(truth)][:2]
    results = []
    for order in (words, words[::-1]):
        one = model.explore(scene.image, tags=["moon"], color="rgb")
        for word in order:
            one.decide(also=[word])
        results.append(one.decide(also=words))
    assert set(words) <= {*results[0].tags.names}
    assert fired
    assert_alike(*results)
    assert len(results[0].detections) > 0


def test_what_the_preset_does_not_look_for_is_found_when_it_is_asked_for() -> None:
    model = GroundedRAM("tiny", device="cpu")
    one = model.explore(make_scene(SEEDS[0], size=192).image, color="rgb")
    scene = next(name for name, kind in zip(one.tags.names, one.tags.kinds, strict=True)
                 if kind == "scene")  # fmt: skip
    assert one.decide(also=[scene]).ungrounded.get(scene) is not Reason.KIND


def test_the_tags_that_did_not_fire_are_offered_too(explored: list[Exploration]) -> None:
    for one in explored:
        assert one.fired() == set(one.decide().tags.names)
        assert one.fired() < set(one.tags.names)
        assert one.fired(0.9) == set(one.decide(tag_threshold=0.9).tags.names)
        assert (np.diff(one.tags.scores) <= 0).all()


def test_a_picture_of_nothing_is_explored_too(model: GroundedRAM) -> None:
    one = model.explore(np.full((64, 96, 3), 127, np.uint8), tags=[])
    assert len(one.decide().detections) == 0
    assert one.tags.names == ()
    assert one.decide(also=["dog"]).tags.names == ("dog",)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"box_threshold": 0.01}, "box_threshold: expected a number from 0.15 to 1, got 0.01"),
        ({"box_threshold": 2}, "box_threshold"),
        ({"box_threshold": "high"}, "box_threshold"),
        ({"tag_threshold": -1}, "tag_threshold"),
        ({"also": "dog"}, "also: expected names"),
        ({"also": [""]}, "also: expected names"),
        ({"without": "scatter"}, "without: expected names"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(
    wrong: dict[str, Any], message: str, explored: list[Exploration]
) -> None:
    with pytest.raises(InputError, match=message):
        explored[0].decide(**wrong)
