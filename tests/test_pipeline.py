from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import PIL.Image
import pytest
import supervision as sv
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grounded_ram.annotation import Annotation, Reason, Tags
from grounded_ram.downloads import ASSETS
from grounded_ram.errors import InputError, UnknownNameError, WeightsError
from grounded_ram.images import Image, load_image, load_same
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.presets import PRESETS
from grounded_ram.registry import BUILTIN
from grounded_ram.rules import CropCheck, Rules
from grounded_ram.scenes.catalog import FURTHER, VOCABULARY
from grounded_ram.scenes.scene import Scene, make_scene
from grounded_ram.vocabulary.edits import Edits
from grounded_ram.weights import CHECKPOINTS, Checkpoint, WeightFile, load_state_dict
from tests.colours import Colours, colours_model, draw
from tests.truth_stages import Truth, detections, with_masks

TINY = PRESETS["tiny"]
NO_KINDS = replace(TINY, ground_kinds=())


def first_scene(*, objects: int, size: int = 128) -> Scene:
    """Draw the first scene with so many objects, no two of a name."""
    for seed in range(1000):
        scene = make_scene(seed, size=size)
        if len(scene.objects) == objects == len({thing.name for thing in scene.objects}):
            return scene
    raise AssertionError("no such scene")


EMPTY, PAIR, CROWD = first_scene(objects=0), first_scene(objects=2), first_scene(objects=4, size=96)
PICTURES = [CROWD.image, EMPTY.image, PAIR.image]


def true_model(**options: object) -> tuple[GroundedRAM, Truth]:
    truth = Truth(EMPTY, PAIR, CROWD)
    stages = {"tagger": truth, "detector": truth, "segmenter": truth, **options}
    return GroundedRAM("tiny", device="cpu", **stages), truth  # type: ignore[arg-type]


def assert_same(a: Annotation, b: Annotation) -> None:
    """Compare every value of two annotations, to the last bit."""
    assert a.image == b.image
    assert (a.tags.names, a.tags.kinds, a.ungrounded, a.run) == (
        (b.tags.names, b.tags.kinds, b.ungrounded, b.run)
    )
    np.testing.assert_array_equal(a.pixels, b.pixels)
    np.testing.assert_array_equal(a.tags.scores, b.tags.scores)
    assert objects(a) == objects(b)
    np.testing.assert_array_equal(a.detections.class_id, b.detections.class_id)


def objects(annotation: Annotation) -> list[tuple[object, ...]]:
    """List the objects without the number of their class, each column to the last bit."""
    found = annotation.detections
    columns = [found.data[key] for key in ("class_name", "tag_score", "box_score", "mask_score")]
    masks = [mask.tobytes() for mask in annotation.masks.to_dense()]
    return list(zip(map(tuple, found.xyxy.tolist()), *columns, masks, strict=True))


