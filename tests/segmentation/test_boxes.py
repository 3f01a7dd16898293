"""What every segmenter of boxes promises, over small networks of each family."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import supervision as sv
import torch
import transformers

from grounded_ram.errors import InputError
from grounded_ram.segmentation import masks as masks_module
from grounded_ram.segmentation.boxes import BoxSegmenter, scale_boxes
from grounded_ram.segmentation.sam2 import SAM2Segmenter
from grounded_ram.segmentation.sam_hq import SAMHQSegmenter
from tests.segmentation import small_networks
from tests.segmentation.small_networks import CPU, assert_same, detections, picture

IMAGE, OTHER = picture(70, 90), picture(41, 23, seed=5)
BOXES = [[5, 5, 40, 40], [20, 10, 80, 60], [50, 40, 85, 68], [0, 0, 90, 70], [60, 2, 88, 30]]
FAMILIES: dict[str, tuple[str, Callable[..., BoxSegmenter[Any, Any]]]] = {
    "sam_hq": ("SamHQModel", SAMHQSegmenter),
    "sam2": ("Sam2Model", SAM2Segmenter),
    "edgetam": ("EdgeTamModel", SAM2Segmenter),
    "sam3_tracker": ("Sam3TrackerModel", SAM2Segmenter),
}


class Family:
    """One family's small network, and its segmenter in any settings."""

    def __init__(self, name: str) -> None:
        self.network = getattr(small_networks, name)()
        self.make = FAMILIES[name][1]

    def segmenter(self, **options: Any) -> BoxSegmenter[Any, Any]:
        return self.make(self.network, device=CPU, **options)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    if not hasattr(transformers, FAMILIES[request.param][0]):
        pytest.skip(f"transformers {transformers.__version__} has no {FAMILIES[request.param][0]}")
    return Family(request.param)


@pytest.fixture(scope="module")
def segmenter(family: Family) -> BoxSegmenter[Any, Any]:
    return family.segmenter()


def pixels(found: sv.Detections) -> np.ndarray:
    return np.asarray(found.mask)


def test_boxes_matter_and_scores_are_shares(segmenter: BoxSegmenter[Any, Any]) -> None:
    [found] = segmenter.segment([IMAGE], [detections(BOXES)])
    assert isinstance(found.mask, sv.CompactMask)
    assert found.mask.shape == (5, 70, 90)
    scores = found.data["mask_score"]
    [embedded] = segmenter.embed([IMAGE])
    logits, _ = segmenter.decode(embedded, np.array(BOXES, np.float32))
    np.testing.assert_array_equal(found.data["mask_stability"], masks_module.stability(logits))
    assert scores.dtype == np.float32
    assert ((scores > 0) & (scores < 1)).all()
    assert len(set(scores.tolist())) == len({mask.tobytes() for mask in pixels(found)}) == 5
    assert 0.01 < pixels(found).mean() < 0.99


def test_two_unlike_sizes_in_one_call_equal_the_singles_to_the_bit(
    segmenter: BoxSegmenter[Any, Any],
) -> None:
    images, rows = [IMAGE, OTHER], [detections(BOXES), detections([[2, 3, 20, 30]])]
    together = segmenter.segment(images, rows)
    for i in range(2):
        assert_same(together[i], segmenter.segment([images[i]], [rows[i]])[0])
    turned = segmenter.segment(images[::-1], rows[::-1])[::-1]
    for before, after in zip(together, turned, strict=True):
        assert_same(before, after)


def test_larger_batches_agree(family: Family, segmenter: BoxSegmenter[Any, Any]) -> None:
    images = [OTHER, IMAGE, picture(70, 90, seed=8)]
    rows = [detections([[2, 3, 20, 30]]), detections(BOXES), detections(BOXES[1:])]
    wide = family.segmenter(batch_size=2).segment(images, rows)
    for one, many in zip(segmenter.segment(images, rows), wide, strict=True):
        np.testing.assert_allclose(one.data["mask_score"], many.data["mask_score"], atol=1e-4)
        assert np.mean(pixels(one) != pixels(many)) < 1e-3


def test_boxes_one_by_one_agree_and_stay_in_order(
    family: Family, segmenter: BoxSegmenter[Any, Any]
) -> None:
    [whole] = segmenter.segment([IMAGE], [detections(BOXES)])
    for at_once in (1, 3):
        [pieces] = family.segmenter(boxes_at_once=at_once).segment([IMAGE], [detections(BOXES)])
        np.testing.assert_allclose(
            whole.data["mask_score"], pieces.data["mask_score"], atol=1e-4, rtol=0
        )
        assert (pixels(whole) != pixels(pieces)).mean(axis=(1, 2)).max() < 1e-3


