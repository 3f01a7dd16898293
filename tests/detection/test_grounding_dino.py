from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from grounded_ram.annotation import Tags
from grounded_ram.detection.grounding_dino import GroundingDINODetector, load_grounding_dino
from grounded_ram.detection.network import GroundingDINO
from grounded_ram.detection.prompted import preprocess
from grounded_ram.detection.text import PromptTokenizer
from grounded_ram.errors import InputError, WeightsError
from grounded_ram.prompts import make_prompts
from grounded_ram.weights import Checkpoint, WeightFile
from tests.detection.found import assert_equal, assert_tags_are_read_once, columns

Pixels = NDArray[np.uint8]
SIDES = 64, 110


@pytest.fixture
def detector(network: GroundingDINO, tokenizer: PromptTokenizer) -> GroundingDINODetector:
    return GroundingDINODetector(network, tokenizer, short_side=SIDES[0], long_side=SIDES[1])


def test_detections_are_the_networks_answer_read_by_span(
    detector: GroundingDINODetector,
    network: GroundingDINO,
    tokenizer: PromptTokenizer,
    pictures: list[Pixels],
) -> None:
    text = "dog . fire hydrant . person on a skateboard ."
    ids = [tokenizer.cls_id, *tokenizer.encode(text), tokenizer.sep_id]
    spans = {"dog": [1], "fire hydrant": [3, 4, 5], "person on a skateboard": [7, 8, 9, 10, 11]}
    with torch.inference_mode():
        answer = network(preprocess(pictures[0], *SIDES)[None], tokenizer.batch([ids]))
    height, width = pictures[0].shape[:2]
    expected: list[tuple[float, str, NDArray[np.float64]]] = []
    for logits, (x, y, w, h) in zip(answer.logits[0], answer.boxes[0].tolist(), strict=True):
        scores = {name: float(logits[span].sigmoid().mean()) for name, span in spans.items()}
        name = max(scores, key=lambda key: scores[key])
        box = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        box = (box * [width, height, width, height]).clip(0, [width, height, width, height])
        expected.append((scores[name], name, box))
    expected.sort(key=lambda row: -row[0])
    threshold = (expected[11][0] + expected[12][0]) / 2

    names = ["person on a skateboard", "dog", "fire hydrant"]
    (found,) = detector.detect(pictures[:1], [Tags.of(names)], threshold=threshold)
    boxes, scores_found, rows, labels = columns(found)
    assert list(labels) == [row[1] for row in expected[:12]]
    assert len(set(labels)) > 1
    assert [names[row] for row in rows] == list(labels)
    np.testing.assert_allclose(scores_found, [row[0] for row in expected[:12]], rtol=0, atol=1e-5)
    np.testing.assert_allclose(
        boxes, np.stack([row[2] for row in expected[:12]]), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("count", [1, 2, 40, 600])
def test_one_to_six_hundred_tags_over_one_pass_of_the_backbone(
    count: int, detector: GroundingDINODetector, pictures: list[Pixels]
) -> None:
    names = [f"dog {number}" for number in range(count)]
    passes: list[int] = []
    hook = detector.network.backbone.register_forward_hook(lambda *_: passes.append(1))
    try:
        (found,) = detector.detect(pictures[:1], [Tags.of(names)], threshold=0.0)
    finally:
        hook.remove()
    assert passes == [1]
    _, scores, rows, labels = columns(found)
    assert set(labels) <= set(names)
    assert [names[row] for row in rows] == list(labels)
    assert len(set(labels)) >= {1: 1, 2: 1, 40: 2, 600: 10}[count]
    assert (np.diff(scores) <= 0).all()


def test_each_prompt_answers_for_its_own_tags(
    detector: GroundingDINODetector, tokenizer: PromptTokenizer, pictures: list[Pixels]
) -> None:
    names = sorted(f"dog {number}" for number in range(150))
    prompts = make_prompts(names, tokenizer)
    assert len(prompts) > 1
    (together,) = detector.detect(pictures[:1], [Tags.of(names)], threshold=0.2)
    for prompt in prompts:
        asked = [names[row] for row in prompt.rows]
        (alone,) = detector.detect(pictures[:1], [Tags.of(asked)], threshold=0.2)
        mine = together[np.isin(together.data["class_name"], asked)]
        for column in (0, 1, 3):
            np.testing.assert_array_equal(columns(mine)[column], columns(alone)[column])


WORDS = ("car", "race car", "car wash", "Car", "U.S. flag?", "dog", "hot dog", "\u732b", "a" * 30)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.sampled_from(WORDS), min_size=1, unique=True), st.randoms())
def test_order_of_tags_changes_no_bit_and_labels_are_tags_asked_for(
    detector: GroundingDINODetector, pictures: list[Pixels], names: list[str], random: Any
) -> None:
    shuffled = random.sample(names, len(names))
    (one,) = detector.detect(pictures[:1], [Tags.of(names)], threshold=0.2)
    (two,) = detector.detect(pictures[:1], [Tags.of(shuffled)], threshold=0.2)
    for column in (0, 1, 3):
        np.testing.assert_array_equal(columns(one)[column], columns(two)[column])
    assert [shuffled[row] for row in columns(two)[2]] == list(two.data["class_name"])
    assert set(one.data["class_name"]) <= set(names)


