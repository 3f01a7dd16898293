import pytest
import torch
from torch.nn.functional import interpolate

from grounded_ram.segmentation import upscaling
from grounded_ram.segmentation.upscaling import Step, upscale


def blobs(seed: int = 0) -> torch.Tensor:
    """Return (8, 32, 32) logits: noise, all, nothing, and single cells at corners and borders."""
    noise = torch.randn((8, 1, 6, 6), generator=torch.Generator().manual_seed(seed)) - 1
    logits = interpolate(noise, (32, 32), mode="bicubic")[:, 0].contiguous()
    logits[1] = logits[1].abs() + 0.1
    logits[2:] = -logits[2:].abs() - 0.1
    for row, (y, x) in enumerate([(0, 0), (31, 31), (0, 31), (12, 5), (31, 0)], 3):
        logits[row, y, x] = 3.0
    return logits


def whole(logits: torch.Tensor, steps: list[Step]) -> torch.Tensor:
    """Return the masks as SAM's own code makes them: every pixel of the picture."""
    maps = logits[:, None]
    for step in steps:
        maps = interpolate(maps, step.size_hw, mode="bilinear", align_corners=False)
        if step.kept_hw is not None:
            maps = maps[..., : step.kept_hw[0], : step.kept_hw[1]]
    return maps[:, 0] > 0


@pytest.mark.parametrize(
    "steps",
    [
        [Step((128, 128), (96, 128)), Step((480, 640))],
        [Step((128, 128), (128, 40)), Step((37, 11))],
        [Step((128, 128), (1, 128)), Step((2, 300))],
        [Step((128, 128)), Step((128, 128))],
        [Step((50, 71))],
        [Step((32, 32))],
        [Step((9, 13))],
    ],
)
@pytest.mark.parametrize("numbers", [1, 2**10, 2**22])
def test_windows_hold_the_pixels_of_the_whole(
    steps: list[Step], numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upscaling, "PIECE_NUMBERS", numbers)
    logits = blobs()
    expected = whole(logits, steps)
    found = torch.zeros_like(expected)
    for row, window in enumerate(upscale(logits, steps)):
        height, width = window.mask.shape
        place = slice(window.top, window.top + height), slice(window.left, window.left + width)
        found[row][place] = window.mask
    assert expected.any()
    assert torch.equal(found, expected)


def test_a_small_mask_has_a_small_window() -> None:
    window = upscale(blobs(), [Step((128, 128), (96, 128)), Step((3000, 4000))])[6]
    assert window.mask.any()
    assert window.mask.numel() < 3000 * 4000 / 50


def test_no_masks_have_no_windows() -> None:
    assert upscale(torch.zeros((0, 4, 4)), [Step((8, 8))]) == []