class Fixed:
    """A detector that returns what it is told, and a segmenter that fills boxes or leaves them."""

    def __init__(self, *rows: tuple[str, float, object], fills: bool = True) -> None:
        self.rows = rows
        self.fills = fills

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        self.threshold = threshold
        return [detections([(of_image, *row) for row in self.rows]) for of_image in tags]

    def segment(
        self, images: Sequence[Image], found: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        return [self._fill(image, one) for image, one in zip(images, found, strict=True)]

    def _fill(self, image: Image, found: sv.Detections) -> sv.Detections:
        masks = np.zeros((len(found), *image.shape[:2]), bool)
        for mask, (left, top, right, bottom) in zip(masks, found.xyxy.astype(int), strict=True):
            mask[top:bottom, left:right] = self.fills
        return with_masks(found, masks)


# What happens between the stages


def test_the_truth_comes_out_as_it_went_in() -> None:
    model, _ = true_model(rules=Rules(hole=0, island=0))  # a drawn mask may have a hole
    found = model.annotate(CROWD.image, color="rgb")
    tags, truth = CROWD.tags, {thing.name: thing for thing in CROWD.objects}
    synonyms = {"automobile", "bike", "human", "icecream", "kitty", "plane"}
    assert set(found.tags.names) == set(tags.names) - synonyms
    assert sorted(found.detections.data["class_name"]) == sorted(truth)
    for row, name in enumerate(found.detections.data["class_name"]):
        assert found.tags.names[found.detections.class_id[row]] == name
        np.testing.assert_array_equal(found.detections.xyxy[row], truth[name].box_xyxy)
        np.testing.assert_array_equal(found.masks[row], truth[name].mask)
    assert found.rejected == ()
    assert found.not_found == ()
    kinds = set(found.tags.names) & set(FURTHER)  # of the things that were found
    assert kinds
    assert {found.ungrounded[name] for name in kinds} == {Reason.SAME_OBJECT}
    others = set(found.tags.names) - set(truth) - kinds
    assert others
    assert {found.ungrounded[name] for name in others} == {Reason.KIND}
    np.testing.assert_array_equal(found.pixels, CROWD.image)


def test_only_kinds_that_are_grounded_are_looked_for() -> None:
    model, _ = true_model()
    kinds = dict(zip(CROWD.tags.names, CROWD.tags.kinds, strict=True))
    assert set(kinds.values()) > {"object"}  # the tagger saw more than things
    found = model.annotate(CROWD.image, color="rgb").detections.data["class_name"]
    assert {kinds[name] for name in found} == {"object"}


def test_the_scores_of_all_three_stages_are_kept() -> None:
    tags = Tags(("red", "car"), np.array([0.75, 0.5], np.float32), ("attribute", "object"))
    fixed = Fixed(("car", 0.25, (1, 2, 30, 40)))
    model, _ = true_model(detector=fixed, segmenter=fixed)
    found = model.annotate(PAIR.image, tags=tags).detections
    columns = [found.data[key].tolist() for key in ("tag_score", "box_score", "mask_score")]
    assert columns == [[0.5], [0.25], [np.float32(0.8)]]
    assert found.confidence.tolist() == [0.25]
    assert found.class_id.tolist() == [1]  # the row among all tags, not among those looked for


def test_each_object_has_the_score_of_its_own_tag() -> None:
    tags = Tags(("bus", "car"), np.array([0.75, 0.5], np.float32), ("object", "object"))
    fixed = Fixed(("car", 0.9, (0, 0, 30, 40)), ("bus", 0.25, (50, 50, 90, 90)))
    model, _ = true_model(detector=fixed, segmenter=fixed)
    found = model.annotate(PAIR.image, tags=tags).detections
    pairs = zip(found.data["class_name"].tolist(), found.data["tag_score"].tolist(), strict=True)
    assert list(pairs) == [("car", 0.5), ("bus", 0.75)]


def test_boxes_are_merged_before_they_are_segmented() -> None:
    fixed = Fixed(
        ("car", 0.5, (0, 0, 40, 40)), ("car", 0.8, (0, 0, 40, 30)), ("bus", 0.6, (0, 0, 40, 29))
    )
    model, _ = true_model(detector=fixed, segmenter=fixed)
    found = model.annotate(PAIR.image, tags=["bus", "car"])
    assert found.detections.data["class_name"].tolist() == ["car"]
    assert found.ungrounded == {"bus": Reason.SAME_OBJECT}  # no object carries its name
    assert [name for name, _ in found.detections.data["alternatives"][0]] == ["bus"]
    assert [(one.name, one.reason) for one in found.rejected] == [
        ("bus", Reason.SAME_OBJECT),
        ("car", Reason.SAME_NAME),
    ]
    everything = {"nms_iou": 1, "rules": Rules(contained=1, group=1)}
    keep = GroundedRAM(TINY, device="cpu", detector=fixed, segmenter=fixed, **everything)
    assert len(keep.annotate(PAIR.image, tags=["bus", "car"]).detections) == 3


def test_ungrounded_tags_come_in_the_order_of_the_tags() -> None:
    model, _ = true_model()
    there = PAIR.objects[0].name
    found = model.annotate(PAIR.image, color="rgb", tags=["zebra", there, "abacus"])
    assert list(found.ungrounded.items()) == [
        ("zebra", Reason.NO_BOX),
        ("abacus", Reason.NO_BOX),
    ]
    assert set(found.detections.data["class_name"]) == {there}


def test_an_object_with_an_empty_mask_is_dropped_and_told() -> None:
    fixed = Fixed(("car", 0.8, (0, 0, 40, 30)), fills=False)
    model, _ = true_model(detector=fixed, segmenter=fixed)
    found = model.annotate(PAIR.image, tags=["car"])
    assert len(found.detections) == 0
    assert found.ungrounded == {"car": Reason.NO_BOX_LEFT}
    (gone,) = found.rejected
    assert (gone.name, gone.reason, gone.box_xyxy) == ("car", Reason.SMALL, (0, 0, 40, 30))
    assert found.to_coco()["annotations"] == []


class Doubts(Truth):
    """A tagger that, of a part of a picture, says what it is told."""

    def __init__(self, says: dict[str, float], *scenes: Scene) -> None:
        super().__init__(*scenes)
        self.says = says
        self.shown: list[tuple[int, ...]] = []

    def tag(self, images: Sequence[Image], *, threshold: float | None = None) -> list[Tags]:
        if threshold != 0.0:
            return super().tag(images, threshold=threshold)
        self.shown += [image.shape[:2] for image in images]
        scores = np.array(list(self.says.values()), np.float32)
        return [Tags(tuple(self.says), scores, ("object",) * len(scores)) for _ in images]


@pytest.mark.parametrize("check", ["off", "flag", "drop"])
def test_a_second_look_is_kept_or_drops_what_it_contradicts(check: CropCheck) -> None:
    first, second = (thing.name for thing in PAIR.objects)
    tagger = Doubts({first: 0.25, second: 0.64}, PAIR)
    model, _ = true_model(tagger=tagger, rules=Rules(crop_check=check))
    found = model.annotate(PAIR.image, color="rgb")
    names = found.detections.data["class_name"].tolist()
    told = dict(zip(names, found.detections.data["crop_score"].tolist(), strict=True))
    label = dict(zip(names, found.detections.data["label_score"].tolist(), strict=True))
    assert len(tagger.shown) == (0 if check == "off" else 2)
    if check == "off":
        assert np.isnan(list(told.values())).all()
        assert label[first] == pytest.approx(0.9**0.5)  # of tag 1 and box 0.9
    if check == "flag":
        assert told == {first: 0.25, second: pytest.approx(0.64)}
        assert label[first] == pytest.approx((0.9 * 0.25) ** (1 / 3))
    if check == "drop":
        assert names == [second]
        assert [(one.name, one.reason) for one in found.rejected] == [(first, Reason.CONTRADICTED)]
        assert found.ungrounded[first] is Reason.NO_BOX_LEFT
    assert found.run["rules"]["crop_check"] == check


def test_words_of_the_users_own_are_checked_only_where_the_tagger_knows_them() -> None:
    fixed = Fixed(("zebra", 0.8, (0, 0, 40, 30)), ("car", 0.8, (60, 60, 90, 90)))
    tagger = Doubts({"car": 0.1}, PAIR)
    model, _ = true_model(
        tagger=tagger, detector=fixed, segmenter=fixed, rules=Rules(crop_check="drop")
    )
    found = model.annotate(PAIR.image, tags=["zebra", "car"])
    assert found.detections.data["class_name"].tolist() == ["zebra"]
    assert np.isnan(found.detections.data["crop_score"]).all()


def test_objects_of_a_low_combined_score_are_dropped() -> None:
    fixed = Fixed(("car", 0.64, (0, 0, 40, 30)), ("bus", 0.8, (60, 60, 90, 90)))
    model, _ = true_model(detector=fixed, segmenter=fixed, rules=Rules(least_score=0.85))
    found = model.annotate(PAIR.image, tags=["bus", "car"])
    assert found.detections.data["class_name"].tolist() == ["bus"]
    assert [(one.name, one.reason) for one in found.rejected] == [("car", Reason.LOW_SCORE)]


class Wavers(Fixed):
    """Finds one box, under a name of score 0.8 and under others."""

    def __init__(self, name: str, *others: tuple[str, float]) -> None:
        super().__init__((name, 0.8, (0, 0, 40, 30)))
        self.others = others

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        found = super().detect(images, tags, threshold=threshold)
        for one in found:
            one.data["alternatives"] = [self.others]
        return found


def test_a_box_takes_the_most_specific_of_its_names() -> None:
    """The table knows cars for vehicles; what the box might be called stays on record."""
    wavers = Wavers("vehicle", ("car", 0.5), ("tree", 0.3))
    model, _ = true_model(detector=wavers, segmenter=wavers)
    found = model.annotate(PAIR.image, tags=["vehicle", "car", "tree"])
    assert found.detections.data["class_name"].tolist() == ["car"]
    assert found.detections.confidence.tolist() == [np.float32(0.8)]  # there is something
    assert found.detections.class_id.tolist() == [1]
    (others,) = found.detections.data["alternatives"]
    assert others == (("vehicle", pytest.approx(0.8)), ("tree", 0.3))
    assert found.ungrounded == {"vehicle": Reason.SAME_OBJECT, "tree": Reason.SAME_OBJECT}
    (item,) = found.to_coco()["annotations"]
    assert item["alternatives"] == {"vehicle": 0.8, "tree": 0.3}


def test_other_names_are_called_as_labels_are_called() -> None:
    wavers = Wavers("car", ("tree", 0.5), ("dog", 0.4))
    options = {
        "detector": wavers,
        "segmenter": wavers,
        "vocabulary": Edits(rename={"dog": "hound"}),
    }
    found = true_model(**options)[0].annotate(PAIR.image, tags=Tags.of(["car", "dog", "tree"]))
    assert [name for name, _ in found.detections.data["alternatives"][0]] == ["tree", "hound"]
    assert found.ungrounded["hound"] is Reason.SAME_OBJECT


def test_a_score_of_nothing_at_all_makes_a_label_score_of_nearly_nothing() -> None:
    first, second = (thing.name for thing in PAIR.objects)
    tagger = Doubts({first: 0.0, second: 1.0}, PAIR)
    model, _ = true_model(tagger=tagger, rules=Rules(crop_check="flag"))
    found = model.annotate(PAIR.image, color="rgb").detections
    scores = dict(zip(found.data["class_name"].tolist(), found.data["label_score"], strict=True))
    assert 0 < scores[first] < 0.01 < scores[second]


def test_masks_of_one_object_under_two_names_are_one_label() -> None:
    """The boxes overlap too little to say so before they are cut."""

    class Same(Fixed):
        def _fill(self, image: Image, found: sv.Detections) -> sv.Detections:
            masks = np.zeros((len(found), *image.shape[:2]), bool)
            masks[:, 10:30, 10:30] = True
            return with_masks(found, masks)

    same = Same(("car", 0.8, (5, 5, 50, 50)), ("tree", 0.6, (5, 5, 35, 35)))
    model, _ = true_model(detector=same, segmenter=same)
    found = model.annotate(PAIR.image, tags=["car", "tree"])
    assert found.detections.data["class_name"].tolist() == ["car"]
    assert found.detections.xyxy.tolist() == [[10, 10, 30, 30]]  # the box fits the mask
    assert found.ungrounded == {"tree": Reason.SAME_OBJECT}


# Nothing


def test_no_images() -> None:
    model, truth = true_model()
    assert model.annotate_batch([]) == []
    assert model.annotate_batch([], tags=["car"]) == []
    assert truth.calls == []


@pytest.mark.parametrize("tags", [[], Tags.of([]), Tags.of(["grass"], kind="scene")])
def test_no_tags_to_look_for_ask_neither_detector_nor_segmenter(tags: list[str] | Tags) -> None:
    model, truth = true_model()
    found = model.annotate(PAIR.image, tags=tags)
    assert truth.calls == []
    assert found.detections.data["mask_score"].shape == (0,)
    assert found.masks.shape == (0, 128, 128)
    assert found.not_found == ()


def test_no_boxes_ask_no_segmenter() -> None:
    model, truth = true_model()
    found = model.annotate(PAIR.image, color="rgb", tags=["zebra"])
    assert truth.calls == [("detect", 1)]
    assert len(found.detections) == 0
    assert found.not_found == ("zebra",)
    assert found.to_coco()["annotations"] == []


def test_an_image_with_nothing_sits_between_others_in_a_batch() -> None:
    model, truth = true_model()
    found = model.annotate_batch(PICTURES, color="rgb")
    assert [len(one.detections) for one in found] == [4, 0, 2]
    assert truth.calls == [("tag", 3), ("detect", 2), ("segment", 2)]


# Batches, order, threads, processes


@pytest.mark.parametrize("tags", [None, ["car", PAIR.objects[0].name, CROWD.objects[1].name]])
def test_a_batch_gives_what_single_images_give(tags: list[str] | None) -> None:
    model, _ = true_model()
    batch = model.annotate_batch(PICTURES, tags=tags, color="rgb")
    for image, one in zip(PICTURES, batch, strict=True):
        assert_same(one, model.annotate(image, tags=tags, color="rgb"))
    for one, other in zip(
        batch, model.annotate_batch(PICTURES[::-1], tags=tags, color="rgb")[::-1], strict=True
    ):
        assert_same(one, other)


def test_a_batch_may_be_one_array_or_any_iterable() -> None:
    model, _ = true_model()
    same_size = np.stack([PAIR.image, EMPTY.image])
    tensor = torch.from_numpy(same_size).permute(0, 3, 1, 2)
    for images in (same_size, tensor, iter([PAIR.image, EMPTY.image])):
        assert [len(a.detections) for a in model.annotate_batch(images, color="rgb")] == [2, 0]


def test_a_pickled_model_makes_the_same_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = replace(TINY, name="mine", ground_kinds=("object", "scene"))
    model = GroundedRAM(mine, device="cpu", segmenter=Fixed(), box_threshold=0.4, max_pixels=9)
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "nonsense")
    copy = pickle.loads(pickle.dumps(model))
    assert repr(copy) == repr(model)
    assert copy.preset == model.preset
    with pytest.raises(InputError, match="9"):
        copy.annotate(PIL.Image.new("RGB", (5, 5)))


