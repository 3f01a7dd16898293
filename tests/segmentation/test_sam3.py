import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch
import transformers
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from grounded_ram.annotation import Tags
from grounded_ram.errors import InputError, MissingDependencyError, WeightsError
from grounded_ram.segmentation.masks import compact, with_masks
from grounded_ram.segmentation.sam2 import SAM2Segmenter
from grounded_ram.segmentation.sam3 import HALVES, SAM3, load_sam3, open_tokenizer
from grounded_ram.weights import Checkpoint
from tests.segmentation.small_networks import (
    CPU,
    SIDE,
    assert_close,
    assert_same,
    clip_tokenizer,
    detections,
    need,
    old_transformers,
    picture,
    sam3_tracker,
    sam3_video,
    write_files,
)

need("Sam3Model")
need("Sam3TrackerModel")
IMAGE, OTHER = picture(47, 90), picture(60, 33, seed=3)
TAGS = Tags.of(["park", "Car", "big dog"])
LOW = 0.1
BOXES = [[5, 5, 40, 40], [20, 10, 80, 46]]


@pytest.fixture(scope="module")
def video() -> Any:
    return sam3_video()


@pytest.fixture(scope="module")
def sam3(video: Any) -> SAM3:
    return SAM3(video.detector_model, sam3_tracker(), clip_tokenizer(), device=CPU)


@pytest.fixture(scope="module")
def processor() -> Any:
    """The class's own way of preparing images and texts."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=clip_tokenizer(), pad_token="<|endoftext|>"
    )
    name = "Sam3ImageProcessor" if hasattr(transformers, "Sam3ImageProcessor") else None
    images = getattr(transformers, name or "Sam3ImageProcessorFast")
    return transformers.Sam3Processor(images(size={"height": SIDE, "width": SIDE}), tokenizer)


@pytest.fixture(scope="module")
def answers(video: Any, processor: Any) -> dict[str, Any]:
    """What the class itself finds of each tag, the texts padded as its processor pads them."""
    found = {}
    for name in TAGS.names:
        given = processor(images=IMAGE, text=name, return_tensors="pt")
        given.pop("original_sizes")
        with torch.inference_mode():
            found[name] = video.detector_model(**given)
    return found


def find(sam3: SAM3, image: NDArray[np.uint8] = IMAGE, tags: Tags = TAGS) -> sv.Detections:
    [found] = sam3.detect([image], [tags], threshold=LOW)
    return found


def rows_of(found: sv.Detections, name: str) -> sv.Detections:
    return found.select(found.data["class_name"] == name)


def assert_same_objects(a: sv.Detections, b: sv.Detections) -> None:
    assert_same(a, b)
    np.testing.assert_array_equal(a.confidence, b.confidence)
    assert a.data["class_name"].tolist() == b.data["class_name"].tolist()


# --- against the class's own processor ------------------------------------------------------------


def test_objects_are_those_of_the_processor(
    sam3: SAM3, processor: Any, answers: dict[str, Any]
) -> None:
    found = find(sam3)
    height, width = IMAGE.shape[:2]
    for name, answer in answers.items():
        [expected] = processor.post_process_object_detection(
            answer, threshold=LOW, target_sizes=[(height, width)]
        )
        order = expected["scores"].argsort(descending=True)
        ours = rows_of(found, name)
        np.testing.assert_allclose(ours.confidence, expected["scores"][order], atol=1e-5)
        boxes = expected["boxes"][order].numpy().clip(0, [width, height] * 2)
        np.testing.assert_allclose(ours.xyxy, boxes, atol=1e-3)


def test_masks_are_the_logits_blown_up_and_cut_at_zero(sam3: SAM3, answers: dict[str, Any]) -> None:
    """As the released code does it; the class's processor blows up their sigmoid instead."""
    found = find(sam3)
    for name, answer in answers.items():
        scores = (answer.pred_logits.sigmoid() * answer.presence_logits.sigmoid())[0]
        rows = [row for row in scores.argsort(descending=True) if scores[row] > LOW]
        logits = interpolate(answer.pred_masks[:, rows], IMAGE.shape[:2], mode="bilinear")[0]
        masks = np.asarray(rows_of(found, name).mask)
        assert len(masks) == len(rows) > 0
        assert np.mean(masks != (logits > 0).numpy()) < 1e-3


