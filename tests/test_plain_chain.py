from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import supervision as sv
import torch
from groundingdino.util.utils import get_phrases_from_posmap
from transformers import BertTokenizerFast

from grounded_ram.annotation import Tags
from grounded_ram.detection.grounding_dino import GroundingDINODetector
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.scenes.scene import make_scene
from tests.plain_chain import MAX_TOKENS, PlainChain, caption_ids, decode

SEEDS = (2_000_001, 2_000_011)
TOKENS = ("[CLS]", "ice", "cream", ".", "t", "##o", "##y", "car", ".", "[SEP]")


class NoTags:
    def tag(self, images: object, *, threshold: float | None = None) -> list[Tags]:
        return [Tags.of([])]


@pytest.fixture(scope="module")
def model() -> GroundedRAM:
    return GroundedRAM("tiny", device="cpu")


@pytest.fixture(scope="module")
def detector(model: GroundedRAM) -> GroundingDINODetector:
    assert isinstance(model.detector, GroundingDINODetector)
    return model.detector


def said(*words: str) -> str:
    likely = [0.9 if token in words else 0.1 for token in TOKENS]
    return decode(TOKENS, np.array(likely, np.float32), 0.2)


def test_labels_are_all_likely_tokens_wherever_they_are() -> None:
    assert said("ice", "cream") == "ice cream"
    assert said("cream", "car") == "cream car"
    assert said("t", "##o", "##y", "car") == "toy car"
    assert said() == ""
    assert said("[CLS]", "car") == "car"
    assert said("car", "[SEP]") == "car [SEP]"
    likely = np.full(len(TOKENS), 0.2, np.float32)
    assert decode(TOKENS, likely, float(np.float32(0.2))) == ""


def test_the_last_place_of_a_full_caption_is_not_read() -> None:
    tokens = ("[CLS]", *["car"] * 253, "ice", "cream")
    assert decode(tokens, np.array([0.0] * 254 + [0.9, 0.9], np.float32), 0.2) == "ice"


def test_labels_are_those_of_the_official_decoding(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[MASK]", *dict.fromkeys(TOKENS)]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    encoded = {"input_ids": tokenizer.convert_tokens_to_ids(list(TOKENS))}
    rng = np.random.default_rng(0)
    for _ in range(50):
        likely = rng.random(len(TOKENS), np.float32)
        expected = get_phrases_from_posmap(torch.tensor(likely > 0.5), encoded, tokenizer)
        assert decode(TOKENS, likely, 0.5) == expected


def test_the_caption_holds_every_tag_in_order_and_is_cut(detector: GroundingDINODetector) -> None:
    encode = detector._tokenizer.encode
    start, end = detector._tokenizer.cls_id, detector._tokenizer.sep_id
    tags = Tags.of(["red", "ice cream", "Car"])
    assert caption_ids(tags, detector) == (start, *encode("red . ice cream . car ."), end)
    many = caption_ids(Tags.of([f"car {number}" for number in range(100, 300)]), detector)
    assert len(many) == MAX_TOKENS
    assert end not in many


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_are_likely_and_have_masks_and_labels(model: GroundedRAM, seed: int) -> None:
    scene = make_scene(seed)
    found = PlainChain(model).annotate(scene.image)
    assert len(found) > 0
    scores = np.asarray(found.confidence)
    assert (scores > 0.25).all()
    assert (np.diff(scores) <= 0).all()
    assert np.asarray(found.mask).shape == (len(found), 256, 256)
    words = {word for label in found.data["class_name"] for word in label.split()}
    asked = {word for name in model.tagger.tag([scene.image])[0].names for word in name.split()}
    assert words & {word for thing in scene.objects for word in thing.name.split()}
    assert words <= asked


def test_no_two_boxes_overlap_by_half_whatever_their_labels(model: GroundedRAM) -> None:
    found = PlainChain(model).see(make_scene(SEEDS[0]).image, 0.05).found
    overlaps = sv.box_iou_batch(found.xyxy, found.xyxy)[~np.eye(len(found), dtype=bool)]
    assert (overlaps <= 0.5).all()
    assert overlaps.max() > 0.3


def test_thresholds_may_be_applied_later(model: GroundedRAM) -> None:
    image = make_scene(SEEDS[0]).image
    seen = PlainChain(model).see(image, 0.05)
    assert np.asarray(seen.found.confidence).min() > 0.05
    assert seen.probabilities.shape == (len(seen.found), len(seen.tokens))
    for box, text in ((0.1, 0.3), (0.5, 0.1)):
        at_once = PlainChain(model, box_threshold=box, text_threshold=text).annotate(image)
        later = seen.detections(box, text)
        assert 0 < len(later) < len(seen.found)
        np.testing.assert_array_equal(later.xyxy, at_once.xyxy)
        np.testing.assert_array_equal(later.confidence, at_once.confidence)
        np.testing.assert_array_equal(later.data["class_name"], at_once.data["class_name"])
        np.testing.assert_array_equal(np.asarray(later.mask), np.asarray(at_once.mask))


def test_no_boxes(model: GroundedRAM) -> None:
    found = PlainChain(model, box_threshold=1.0).annotate(make_scene(SEEDS[0]).image)
    assert len(found) == len(found.data["class_name"]) == 0
    assert np.asarray(found.mask).shape == (0, 256, 256)


def test_no_tags_ask_for_a_full_stop(model: GroundedRAM, detector: GroundingDINODetector) -> None:
    untagged = GroundedRAM(
        "tiny", tagger=NoTags(), detector=detector, segmenter=model.segmenter, device="cpu"
    )
    seen = PlainChain(untagged).see(make_scene(SEEDS[0]).image, 0.0)
    assert seen.tokens == ("[CLS]", ".", "[SEP]")
    assert set(seen.phrases(0.0)) <= {". [SEP]", ".", "[SEP]", ""}