# What the caller gives


def test_the_preset_comes_from_the_environment_else_standard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GROUNDED_RAM_PRESET", raising=False)
    assert GroundedRAM(device="cpu").preset.name == "standard"
    monkeypatch.setenv("GROUNDED_RAM_PRESET", "tiny")
    assert GroundedRAM(device="cpu").preset == TINY
    assert "ram:tiny, grounding-dino:tiny, sam:tiny; cpu, float32" in repr(
        GroundedRAM(device="cpu")
    )


@pytest.mark.parametrize("stage", ["tagger", "detector", "segmenter"])
@pytest.mark.parametrize(("name", "error"), [("nope:tiny", UnknownNameError), ("", InputError)])
def test_a_wrong_backend_fails_before_any_image(
    stage: str, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        GroundedRAM("tiny", **{stage: name})  # type: ignore[arg-type]


def test_a_wrong_preset_or_device_fails_before_any_image() -> None:
    with pytest.raises(UnknownNameError, match="'tiny'"):
        GroundedRAM("tinny")
    with pytest.raises(InputError, match="device"):
        GroundedRAM("tiny", device="abacus")
    with pytest.raises(InputError, match="dtype"):
        GroundedRAM("tiny", device="cpu", dtype="float7")


@pytest.mark.parametrize("threshold", ["tag_threshold", "box_threshold", "nms_iou"])
@pytest.mark.parametrize("value", [-0.1, 1.01, float("nan"), "0.5"])
def test_thresholds_lie_in_0_to_1(threshold: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"{threshold}: expected a number in \[0, 1\]"):
        GroundedRAM("tiny", device="cpu", **{threshold: value})  # type: ignore[arg-type]


def test_thresholds_are_used_and_recorded() -> None:
    fixed = Fixed()
    model, _ = true_model(
        detector=fixed, tag_threshold=np.float32(0.25), box_threshold=0, nms_iou=1
    )
    run = model.annotate(PAIR.image, color="rgb").run
    assert fixed.threshold == 0
    assert [run[key] for key in ("tag_threshold", "box_threshold", "nms_iou")] == [0.25, 0, 1]
    assert model.preset.nms_iou == 1
    assert TINY.nms_iou != 1


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("car, tree", r"write tags=\['car', 'tree'\]"),
        (["car", ""], "got ''"),
        (["car", 3], "got 3"),
        (["car", "car"], "twice: car"),
    ],
)
def test_tags_that_cannot_be_used_are_refused(tags: Sequence[str], message: str) -> None:
    model, _ = true_model()
    with pytest.raises(InputError, match=message):
        model.annotate(PAIR.image, tags=tags)
    with pytest.raises(InputError, match=message):
        model.annotate_batch([], tags=tags)


