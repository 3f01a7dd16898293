import numpy as np
import pytest
import supervision as sv
import torch

from grounded_ram.segmentation import masks as masks_module
from grounded_ram.segmentation.masks import chunks, compact, no_masks, pack, stability, with_masks
from tests.segmentation.small_networks import detections


def binarise(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, 0].repeat_interleave(2, 1).repeat_interleave(3, 2) > 0


def test_compact_masks_lose_no_pixel() -> None:
    masks = np.zeros((4, 9, 12), bool)
    masks[0, 2:5, 3:8] = True
    masks[0, 8, 11] = True  # a far part
    masks[1, 0, 0] = True
    masks[3] = True
    np.testing.assert_array_equal(np.asarray(compact(masks)), masks)


@pytest.mark.parametrize("pixels", [1, 60, 150, 2**24])
def test_groups_change_nothing_and_are_no_larger_than_allowed(
    pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masks_module, "_PIXELS_AT_ONCE", pixels)
    logits = torch.randn((7, 1, 5, 4), generator=torch.Generator().manual_seed(0))
    seen: list[int] = []

    def watched(group: torch.Tensor) -> torch.Tensor:
        seen.append(len(group))
        return binarise(group)

    np.testing.assert_array_equal(np.asarray(pack(logits, (10, 12), watched)), binarise(logits))
    assert sum(seen) == 7
    assert max(seen) == max(1, min(7, pixels // 120))


def test_no_masks_pack_as_no_masks() -> None:
    for none in (no_masks((6, 8)), pack(torch.zeros((0, 1, 3, 4)), (6, 8), binarise)):
        assert isinstance(none, sv.CompactMask)
        assert none.shape == (0, 6, 8)


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