def test_no_boxes_skip_the_encoder_and_keep_every_column(
    segmenter: BoxSegmenter[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(images: Any) -> Any:
        raise AssertionError("the encoder was run")

    monkeypatch.setattr(segmenter, "embed", fail)
    for empty in (detections([]), sv.Detections.empty()):
        [found] = segmenter.segment([IMAGE], [empty])
        assert isinstance(found.mask, sv.CompactMask)
        assert found.mask.shape == (0, 70, 90)
        assert (found.data["mask_score"].dtype, found.data["mask_score"].shape) == (
            np.float32,
            (0,),
        )
    assert segmenter.segment([], []) == []


def test_an_image_without_boxes_between_others(segmenter: BoxSegmenter[Any, Any]) -> None:
    rows = [detections(BOXES), detections([]), detections(BOXES[:1])]
    found = segmenter.segment([IMAGE, OTHER, IMAGE], rows)
    assert [one.mask.shape for one in found] == [(5, 70, 90), (0, 41, 23), (1, 70, 90)]
    assert_same(found[2], segmenter.segment([IMAGE], rows[2:])[0])


@pytest.mark.parametrize(
    "box",
    [[50, 40, 51, 41], [0, 0, 1, 1], [89, 69, 90, 70], [0, 30, 90, 30.5], [30, 20, 30, 20]],
)
def test_slivers_are_boxes(segmenter: BoxSegmenter[Any, Any], box: list[float]) -> None:
    [found] = segmenter.segment([IMAGE], [detections([box])])
    assert found.mask.shape == (1, 70, 90)
    assert 0 <= found.data["mask_score"][0] <= 1


def test_one_pixel_and_very_long_images(segmenter: BoxSegmenter[Any, Any]) -> None:
    images = [np.full((1, 1, 3), 90, np.uint8), picture(9000, 3)]
    found = segmenter.segment(images, [detections([[0, 0, 1, 1]]), detections([[0, 5, 3, 900]])])
    assert [one.mask.shape for one in found] == [(1, 1, 1), (1, 9000, 3)]


def test_empty_masks_are_ordinary(family: Family) -> None:
    network = deepcopy(family.network)
    decoder = network.mask_decoder
    for head in [*decoder.output_hypernetworks_mlps, getattr(decoder, "hq_mask_mlp", None)]:
        if head is not None:
            head.proj_out.weight.data.zero_()
            head.proj_out.bias.data.zero_()
    [found] = family.make(network, device=CPU).segment([IMAGE], [detections(BOXES)])
    assert found.mask.area.tolist() == [0] * 5  # a logit of 0 is no pixel
    assert not np.asarray(found[1:3].mask).any()


def test_rows_and_inputs_stay_as_they_were(segmenter: BoxSegmenter[Any, Any]) -> None:
    given, image = detections(BOXES), IMAGE.copy()
    [found] = segmenter.segment([image], [given])
    assert given.mask is None
    assert "mask_score" not in given.data
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(found.xyxy, given.xyxy)
    np.testing.assert_array_equal(found.confidence, given.confidence)
    np.testing.assert_array_equal(found.class_id, given.class_id)
    np.testing.assert_array_equal(found.data["class_name"], given.data["class_name"])


def test_a_missing_detections_is_refused(segmenter: BoxSegmenter[Any, Any]) -> None:
    with pytest.raises(InputError, match="got 0 for 1 images"):
        segmenter.segment([IMAGE], [])


@pytest.mark.parametrize("option", ["batch_size", "boxes_at_once"])
def test_an_empty_batch_is_refused(family: Family, option: str) -> None:
    with pytest.raises(InputError, match="batches of 1 or more"):
        family.segmenter(**{option: 0})


def test_bfloat16_stays_close(family: Family, segmenter: BoxSegmenter[Any, Any]) -> None:
    half = family.segmenter(dtype=torch.bfloat16)
    pairs = [zip(*(s.embed([IMAGE])[0].features for s in (segmenter, half)), strict=True)]
    for exact, rough in pairs[0]:
        assert rough.dtype == torch.float32
        assert 0 < (exact - rough).abs().mean() < 0.1 * exact.std()
    a, b = (pixels(s.segment([IMAGE], [detections(BOXES)])[0]) for s in (segmenter, half))
    assert np.mean(a == b) > 0.85


def test_boxes_move_with_their_image() -> None:
    moved = scale_boxes(np.array([[10, 20, 30, 40]]), (40, 100), (20, 200))
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, [[20, 10, 60, 20]], rtol=1e-6)