@pytest.mark.parametrize(
    "image", ["a.jpg", Path("a.jpg"), b"GIF89a", PAIR.image, PIL.Image.new("L", (2, 2))]
)
def test_one_image_is_no_batch(image: object) -> None:
    model, _ = true_model()
    with pytest.raises(InputError, match=r"annotate\(\) takes one"):
        model.annotate_batch(image)  # type: ignore[arg-type]


def test_an_image_that_cannot_be_read_is_told_by_its_place() -> None:
    model, _ = true_model()
    with pytest.raises(InputError, match=r"image 1 of the batch.*missing\.jpg"):
        model.annotate_batch([PAIR.image, "missing.jpg"], color="rgb")
    with pytest.raises(InputError, match=r"^(?!image 0).*missing\.jpg"):
        model.annotate("missing.jpg")


def test_names_are_looked_for_whatever_kinds_the_preset_grounds() -> None:
    model = GroundedRAM(NO_KINDS, device="cpu", detector=Fixed(), segmenter=Fixed())
    assert model.annotate(PAIR.image, tags=["car"]).ungrounded == {"car": Reason.NO_BOX}
    assert model.annotate(PAIR.image, tags=Tags.of(["car"])).ungrounded == {"car": Reason.KIND}


def test_a_tag_that_no_box_can_show_is_looked_for_only_when_named() -> None:
    """Fixed() finds nothing, so that what was looked for comes back as not found."""
    seen = Tags.of(["equipment", "car", "product"])  # things, but two are too general
    model = GroundedRAM(TINY, device="cpu", detector=Fixed(), segmenter=Fixed())
    found = model.annotate(PAIR.image, tags=seen)
    assert found.not_found == ("car",)
    assert found.ungrounded["equipment"] is Reason.POOR
    assert model.annotate(PAIR.image, tags=list(seen.names)).not_found == seen.names


