"""The comparison, on what the tiny preset gives for a scene; and the table of what others gave."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import supervision as sv
import torch
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.evaluation import published
from grounded_ram.evaluation.examples import CutMasks, Example, FoundBoxes, Object, SeenTags
from grounded_ram.evaluation.picture_book import FIRST_SEED
from grounded_ram.evaluation.published import Outcome, check_published, examples_of
from grounded_ram.evaluation.published_examples import EXAMPLES
from grounded_ram.names import split_backend
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.ram.label_queries import CLIPLabels
from grounded_ram.registry import adapters
from grounded_ram.scenes.scene import Scene, make_scene
from grounded_ram.tagging.ram import RAMTagger
from grounded_ram.weights import CHECKPOINTS
from tests.small_clip import save_small_clip

CPU = torch.device("cpu")
THRESHOLD = 0.3


@dataclass(frozen=True)
class Case:
    """A scene in a file, and what the tiny preset gives for it."""

    file: str
    scene: Scene
    tags: Tags
    found: sv.Detections
    mask_scores: NDArray[np.float32]
    three_scores: NDArray[np.float32]

    @property
    def asked(self) -> tuple[str, ...]:
        return tuple(sorted({thing.name for thing in self.scene.objects}))

    @property
    def objects(self) -> tuple[Object, ...]:
        return tuple(
            Object(str(name), float(score), tuple(box.tolist()))
            for name, score, box in zip(
                self.found.data["class_name"], self.found.confidence, self.found.xyxy, strict=True
            )
        )

    @property
    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        return tuple(tuple(thing.box_xyxy.tolist()) for thing in self.scene.objects)

    def seen(self, **changes: Any) -> SeenTags:
        return replace(SeenTags(names=self.tags.names, tolerance=0.001), **changes)

    def boxed(self, objects: Sequence[Object] | None = None, **changes: Any) -> FoundBoxes:
        given = self.objects if objects is None else tuple(objects)
        expected = FoundBoxes(
            asked=self.asked, threshold=THRESHOLD, objects=given, tolerance=0.001, pixels=0.5
        )
        return replace(expected, **changes)

    def cut(self, scores: NDArray[np.floating]) -> CutMasks:
        return CutMasks(boxes=self.boxes, scores=tuple(map(tuple, scores.tolist())))


@pytest.fixture(scope="module")
def model() -> GroundedRAM:
    return GroundedRAM("tiny", device="cpu")


@pytest.fixture(scope="module")
def case(model: GroundedRAM, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The first unseen scene in which the tiny preset sees and finds several things."""
    for seed in range(FIRST_SEED, FIRST_SEED + 100):
        scene = make_scene(seed)
        (tags,) = model.tagger.tag([scene.image])
        asked = Tags.of(sorted({thing.name for thing in scene.objects}))
        if len(asked) < 2 or len(tags) < 3:
            continue
        (found,) = model.detector.detect([scene.image], [asked], threshold=THRESHOLD)
        if len(set(found.data["class_name"].tolist())) > 1:
            break
    file = tmp_path_factory.mktemp("scene") / "scene.png"
    PIL.Image.fromarray(scene.image).save(file)
    boxes = sv.Detections(np.array([thing.box_xyxy for thing in scene.objects]))
    (cut,) = model.segmenter.segment([scene.image], [boxes])
    three = all_three(model.segmenter, scene.image, boxes.xyxy)
    return Case(str(file), scene, tags, found, cut.data["mask_score"], three)