def test_pixels_are_those_of_the_processor(
    sam3: SAM3, processor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    look = sam3.model.get_vision_features
    monkeypatch.setattr(
        sam3.model, "get_vision_features", lambda batch: (seen.append(batch), look(batch))[1]
    )
    find(sam3)
    theirs = processor(images=IMAGE, return_tensors="pt")["pixel_values"]
    np.testing.assert_allclose(seen[0], theirs, atol=1e-5, rtol=0)


# --- what a detector and a segmenter promise ------------------------------------------------------


def test_columns_are_those_of_both_stages(sam3: SAM3) -> None:
    found = find(sam3)
    n = len(found)
    assert n > 6
    assert isinstance(found.mask, sv.CompactMask)
    assert found.mask.shape == (n, 47, 90)
    assert (found.xyxy.dtype, found.confidence.dtype) == (np.float32, np.float32)
    assert (found.confidence[:-1] >= found.confidence[1:]).all()
    assert (found.confidence > LOW).all()
    np.testing.assert_array_equal(found.data["mask_score"], found.confidence)
    assert [TAGS.names[row] for row in found.class_id] == found.data["class_name"].tolist()
    assert (found.xyxy >= 0).all()
    assert (found.xyxy[:, :2] < found.xyxy[:, 2:]).all()
    assert (found.xyxy[:, 2:] <= [90, 47]).all()


def test_a_score_at_the_threshold_is_dropped(sam3: SAM3) -> None:
    best = float(find(sam3).confidence[0])
    [at], [below] = (
        sam3.detect([IMAGE], [TAGS], threshold=threshold)
        for threshold in (best, np.nextafter(np.float32(best), np.float32(0)).item())
    )
    assert (len(at), len(below)) == (0, 1)


def test_the_order_of_tags_and_other_tags_have_no_effect(sam3: SAM3) -> None:
    found = find(sam3)
    turned = find(sam3, tags=Tags.of(TAGS.names[::-1]))
    assert_same_objects(found, turned)
    np.testing.assert_array_equal(turned.class_id, 2 - found.class_id)
    assert_same_objects(rows_of(found, "Car"), find(sam3, tags=Tags.of(["Car"])))


def test_equal_scores_come_in_alphabetical_order(sam3: SAM3) -> None:
    """CLIP reads both names the same."""
    for names in (["car", "Car"], ["Car", "car"]):
        found = find(sam3, tags=Tags.of(names))
        assert len(set(found.confidence.tolist())) == len(found) / 2
        first = found.data["class_name"][np.flatnonzero(np.diff(found.confidence) == 0)]
        assert set(first.tolist()) == {"Car"}


def test_boxes_without_area_are_dropped(video: Any) -> None:
    flat = deepcopy(video.detector_model)
    last = list(flat.detr_decoder.box_head.modules())[-1]
    last.bias.data[2] = -200.0  # the logit of the width
    found = find(SAM3(flat, sam3_tracker(), clip_tokenizer(), device=CPU))
    assert len(found) == len(found.mask) == 0


def test_two_images_in_one_call_equal_the_singles(sam3: SAM3) -> None:
    few = Tags.of(["car"])
    together = sam3.detect([IMAGE, OTHER], [TAGS, few], threshold=LOW)
    assert_same_objects(together[0], find(sam3))
    assert_same_objects(together[1], find(sam3, OTHER, few))
    assert together[1].mask.shape[1:] == (60, 33)


def test_an_image_is_encoded_once_and_without_tags_not_at_all(sam3: SAM3) -> None:
    calls: list[int] = []
    handle = sam3.model.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        _, none = sam3.detect([IMAGE, OTHER], [TAGS, Tags.of([])], threshold=LOW)
    finally:
        handle.remove()
    assert len(calls) == 1
    assert none.mask.shape == (0, 60, 33)
    assert set(none.data) == {"class_name", "mask_score"}
    assert (none.xyxy.shape, none.confidence.dtype, none.class_id.dtype.kind) == (
        (0, 4),
        np.float32,
        "i",
    )


def test_nothing_above_the_threshold_is_an_ordinary_answer(sam3: SAM3) -> None:
    [found] = sam3.detect([IMAGE], [TAGS], threshold=0.99)
    assert len(found) == len(found.mask) == len(found.data["mask_score"]) == 0
    assert sam3.detect([], [], threshold=LOW) == []


def test_a_very_long_tag_is_cut(video: Any, tmp_path: Path) -> None:
    clip_tokenizer().save(str(tmp_path / "t.json"))
    tokenizer = open_tokenizer(tmp_path / "t.json", video.detector_model.config.text_config)
    long = " ".join(["car"] * 50)
    assert tokenizer.encode(long).ids == [0, *[55] * 30, 1]  # the end of the text stays
    sam3 = SAM3(video.detector_model, sam3_tracker(), tokenizer, device=CPU)
    assert len(find(sam3, tags=Tags.of([long])))


def test_counts_must_fit(sam3: SAM3) -> None:
    with pytest.raises(InputError, match="expected tags for 1 images, got 2"):
        sam3.detect([IMAGE], [TAGS, TAGS], threshold=LOW)
    with pytest.raises(InputError, match="got 0 for 1 images"):
        sam3.segment([IMAGE], [])


def test_bfloat16_stays_close_and_keeps_exact_positions(sam3: SAM3, video: Any) -> None:
    half = SAM3(
        video.detector_model, sam3_tracker(), clip_tokenizer(), device=CPU, dtype=torch.bfloat16
    )
    exact, rough = sam3._see(IMAGE), half._see(IMAGE)
    for a, b in zip(exact.fpn_hidden_states, rough.fpn_hidden_states, strict=True):
        assert b.dtype == torch.float32
        assert 0 < (a - b).abs().mean() < 0.05 * a.std()
    for a, b in zip(exact.fpn_position_encoding, rough.fpn_position_encoding, strict=True):
        np.testing.assert_array_equal(a, b)
    assert abs(len(find(half)) - len(find(sam3))) <= 2


# --- boxes of others, and masks of its own --------------------------------------------------------


def test_masks_that_are_there_stay_and_others_are_cut(sam3: SAM3) -> None:
    own = find(sam3)
    cut = sam3.tracker.segment([OTHER], [detections(BOXES)])[0]
    found = sam3.segment([IMAGE, OTHER, IMAGE], [own, detections(BOXES), detections([])])
    assert found[0] is own
    assert_same(found[1], cut)
    assert found[2].mask.shape == (0, 47, 90)


def test_a_mask_without_a_score_is_cut_anew(sam3: SAM3) -> None:
    given = detections(BOXES)
    full = with_masks(given, compact(np.ones((2, 47, 90), bool)), *np.zeros((2, 2), np.float32))
    [found] = sam3.segment([IMAGE], [replace(full, data=given.data)])
    assert_same(found, sam3.tracker.segment([IMAGE], [given])[0])


# --- files ----------------------------------------------------------------------------------------


@pytest.fixture
def row(video: Any, tmp_path: Path) -> Checkpoint:
    """The files as they are released: one network for videos, of which both ours are parts."""
    clip_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return write_files(tmp_path, video, tokenizer="tokenizer.json")


def test_both_networks_come_from_one_file(row: Checkpoint, video: Any, sam3: SAM3) -> None:
    found = load_sam3(row, device=CPU, dtype=torch.float32)
    assert_close(find(found), find(sam3))
    tracker = found.tracker.model
    assert tracker.vision_encoder.backbone is found.model.vision_encoder.backbone
    parts = {"neck": (tracker.vision_encoder.neck, video.tracker_neck)}
    for name in ("mask_decoder", "prompt_encoder"):
        parts[name] = getattr(tracker, name), getattr(video.tracker_model, name)
    for loaded, original in parts.values():
        for key, tensor in original.state_dict().items():
            np.testing.assert_array_equal(loaded.state_dict()[key], tensor, err_msg=key)
    same = SAM2Segmenter(tracker, device=CPU, pixels=HALVES)
    given = [IMAGE], [detections(BOXES)]
    assert_same(found.segment(*given)[0], same.segment(*given)[0])


def test_a_missing_tensor_is_told(row: Checkpoint, video: Any, tmp_path: Path) -> None:
    for part, key in (
        (lambda network: network.detector_model.detr_decoder, "presence_token.weight"),
        (lambda network: network.tracker_model.mask_decoder, "iou_token.weight"),
    ):
        broken = deepcopy(video)
        name, _ = key.split(".")
        delattr(part(broken), name)
        write_files(tmp_path, broken)
        with pytest.raises(WeightsError, match=f"missing .*{key}"):
            load_sam3(row, device=CPU, dtype=torch.float32)


def test_a_wrong_tokenizer_is_told(row: Checkpoint, video: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"small:mine: expected a tokenizer\.json, there"):
        load_sam3(write_files(tmp_path, video), device=CPU, dtype=torch.float32)
    large = clip_tokenizer()
    large.add_tokens([f"word {number}" for number in range(40)])
    large.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(WeightsError, match="has 96 tokens, the text encoder 64"):
        load_sam3(row, device=CPU, dtype=torch.float32)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"expected a tokenizer\.json, got"):
        load_sam3(row, device=CPU, dtype=torch.float32)


def test_an_old_transformers_is_told_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", old_transformers())
    row = Checkpoint(name="sam3:none", summary="", licence="", files={})
    with pytest.raises(MissingDependencyError, match=r"Sam3Model came with transformers 5\.0"):
        load_sam3(row, device=CPU, dtype=torch.float32)