def test_synonyms_are_looked_for_under_one_name() -> None:
    seen = Tags(("automobile", "car"), np.float32([0.9, 0.6]), ("object", "object"))
    detector = Fixed(("car", 0.9, [10, 10, 60, 60]))
    model = GroundedRAM(TINY, device="cpu", detector=detector, segmenter=Fixed())
    found = model.annotate(PAIR.image, tags=seen)
    assert found.tags.names == ("car",)
    assert found.detections.data["tag_score"].tolist() == [np.float32(0.9)]


def test_a_vocabulary_of_the_user_s_own_maps_labels_to_classes(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.yaml"
    path.write_text("classes:\n  vehicle: [vehicle]\n  person:\n")
    seen = Tags.of(["sedan", "bus", "umbrella"])
    detector = Fixed(
        ("sedan", 0.9, [10, 10, 60, 60]),
        ("bus", 0.8, [11, 10, 60, 60]),  # the same object: one label, the better score
        ("bus", 0.7, [90, 90, 120, 120]),
    )
    model = GroundedRAM(TINY, device="cpu", detector=detector, segmenter=Fixed(), vocabulary=path)
    found = model.annotate(PAIR.image, tags=seen)
    assert found.tags.names == ("vehicle", "umbrella")
    assert found.detections.data["class_name"].tolist() == ["vehicle", "vehicle"]
    assert found.detections.data["box_score"].tolist() == [np.float32(0.9), np.float32(0.7)]
    assert found.ungrounded == {"umbrella": Reason.NO_CLASS}
    again = pickle.loads(pickle.dumps(model)).annotate(PAIR.image, tags=seen)
    assert again.tags.names == found.tags.names


def test_a_vocabulary_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="expected a path or Edits, got dict"):
        GroundedRAM(TINY, vocabulary={"block": ["dog"]})  # type: ignore[arg-type]


def test_classes_are_looked_for_without_a_tagger() -> None:
    edits = Edits(classes={"vehicle": ("car", "bus"), "gnome": ("garden gnome",)}, ask="classes")
    detector = Fixed(("garden gnome", 0.9, [10, 10, 60, 60]), ("car", 0.8, [80, 80, 120, 120]))
    model = GroundedRAM(TINY, device="cpu", detector=detector, segmenter=Fixed(), vocabulary=edits)
    found = model.annotate(PAIR.image)
    assert set(found.tags.names) == {"vehicle", "gnome"}
    assert found.detections.data["class_name"].tolist() == ["gnome", "vehicle"]
    assert found.run["tagger"] is None


def test_single_tags_have_thresholds_of_their_own() -> None:
    seen = GroundedRAM(TINY, device="cpu").annotate(CROWD.image, color="rgb").tags
    surest = seen.names[0]
    edits = Edits(thresholds={surest: 1.0})
    model = GroundedRAM(TINY, device="cpu", vocabulary=edits)
    assert model.annotate(CROWD.image, color="rgb").tags.names == seen.names[1:]
    low = GroundedRAM(TINY, device="cpu", vocabulary=edits, tag_threshold=0.001)
    assert surest not in low.annotate(CROWD.image, color="rgb").tags.names
    assert len(low.annotate(CROWD.image, color="rgb").tags) > len(seen)
    true, _ = true_model(vocabulary=edits)
    with pytest.raises(InputError, match=r"Truth.* has no method with_thresholds"):
        true.annotate(CROWD.image, color="rgb")