def test_neighbours_change_no_bit(detector: GroundingDINODetector, pictures: list[Pixels]) -> None:
    tags = [Tags.of(["dog", "train"]), Tags.of([]), Tags.of([f"dog {n}" for n in range(99)])]
    together = detector.detect(pictures, tags, threshold=0.3)
    for picture, of_image, found in zip(pictures, tags, together, strict=True):
        (alone,) = detector.detect([picture], [of_image], threshold=0.3)
        assert_equal(alone, found)
    assert [len(found) > 0 for found in together] == [True, False, True]


def test_each_tag_is_read_once_and_what_was_asked_before_changes_no_bit(
    detector: GroundingDINODetector, pictures: list[Pixels]
) -> None:
    other = GroundingDINODetector(
        detector.network, detector._tokenizer, short_side=SIDES[0], long_side=SIDES[1]
    )
    assert_tags_are_read_once(detector, other, detector.network.bert, pictures)


@pytest.mark.parametrize("copied", [deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_finds_the_same(
    copied: Callable[[GroundingDINODetector], GroundingDINODetector],
    detector: GroundingDINODetector,
    pictures: list[Pixels],
) -> None:
    tags = [Tags.of(["dog", "train"])]
    (expected,) = detector.detect(pictures[:1], tags, threshold=0.1)
    (found,) = copied(detector).detect(pictures[:1], tags, threshold=0.1)
    assert len(found) > 0
    assert_equal(found, expected)


def test_larger_batches_come_close(
    network: GroundingDINO, tokenizer: PromptTokenizer, pictures: list[Pixels]
) -> None:
    batches: list[int] = []
    tags = [Tags.of(["dog", "train"]), Tags.of([f"dog {n}" for n in range(99)]), Tags.of(["bus"])]
    one, four = (
        GroundingDINODetector(network, tokenizer, short_side=64, long_side=110, batch_size=size)
        for size in (1, 4)
    )
    expected = one.detect(pictures, tags, threshold=0.3)
    hook = network.backbone.register_forward_pre_hook(
        lambda _, inputs: batches.append(len(inputs[0].tensors))
    )
    try:
        found = four.detect(pictures, tags, threshold=0.3)
    finally:
        hook.remove()
    assert batches == [2, 1]
    for ours, theirs in zip(found, expected, strict=True):
        assert len(theirs) > 0
        np.testing.assert_allclose(columns(ours)[1], columns(theirs)[1], rtol=0, atol=1e-4)
        order_of_ours, order_of_theirs = (np.lexsort(d.xyxy.round(1).T) for d in (ours, theirs))
        np.testing.assert_allclose(
            ours.xyxy[order_of_ours], theirs.xyxy[order_of_theirs], rtol=0, atol=1e-2
        )


def test_no_tags_no_images_and_nothing_above_the_threshold(
    detector: GroundingDINODetector, pictures: list[Pixels]
) -> None:
    assert detector.detect([], [], threshold=0.3) == []
    nothing = detector.detect(pictures[:2], [Tags.of([]), Tags.of(["dog"])], threshold=1.0)
    for found in nothing:
        boxes, scores, rows, names = columns(found)
        assert (boxes.shape, boxes.dtype) == ((0, 4), np.float32)
        assert (scores.shape, scores.dtype) == ((0,), np.float32)
        assert (rows.shape, rows.dtype.kind) == ((0,), "i")
        assert (names.shape, names.dtype.kind) == ((0,), "U")
    assert len(sv.Detections.merge([*nothing, *nothing])) == 0


def test_boxes_lie_inside_their_image(
    detector: GroundingDINODetector, pictures: list[Pixels]
) -> None:
    tall = np.ascontiguousarray(pictures[0][:, :9])
    dot = np.full((1, 1, 3), 200, np.uint8)
    for found, image in zip(
        detector.detect([tall, dot], [Tags.of(["dog"])] * 2, threshold=0.0),
        (tall, dot),
        strict=True,
    ):
        height, width = image.shape[:2]
        assert len(found) > 0
        assert (found.xyxy >= 0).all()
        assert (found.xyxy <= np.array([width, height, width, height])).all()
        assert (found.xyxy[:, :2] < found.xyxy[:, 2:]).all()


def test_boxes_without_area_are_dropped(
    detector: GroundingDINODetector, pictures: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = detector.detect(pictures[:1], [Tags.of(["dog"])], threshold=0.0)
    broken = before.xyxy.copy()
    broken[0, 2] = broken[0, 0]
    broken[1, 3] = broken[1, 1] - 1
    broken[2, 0] = np.nan
    module = "grounded_ram.detection.answers.cxcywh_to_xyxy"
    monkeypatch.setattr(module, lambda *_: broken)
    (after,) = detector.detect(pictures[:1], [Tags.of(["dog"])], threshold=0.0)
    assert len(after) == len(before) - 3


def test_nothing_stays_behind(detector: GroundingDINODetector, pictures: list[Pixels]) -> None:
    def state() -> list[list[str]]:
        return [sorted(vars(module)) for module in detector.network.modules()]

    before, own = state(), sorted(vars(detector))
    first = detector.detect(pictures[:1], [Tags.of(["dog"])], threshold=0.1)
    detector.detect(pictures[2:], [Tags.of(["train"])], threshold=0.1)
    assert (state(), sorted(vars(detector))) == (before, own)
    assert_equal(first[0], detector.detect(pictures[:1], [Tags.of(["dog"])], threshold=0.1)[0])


def test_bfloat16_finds_boxes(
    network: GroundingDINO, tokenizer: PromptTokenizer, pictures: list[Pixels]
) -> None:
    detector = GroundingDINODetector(
        network, tokenizer, short_side=64, long_side=110, dtype=torch.bfloat16
    )
    (found,) = detector.detect(pictures[:1], [Tags.of(["dog", "train"])], threshold=0.1)
    assert len(found) > 3
    assert found.xyxy.dtype == columns(found)[1].dtype == np.float32


@pytest.mark.gpu
def test_an_accelerator_gives_the_same(
    network: GroundingDINO, tokenizer: PromptTokenizer, pictures: list[Pixels]
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    tags = [Tags.of(["dog", "train", "fire hydrant"])] * 3
    found = []
    for device in ("cpu", "cuda"):
        detector = GroundingDINODetector(
            network.to(device), tokenizer, short_side=64, long_side=110
        )
        found.append(detector.detect(pictures, tags, threshold=0.3))
    network.to("cpu")
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(columns(ours)[1], columns(theirs)[1], rtol=0, atol=1e-2)


class TestErrors:
    def test_tags_for_another_number_of_images(
        self, detector: GroundingDINODetector, pictures: list[Pixels]
    ) -> None:
        with pytest.raises(InputError, match="expected tags for 2 images, got 1"):
            detector.detect(pictures[:2], [Tags.of(["dog"])], threshold=0.3)

    def test_a_tag_beyond_the_text_encoders_positions_is_named(
        self, detector: GroundingDINODetector, pictures: list[Pixels]
    ) -> None:
        fits = " ".join(["dog"] * 63)
        detector.detect(pictures[:1], [Tags.of([fits])], threshold=0.3)
        with pytest.raises(InputError, match=f"'{fits} dog' is 64 tokens long, at most 63 fit"):
            detector.detect(pictures[:1], [Tags.of(["train", f"{fits} dog"])], threshold=0.3)

    def test_an_empty_tag_is_named(
        self, detector: GroundingDINODetector, pictures: list[Pixels]
    ) -> None:
        with pytest.raises(InputError, match=r"tag '\?' has no text"):
            detector.detect(pictures[:1], [Tags.of(["dog", "?"])], threshold=0.3)


class TestLoading:
    @pytest.fixture
    def checkpoint(self, case: Path, tmp_path: Path, model_settings: dict[str, Any]) -> Checkpoint:
        config = tmp_path / "config.json"
        written = {"model": model_settings, "short_side": SIDES[0], "long_side": SIDES[1]}
        config.write_text(json.dumps(written), encoding="utf-8")
        paths = {
            "weights": case / "state_dict.safetensors",
            "vocab": case / "vocab.txt",
            "config": config,
        }
        files = {
            role: WeightFile(name=path.name, source=f"file:{path}") for role, path in paths.items()
        }
        return Checkpoint(name="grounding-dino:x", summary="", licence="Apache-2.0", files=files)

    def test_a_checkpoint_gives_the_detector(
        self,
        checkpoint: Checkpoint,
        detector: GroundingDINODetector,
        pictures: list[Pixels],
    ) -> None:
        loaded = load_grounding_dino(checkpoint, device=torch.device("cpu"), dtype=torch.float32)
        tags = [Tags.of(["dog", "train"])]
        (ours,) = loaded.detect(pictures[:1], tags, threshold=0.2)
        (theirs,) = detector.detect(pictures[:1], tags, threshold=0.2)
        assert len(ours) > 0
        assert_equal(ours, theirs)
        assert not any(p.requires_grad for p in loaded.network.parameters())

    def test_a_vocabulary_larger_than_the_text_encoder_is_refused(
        self, checkpoint: Checkpoint, model_settings: dict[str, Any], tmp_path: Path
    ) -> None:
        smaller = model_settings | {"bert": model_settings["bert"] | {"vocab_size": 1000}}
        (tmp_path / "config.json").write_text(json.dumps({"model": smaller}), encoding="utf-8")
        with pytest.raises(WeightsError, match="vocabulary has 1225 tokens, the text encoder 1000"):
            load_grounding_dino(checkpoint, device=torch.device("cpu"), dtype=torch.float32)
