import numpy as np
import supervision as sv
import torch
from torch.nn.functional import interpolate

from grounded_ram.segmentation.masks import chunks, compact, no_masks, pack, stability, with_masks
from grounded_ram.segmentation.upscaling import Step
from tests.segmentation.small_networks import detections


def test_compact_masks_lose_no_pixel() -> None:
    masks = np.zeros((4, 9, 12), bool)
    masks[0, 2:5, 3:8] = True
    masks[0, 8, 11] = True  # a far part
    masks[1, 0, 0] = True
    masks[3] = True
    np.testing.assert_array_equal(np.asarray(compact(masks)), masks)


def test_no_masks_pack_as_no_masks() -> None:
    for none in (no_masks((6, 8)), pack(torch.zeros((0, 1, 3, 4)), [Step((6, 8))])):
        assert isinstance(none, sv.CompactMask)
        assert none.shape == (0, 6, 8)


def test_packed_masks_are_those_of_the_whole_image() -> None:
    logits = torch.randn((5, 1, 6, 4), generator=torch.Generator().manual_seed(0)) - 1
    logits[1] = -1.0
    whole = interpolate(logits, (31, 17), mode="bilinear")[:, 0] > 0
    packed = pack(logits, [Step((31, 17))])
    np.testing.assert_array_equal(np.asarray(packed), whole.numpy())
    assert packed.area[1] == 0


def test_columns_are_added_and_the_given_rows_stay() -> None:
    given = detections([[0, 0, 4, 4]])
    scores, stable = np.array([0.5], np.float32), np.array([0.75], np.float32)
    found = with_masks(given, compact(np.ones((1, 6, 8), bool)), scores, stable)
    assert found.mask.area.tolist() == [48]
    assert found.data["mask_score"] is scores
    assert found.data["mask_stability"] is stable
    assert given.mask is None
    assert set(given.data) == {"class_name"}


def test_stability_is_the_overlap_of_a_strict_and_a_loose_mask() -> None:
    logits = torch.full((3, 1, 4, 5), -9.0)
    logits[0, 0, :2] = 9.0  # the same at every threshold
    logits[1, 0, :2] = torch.tensor([9.0, 9.0, 0.5, 0.5, -0.5])  # 4 pixels surely, 10 perhaps
    np.testing.assert_allclose(stability(logits), [1, 0.4, 0], rtol=1e-6)
    assert stability(logits[:0]).shape == (0,)
    assert stability(logits).dtype == np.float32


def test_chunks_hold_every_row_once() -> None:
    assert list(chunks([1, 2, 3, 4, 5], 2)) == [[1, 2], [3, 4], [5]]
    assert list(chunks([], 2)) == []