def test_a_backend_that_breaks_its_contract_is_named() -> None:
    class Silent:
        def detect(self, images: object, tags: object, *, threshold: float) -> None:
            return None

    model, _ = true_model(detector=Silent())
    with pytest.raises(
        InputError, match=r"detector 'tests.test_pipeline.*Silent': expected a list"
    ):
        model.annotate(PAIR.image, color="rgb")


def test_the_facts_of_the_image_are_kept(tmp_path: Path) -> None:
    model, _ = true_model()
    path = tmp_path / "pair.png"
    PIL.Image.fromarray(PAIR.image).save(path)
    found = model.annotate(path)
    assert found.image.path == str(path)
    assert found.image.size_hw == (128, 128)
    assert len(found.detections) == 2
    in_memory = model.annotate(PAIR.image[..., ::-1])  # BGR, as cv2.imread has it
    assert in_memory.image.path is None
    assert objects(in_memory) == objects(found)


# The real networks of the tiny preset


@pytest.fixture(scope="module")
def tiny() -> GroundedRAM:
    return GroundedRAM("tiny", device="cpu", box_threshold=0.05)


SCENES = [make_scene(seed, size=size).image for seed, size in ((7_000_001, 256), (7_000_002, 200))]
PHOTOS = [*SCENES, SCENES[0][30:31, 40:41], SCENES[1][:20].repeat(9, axis=1)]
NAMES = ["car", "tree", "house", "person", "ball"]


@pytest.fixture(scope="module")
def found(tiny: GroundedRAM) -> list[Annotation]:
    return tiny.annotate_batch(PHOTOS, color="rgb")


def test_tiny_annotates_pictures_of_any_size(found: list[Annotation]) -> None:
    assert [one.image.size_hw for one in found] == [(256, 256), (200, 200), (1, 1), (20, 1800)]
    assert sum(len(one.tags) for one in found) > 0
    for one in found:
        grounded = set(one.tags.select(TINY.ground_kinds).names)
        carried = set(one.detections.data["class_name"])
        missing = {name for name, why in one.ungrounded.items() if why is not Reason.KIND}
        assert carried | missing == grounded
        assert set(one.not_found) <= missing
        assert carried | set(one.ungrounded) == set(one.tags.names)
        assert not carried & set(one.ungrounded)


def test_tiny_gives_in_a_batch_what_it_gives_alone(
    tiny: GroundedRAM, found: list[Annotation]
) -> None:
    for image, one in list(zip(PHOTOS, found, strict=True))[::-1]:
        assert_same(one, tiny.annotate(image, color="rgb"))


def test_tiny_does_not_care_for_the_order_of_tags(tiny: GroundedRAM) -> None:
    one, other = (
        tiny.annotate(SCENES[0], tags=names, color="rgb") for names in (NAMES, NAMES[::-1])
    )
    assert len(one.detections) > 0
    assert objects(one) == objects(other)
    assert one.not_found == other.not_found[::-1]
    assert one.rejected == other.rejected


ANY_NAME = st.sampled_from(sorted(VOCABULARY)) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=9
)


@settings(max_examples=12)
@given(
    st.lists(ANY_NAME.filter(lambda name: any(map(str.isalnum, name))), unique=True),
    st.randoms(use_true_random=False),
)
def test_tiny_finds_the_same_whatever_else_is_asked_how_and_beside_whom(
    tiny: GroundedRAM, names: list[str], chance: Random
) -> None:
    """Permuted tags and neighbours in the batch change no bit, and labels are tags asked for."""
    shuffled = chance.sample(names, len(names))
    alone = tiny.annotate(SCENES[0], tags=names, color="rgb")
    beside = tiny.annotate_batch([PHOTOS[1], SCENES[0]], tags=shuffled, color="rgb")[1]
    assert objects(alone) == objects(beside)
    assert set(alone.detections.data["class_name"]) <= set(names)
    assert {one.name for one in alone.rejected} <= set(names)
    assert dict(alone.ungrounded) == dict(beside.ungrounded)


def test_tiny_gives_in_threads_what_it_gives_alone() -> None:
    fresh = GroundedRAM("tiny", device="cpu")

    def work(image: Image) -> Annotation:
        return fresh.annotate(image, tags=NAMES, color="rgb")

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(work, [*SCENES, *SCENES]))
    for one, image in zip(together, [*SCENES, *SCENES], strict=True):
        assert_same(one, work(image))


def test_tiny_says_how_it_was_made(found: list[Annotation], tiny: GroundedRAM) -> None:
    run = found[0].run
    assert run["preset"] == "tiny"
    assert (run["device"], run["dtype"], run["box_threshold"]) == ("cpu", "float32", 0.05)
    for stage in ("tagger", "detector", "segmenter"):
        assert run[stage]["name"] == getattr(TINY, stage)
        assert len(run[stage]["sha256"]["weights"]) == 64
    named = tiny.annotate(SCENES[0], tags=[], color="rgb").run
    assert named["tagger"] is None
    assert named["detector"] == run["detector"]


def test_own_tags_never_load_a_tagger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The standard tagger is not here; the caller's tags do without it."""
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path))
    model = GroundedRAM("tiny", tagger="ram:swin-l", device="cpu")
    assert model.annotate(SCENES[0], tags=["car"], color="rgb").tags.names == ("car",)
    with pytest.raises(WeightsError, match="ram:swin-l"):
        model.annotate(SCENES[0], color="rgb")