@torch.inference_mode()
def all_three(
    segmenter: Any, image: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The scores of three masks a box, by the networks of segment_anything alone."""
    (embedded,) = segmenter.embed([image])
    sam, scale = segmenter.model, embedded.input_hw[0] / image.shape[0]
    sparse, dense = sam.prompt_encoder(None, torch.from_numpy(boxes * np.float32(scale)), None)
    _, scores = sam.mask_decoder(
        embedded.features, sam.prompt_encoder.get_dense_pe(), sparse, dense, True
    )
    found: NDArray[np.float32] = scores.numpy()
    return found


def check(
    case: Case, expected: SeenTags | FoundBoxes | CutMasks, *, image: str = "", name: str = ""
) -> Outcome:
    usual = {"tagger": "ram:tiny", "detector": "grounding-dino:tiny", "segmenter": "sam:tiny"}
    example = Example(
        checkpoint=name or usual[expected.stage],
        image=image or case.file,
        expected=expected,
        source="this test",
    )
    (outcome,) = check_published([example.checkpoint], device=CPU, examples=[example])
    assert outcome.example is example
    return outcome


def test_the_same_tags_agree(case: Case) -> None:
    outcome = check(case, case.seen())
    assert outcome.agrees
    assert outcome.score_error == 0
    assert math.isnan(outcome.pixel_error)


def test_tags_missing_and_surplus_are_named(case: Case, model: GroundedRAM) -> None:
    (everything,) = model.tagger.tag([case.scene.image], threshold=0.0)
    unlikely, surest = everything.names[-1], case.tags.names[0]
    outcome = check(case, case.seen(names=(*case.tags.names[1:], unlikely)))
    assert not outcome.agrees
    assert len(outcome.differences) == 2
    told = " ".join(outcome.differences)
    assert f"{surest!r} is seen, and should not be" in told
    assert f"{unlikely!r} is not seen" in told
    limits = dict(zip(model.tagger.table.names, model.tagger.table.thresholds, strict=True))
    scores = dict(zip(everything.names, everything.scores.tolist(), strict=True))
    off = max(scores[surest] - limits[surest], limits[unlikely] - scores[unlikely])
    assert outcome.score_error == pytest.approx(off, abs=1e-6)


def test_a_tag_at_the_edge_may_be_seen_or_not(case: Case, model: GroundedRAM) -> None:
    table = model.tagger.table
    limits = dict(zip(table.names, table.thresholds.tolist(), strict=True))
    seen = zip(case.tags.names, case.tags.scores.tolist(), strict=True)
    margin, nearest = min((score - limits[name], name) for name, score in seen)
    names = tuple(name for name in case.tags.names if name != nearest)
    wide = check(case, case.seen(names=names, tolerance=margin + 1e-4))
    narrow = check(case, case.seen(names=names, tolerance=margin - 1e-4))
    assert wide.agrees
    assert not narrow.agrees
    assert wide.score_error == narrow.score_error == pytest.approx(margin, abs=1e-6)


def test_a_tag_that_the_checkpoint_has_not_is_missing(case: Case) -> None:
    outcome = check(case, case.seen(names=(*case.tags.names, "zeppelin"), tolerance=0.5))
    assert [text.split(":")[0] for text in outcome.differences] == ["'zeppelin' is not seen"]


def test_of_words_only_they_are_compared(
    case: Case, model: GroundedRAM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDED_RAM_HOME", str(tmp_path / "home"))
    labels = CLIPLabels(*save_small_clip(tmp_path, dim=model.tagger.network.config.label_dim))

    class WithSmallWords(RAMTagger):
        def extended(self, words: Any, **options: Any) -> RAMTagger:
            return super().extended(words, labels=labels, **options)

    words = tuple(f"word {letter}" for letter in "abcdefgh")
    tagger = WithSmallWords(model.tagger.network, model.tagger.table)
    (scores,) = tagger.extended(words).scores([case.scene.image])
    seen = tuple(
        word for word, score in zip(words, scores[-len(words) :], strict=True) if score > 0.5
    )

    def compare(names: tuple[str, ...]) -> Outcome:
        expected = SeenTags(names=names, words=words, tolerance=0.0)
        example = Example(checkpoint="", image=case.file, expected=expected, source="")
        return published._check(tagger, example)

    assert compare(seen).agrees
    other = tuple(set(words) - set(seen))
    assert len(compare(other).differences) == len(words)


def test_words_without_their_text_encoder_are_not_tried(case: Case) -> None:
    outcome = check(case, case.seen(words=("zeppelin",)))
    assert not outcome.agrees
    assert outcome.untried
    assert outcome.differences == ()


def test_the_same_boxes_agree_in_any_order(case: Case) -> None:
    for objects in (case.objects, case.objects[::-1]):
        outcome = check(case, case.boxed(objects))
        assert outcome.agrees
        assert outcome.score_error < 1e-6
        assert outcome.pixel_error < 1e-3


def test_a_box_off_by_more_than_the_tolerance_is_told(case: Case) -> None:
    name, score, (x0, y0, x1, y1) = case.objects[0]
    near = Object(name, score, (x0 + 0.4, y0, x1, y1))
    far = Object(name, score, (x0, y0, x1, y1 - 3.0))
    outcome = check(case, case.boxed([near, *case.objects[1:]]))
    assert outcome.agrees
    assert outcome.pixel_error == pytest.approx(0.4, abs=1e-3)
    outcome = check(case, case.boxed([far, *case.objects[1:]]))
    assert outcome.pixel_error == pytest.approx(3.0, abs=1e-3)
    (told,) = outcome.differences
    assert told.startswith(f"{name} ")
    assert f"{y1 - 3.0:.1f}]" in told
    assert f"{y1:.1f}]" in told


def test_a_score_off_by_more_than_the_tolerance_is_told(case: Case) -> None:
    name, score, box = case.objects[0]
    outcome = check(case, case.boxed([Object(name, score - 0.01, box), *case.objects[1:]]))
    assert outcome.score_error == pytest.approx(0.01, abs=1e-5)
    (told,) = outcome.differences
    assert f"{score - 0.01:.4f}" in told
    assert f"{score:.4f}" in told


def test_a_box_too_much_and_one_too_few_are_told(case: Case) -> None:
    name, score, box = case.objects[-1]
    outcome = check(case, case.boxed(case.objects[:-1]))
    (told,) = outcome.differences
    assert told.startswith(f"{name} ")
    assert told.endswith("is found, and should not be")
    outcome = check(case, case.boxed([*case.objects, Object(name, score, box)]))
    (told,) = outcome.differences
    assert told.endswith("is not found")


def test_a_box_too_much_at_the_edge_of_the_threshold_is_forgiven(case: Case) -> None:
    weakest = min(case.objects, key=lambda one: one.score)
    others = [one for one in case.objects if one != weakest]
    threshold = weakest.score - 0.0005
    assert check(case, case.boxed(others, threshold=threshold)).agrees


def test_a_box_just_below_the_threshold_is_found(case: Case) -> None:
    weakest = min(case.objects, key=lambda one: one.score)
    assert check(case, case.boxed(threshold=weakest.score + 0.0005)).agrees


def test_a_box_under_another_name_is_not_the_same(case: Case) -> None:
    name, score, box = case.objects[0]
    other = next(asked for asked in case.asked if asked != name)
    outcome = check(case, case.boxed([Object(other, score, box), *case.objects[1:]]))
    assert not outcome.agrees
    nameless = [Object("", one.score, one.xyxy) for one in case.objects]
    assert check(case, case.boxed(nameless)).agrees


def test_sides_that_nobody_published_are_not_compared(case: Case) -> None:
    name, score, (x0, _, x1, _) = case.objects[0]
    for left, agrees in ((x0, True), (x0 + 2, False)):
        partly = Object(name, score, (left, math.nan, x1, math.nan))
        outcome = check(case, case.boxed([partly, *case.objects[1:]]))
        assert outcome.agrees is agrees
        assert outcome.pixel_error == pytest.approx(abs(left - x0), abs=1e-3)
    assert "?" in outcome.differences[0]


def test_boxes_that_leave_the_picture_are_cut_first(case: Case) -> None:
    height, width = case.scene.image.shape[:2]
    got = Object("cat", 0.9, (0.0, 5.0, float(width), float(height)))
    beyond = Object("cat", 0.9, (-7.0, 5.0, width + 3.0, height + 9.0))
    assert published._side_error(beyond, got, (height, width)) == 0


def test_each_object_takes_the_box_that_is_most_like_it() -> None:
    near, far = Object("cat", 0.5, (10, 10, 50, 50)), Object("cat", 0.5, (10, 10, 53, 50))
    expected = FoundBoxes(asked=("cat",), threshold=0.3, objects=(far, near))
    assert published._pairs(expected, [near, far], (100, 100)) == {0: 1, 1: 0}
    assert published._pairs(expected, [near], (100, 100)) == {1: 0}


def test_nothing_expected_and_nothing_found_agree(case: Case) -> None:
    outcome = check(case, case.boxed([], threshold=1.0))
    assert outcome.agrees
    assert math.isnan(outcome.score_error)
    assert math.isnan(outcome.pixel_error)


def test_the_same_masks_agree(case: Case) -> None:
    outcome = check(case, case.cut(case.mask_scores[:, None]))
    assert outcome.agrees
    assert outcome.score_error < 1e-6
    assert math.isnan(outcome.pixel_error)


def test_a_mask_of_another_score_is_told_with_its_box(case: Case) -> None:
    scores = case.mask_scores[:, None].copy()
    scores[1] -= 0.01
    outcome = check(case, case.cut(scores))
    assert outcome.score_error == pytest.approx(0.01, abs=1e-5)
    (told,) = outcome.differences
    assert f"box {case.boxes[1]}" in told
    assert f"{scores[1, 0]:.4f}" in told
    assert f"{case.mask_scores[1]:.4f}" in told


def test_three_scores_are_those_of_the_masks_that_the_adapter_does_not_ask_for(case: Case) -> None:
    assert check(case, case.cut(case.three_scores)).agrees
    one = np.repeat(case.mask_scores[:, None], 3, axis=1)
    assert not check(case, case.cut(one)).agrees


def test_after_three_scores_the_adapter_asks_for_one_mask_again(
    case: Case, model: GroundedRAM
) -> None:
    boxes = np.array(case.boxes, np.float32)
    published._scores_of_three(model.segmenter, case.scene.image, boxes)
    (cut,) = model.segmenter.segment([case.scene.image], [sv.Detections(boxes)])
    np.testing.assert_array_equal(cut.data["mask_score"], case.mask_scores)


def test_scores_that_nobody_published_are_not_compared(case: Case) -> None:
    scores = case.three_scores.copy()
    scores[:, :2] = np.nan
    assert check(case, case.cut(scores)).agrees
    scores[0, 2] += 0.02
    outcome = check(case, case.cut(scores))
    assert outcome.score_error == pytest.approx(0.02, abs=1e-5)
    assert "?, ?, " in outcome.differences[0]


def test_what_is_missing_is_told_and_stops_nothing_else(case: Case) -> None:
    seen, url = case.seen(), "ftp://example.org/picture.jpg"
    examples = [
        Example(
            checkpoint="sam:vit-b", image=case.file, expected=case.cut(case.three_scores), source=""
        ),
        Example(checkpoint="ram:tiny", image=url, expected=seen, source=""),
        Example(checkpoint="ram:tiny", image=case.file, expected=seen, source=""),
        Example(checkpoint="nobody:knows", image=case.file, expected=seen, source=""),
    ]
    names = ["sam:vit-b", "ram:tiny", "nobody:knows"]
    outcomes = check_published(names, device=CPU, examples=examples)
    assert [outcome.example for outcome in outcomes] == examples
    assert "sam_vit_b" in outcomes[0].untried
    assert url in outcomes[1].untried
    assert outcomes[2].agrees
    assert "nobody" in outcomes[3].untried
    assert [outcome.agrees for outcome in outcomes] == [False, False, True, False]


def test_each_checkpoint_is_tried_once_in_the_order_given_and_others_not_at_all(case: Case) -> None:
    tags = Example(checkpoint="ram:tiny", image=case.file, expected=case.seen(), source="")
    boxes = Example(
        checkpoint="grounding-dino:tiny", image=case.file, expected=case.boxed(), source=""
    )
    names = ["grounding-dino:tiny", "sam:tiny", "ram:tiny", "grounding-dino:tiny"]
    outcomes = check_published(names, device=CPU, examples=[tags, boxes])
    assert [outcome.example for outcome in outcomes] == [boxes, tags]
    assert check_published(["sam:tiny"], device=CPU, examples=[tags, boxes]) == []
    assert check_published([], device=CPU) == []


def test_a_checkpoint_of_the_hub_has_its_examples_at_any_revision() -> None:
    example = Example(
        checkpoint="sam2:owner/repo",
        image="",
        expected=SeenTags(names=(), tolerance=0),
        source="",
    )
    for name in ("sam2:owner/repo", "sam2:owner/repo@main", "sam2:owner/repo@0a1b"):
        assert examples_of(name, [example]) == [example]
    for name in ("sam2:owner/other", "sam2:owner/rep", "sam3:owner/repo@main"):
        assert examples_of(name, [example]) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.checkpoint}-{e.expected.stage}")
def test_every_row_names_a_checkpoint_a_picture_and_its_source(example: Example) -> None:
    adapter, place = split_backend(example.checkpoint)
    stage = example.expected.stage
    assert adapter in adapters(stage)
    assert example.checkpoint in CHECKPOINTS or "/" in place
    assert re.fullmatch(r"https://\S+\.(jpg|png)", example.image)
    assert re.match(r"[\w-]+/[\w-]+(@[0-9a-f]{40}| \d+\.\d+\.\d+) \S+", example.source)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.checkpoint}-{e.expected.stage}")
def test_every_row_expects_what_can_be(example: Example) -> None:
    expected = example.expected
    assert 0 < expected.tolerance <= 0.1
    if isinstance(expected, SeenTags):
        assert len(set(expected.names)) == len(expected.names) > 0
        assert not expected.words or set(expected.names) < set(expected.words)
    elif isinstance(expected, FoundBoxes):
        assert len(expected.objects) > 0
        for one in expected.objects:
            assert one.name in ("", *expected.asked)
            assert expected.threshold < one.score + expected.tolerance < 1
            x0, y0, x1, y1 = one.xyxy
            assert 0 <= x0 < x1 < 645
            assert math.isnan(y0) or 0 <= y0 < y1 <= 480
    else:
        assert len(expected.boxes) == len(expected.scores) > 0
        assert {len(scores) for scores in expected.scores} in ({1}, {3})
        for (x0, y0, x1, y1), scores in zip(expected.boxes, expected.scores, strict=True):
            assert 0 <= x0 < x1
            assert 0 <= y0 < y1
            assert all(math.isnan(score) or 0 < score < 1 for score in scores)
            assert not all(map(math.isnan, scores))


def test_no_row_comes_twice() -> None:
    asked = [(e.checkpoint, e.image, getattr(e.expected, "asked", ()), e.source) for e in EXAMPLES]
    words = [getattr(e.expected, "words", ()) for e in EXAMPLES]
    assert len(set(zip(asked, words, strict=True))) == len(EXAMPLES)


@pytest.mark.parametrize(
    ("checkpoint", "published_scores"),
    [
        ("grounding-dino:swin-t", (0.4526, 0.4082)),
        (
            "transformers:openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det",
            (0.4480, 0.3973),
        ),
    ],
)
def test_means_over_tokens_are_a_little_below_the_best_token(
    checkpoint: str, published_scores: tuple[float, ...]
) -> None:
    """The same sources have the score of each box's best token, too."""
    (expected,) = (
        e.expected
        for e in examples_of(checkpoint)
        if isinstance(e.expected, FoundBoxes) and e.expected.asked == ("a cat",)
    )
    for one, best in zip(expected.objects, published_scores, strict=True):
        assert best - 0.01 < one.score <= best + 5e-5


def test_sides_in_fractions_became_pixels() -> None:
    """The first box's corners are published in pixels, and its centre and width in fractions."""
    (expected, *_) = (e.expected for e in examples_of("grounding-dino:swin-t"))
    assert isinstance(expected, FoundBoxes)
    x0, _, x1, _ = expected.objects[0].xyxy
    assert x0 == pytest.approx((0.7674 - 0.4572 / 2) * 640, abs=0.1)
    assert x1 == pytest.approx((0.7674 + 0.4572 / 2) * 640, abs=0.1)
    x0, _, x1, _ = expected.objects[1].xyxy
    assert (x0, x1) == pytest.approx((11.9, 316.5), abs=0.1)


@pytest.mark.parametrize("checkpoint", ["ram:swin-l", "ram-plus:swin-l"])
def test_the_published_tags_are_in_the_official_list_in_its_order(
    checkpoint: str, shared: Path
) -> None:
    names = (shared / "assets" / "ram_tag_list.txt").read_text("utf-8").splitlines()
    (expected, *others) = (e.expected for e in examples_of(checkpoint))
    assert isinstance(expected, SeenTags)
    places = [names.index(name) for name in expected.names]
    assert places == sorted(places)
    known = {name.casefold() for name in names}
    for other in others:
        assert isinstance(other, SeenTags)
        assert known.isdisjoint(word.casefold() for word in other.words)