def test_absent_weights_are_named_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path))
    model = GroundedRAM("standard", device="cpu")
    with pytest.raises(WeightsError) as caught:
        model.annotate(SCENES[0], color="rgb")
    message = str(caught.value)
    everything = "grounded-ram download ram:swin-l grounding-dino:swin-t sam:vit-h"
    for part in ("ram_swin_large_14m.pth", "groundingdino_swint_ogc", everything, 'preset="tiny"'):
        assert part in message
    with pytest.raises(WeightsError) as caught:
        model.annotate(SCENES[0], tags=["car"], color="rgb")
    message = str(caught.value)  # the tagger was not asked
    assert "`grounded-ram download grounding-dino:swin-t sam:vit-h`" in message
    assert message.count("groundingdino_swint_ogc.pth (") == 1


def test_weights_can_be_fetched_beforehand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path))
    GroundedRAM("tiny", device="cpu").fetch_weights()
    model = GroundedRAM("tiny", tagger="ram:swin-l", segmenter="sam:vit-h", device="cpu")
    with pytest.raises(WeightsError, match=r"ram_swin[^`]*`[^`]*`[^`]*sam_vit_h"):
        model.fetch_weights()
    with pytest.raises(WeightsError, match=r"'sam:vit-h' are not all here") as caught:
        model.fetch_weights(tagger=False)
    assert "ram_swin" not in str(caught.value)
    edits = Edits(classes={"vehicle": ("car",)}, ask="classes")
    asks = {"tagger": "ram:swin-l", "vocabulary": edits, "device": "cpu"}
    GroundedRAM("tiny", **asks).fetch_weights()
    with pytest.raises(WeightsError, match="ram_swin"):
        GroundedRAM("tiny", **asks, rules=Rules(crop_check="flag")).fetch_weights()


def test_weights_of_the_user_s_own_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny: GroundedRAM, found: list[Annotation]
) -> None:
    weights = load_state_dict(ASSETS / "tiny" / "sam.safetensors")
    torch.save({"model": weights}, tmp_path / "mine.pth")
    monkeypatch.chdir(tmp_path)
    model = GroundedRAM(tiny.preset, weights={"segmenter": "mine.pth"}, device="cpu")
    monkeypatch.chdir("/")
    other = pickle.loads(pickle.dumps(model)).annotate(PHOTOS[0], color="rgb")
    assert objects(other) == objects(found[0])
    digest = hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()
    assert other.run["segmenter"]["sha256"]["weights"] == digest
    assert other.run["tagger"] == found[0].run["tagger"]


# A detector that cuts masks too


class Cutting(Fixed):
    """Finds boxes with masks, and as a segmenter leaves masks that are there."""

    def detect(
        self, images: Sequence[Image], tags: Sequence[Tags], *, threshold: float
    ) -> list[sv.Detections]:
        found = super().detect(images, tags, threshold=threshold)
        filled = [self._fill(image, one) for image, one in zip(images, found, strict=True)]
        for one in filled:
            one.data["mask_score"][:] = 0.25
        return filled

    def segment(
        self, images: Sequence[Image], found: Sequence[sv.Detections]
    ) -> list[sv.Detections]:
        assert all("mask_score" in one.data for one in found)
        return list(found)


ROWS = (("car", 0.5, (0, 0, 40, 40)), ("car", 0.8, (0, 0, 40, 30)), ("bus", 0.6, (50, 50, 60, 70)))


def test_masks_of_a_detector_reach_the_end() -> None:
    cutting = Cutting(*ROWS)
    model, _ = true_model(detector=cutting, segmenter=cutting)
    found = model.annotate(PAIR.image, tags=["bus", "car"])
    assert found.detections.data["class_name"].tolist() == ["car", "bus"]
    assert found.masks.shape == (2, *PAIR.image.shape[:2])
    assert found.masks.area.tolist() == [1200, 200]
    columns = [found.detections.data[key].tolist() for key in ("tag_score", "mask_score")]
    assert columns == [[1, 1], [0.25, 0.25]]
    assert found.detections.data["box_score"].tolist() == [np.float32(0.8), np.float32(0.6)]


def test_another_segmenter_cuts_them_anew() -> None:
    model, _ = true_model(detector=Cutting(*ROWS), segmenter=Fixed())
    found = model.annotate(PAIR.image, tags=["bus", "car"])
    assert found.masks.area.tolist() == [1200, 200]
    assert found.detections.data["mask_score"].tolist() == [np.float32(0.8)] * 2


def test_a_backend_of_both_stages_is_loaded_and_fetched_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(BUILTIN["detector"], "both", "tests.truth_stages:load_truth")
    monkeypatch.setitem(BUILTIN["segmenter"], "both", "tests.truth_stages:load_truth")
    file = WeightFile(name="none", source="file:/nowhere/at/all")
    row = Checkpoint(name="both:one", summary="", licence="", files={"weights": file})
    monkeypatch.setitem(CHECKPOINTS, "both:one", row)
    model = GroundedRAM("tiny", detector="both:one", segmenter="both:one", device="cpu")
    assert model.segmenter is model.detector
    with pytest.raises(WeightsError) as caught:
        model.fetch_weights()
    assert str(caught.value).count("nowhere") == 1


class Captioning(Colours):
    """Tags, and says what it was asked to speak of."""

    def caption(self, images, *, tags=None):  # type: ignore[no-untyped-def]
        return [f"a picture of {' and '.join(one.names) or 'nothing'}" for one in tags]


def test_captions_speak_of_what_the_tagger_saw(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "apple", "car")
    draw(tmp_path / "b.png")
    stage = Captioning()
    model = GroundedRAM("tiny", tagger=stage, detector=stage, segmenter=stage, captions=True)
    first, second = model.annotate_batch([tmp_path / "a.png", tmp_path / "b.png"])
    assert (first.caption, second.caption) == ("a picture of apple and car", "a picture of nothing")
    named = model.annotate(tmp_path / "a.png", tags=["car"])
    assert named.caption == "a picture of car"
    assert named.run["captions"]
    assert named.run["tagger"] is not None
    assert pickle.loads(pickle.dumps(model)).annotate(tmp_path / "a.png").caption == first.caption
    assert colours_model().annotate(tmp_path / "a.png").caption == ""


def test_a_tagger_that_writes_no_captions_stops_the_work(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "apple")
    stage = Colours()
    model = GroundedRAM("tiny", tagger=stage, detector=stage, segmenter=stage, captions=True)
    with pytest.raises(WeightsError, match=r"Colours writes no captions; use .* tag2text:swin-b"):
        model.annotate(tmp_path / "a.png")


def test_the_record_is_known_before_anything_is_loaded() -> None:
    model = GroundedRAM("tiny")
    before = model.record()
    assert model.annotate(CROWD.image, color="rgb").run == before
    assert before["tagger"]["name"] == "ram:tiny"
    assert model.record(tags=["ball"])["tagger"] is None
    with pytest.raises(InputError, match="tags"):
        model.record(tags="ball")  # type: ignore[arg-type]


def test_the_same_choices_on_another_device() -> None:
    model = GroundedRAM("tiny", box_threshold=0.6)
    other = model.on("cpu")
    assert other is not model
    assert other.preset == model.preset
    assert str(other.device) == "cpu"


def test_a_picture_that_was_read_already_is_taken_as_it_is(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "apple")
    loaded = load_image(tmp_path / "a.png")
    found = colours_model().annotate(loaded)
    assert found.image.path == str(tmp_path / "a.png")
    assert found.image.sha256 == loaded.sha256
    assert load_same(tmp_path / "a.png", loaded.sha256).sha256 == loaded.sha256
    draw(tmp_path / "a.png", "car")
    with pytest.raises(InputError, match="was changed since it was labelled"):
        load_same(tmp_path / "a.png", loaded.sha256)


def test_networks_take_as_many_pictures_at_once_as_they_are_told() -> None:
    scenes = [make_scene(2_000_200 + number) for number in range(3)]
    one, three = GroundedRAM("tiny", device="cpu"), GroundedRAM("tiny", device="cpu", batch_size=3)
    for model, size in ((one, 1), (three, 3), (pickle.loads(pickle.dumps(three)), 3)):
        stages = (model.tagger, model.detector, model.segmenter)
        assert [stage.batch_size for stage in stages] == [size] * 3  # type: ignore[attr-defined]
    apart = one.annotate_batch([scene.image for scene in scenes], color="rgb")
    together = three.annotate_batch([scene.image for scene in scenes], color="rgb")
    for a, b in zip(apart, together, strict=True):
        assert a.tags.names == b.tags.names
        assert len(a.detections) == len(b.detections) > 0
        np.testing.assert_allclose(a.detections.xyxy, b.detections.xyxy, atol=0.1)
        np.testing.assert_allclose(a.detections.confidence, b.detections.confidence, atol=1e-3)


@pytest.mark.parametrize("size", [0, -1, 2.0, "4", True])
def test_a_batch_of_none_is_refused(size: Any) -> None:
    with pytest.raises(InputError, match="batch_size: expected a whole number from 1 on"):
        GroundedRAM("tiny", batch_size=size)


def test_compile_is_told_to_the_image_encoders_where_it_pays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: told.append(type(self).__name__))
    assert GroundedRAM("tiny", device="cpu").tagger
    assert told == []
    model = GroundedRAM("tiny", device="cpu", compile=True)
    stages: list[Any] = [model.tagger, model.detector, model.segmenter]
    assert told == ["SwinEncoder"]
    for stage in stages[1:]:
        stage._device = torch.device("cuda")
        stage.compile()
    assert told == ["SwinEncoder", "SwinTransformer", "ImageEncoderViT"]


def test_an_adjusted_model_has_other_thresholds_and_the_same_networks() -> None:
    model = GroundedRAM("tiny", device="cpu", box_threshold=0.4)
    other = model.adjusted(tag_threshold=0.125, box_threshold=0.25)
    assert (other.preset.tag_threshold, other.preset.box_threshold) == (0.125, 0.25)
    assert (model.preset.tag_threshold, model.preset.box_threshold) == (None, 0.4)
    assert other.tagger is model.tagger  # loaded by the one, used by both
    assert model.adjusted().preset == model.preset
    assert pickle.loads(pickle.dumps(other)).preset == other.preset
    with pytest.raises(InputError, match="box_threshold"):
        model.adjusted(box_threshold=1.5)
