from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from groundingdino.models.GroundingDINO.utils import (
    gen_sineembed_for_position,
    get_sine_pos_embed,
)

from grounded_ram.detection.transformer import ImageFeatures, sine_embedding


def test_sine_embedding_is_the_modules_own_at_width_256() -> None:
    torch.manual_seed(0)
    positions = torch.randint(0, 60, (2, 9))[..., None]
    theirs = get_sine_pos_embed(positions, num_pos_feats=256, exchange_xy=False)
    torch.testing.assert_close(sine_embedding(positions, 256), theirs, rtol=0, atol=0)

    boxes = torch.rand(5, 2, 4)
    theirs = gen_sineembed_for_position(boxes)
    torch.testing.assert_close(
        sine_embedding(boxes[..., [1, 0, 2, 3]], 128), theirs, rtol=0, atol=0
    )


@pytest.mark.parametrize("width", [2, 12, 64])
def test_sine_embedding_of_any_width_is_the_formula(width: int) -> None:
    expected = []
    for value in (0.25, 3.0):
        for index in range(width):
            angle = value * 2 * math.pi / 10000 ** (2 * (index // 2) / width)
            expected.append(math.cos(angle) if index % 2 else math.sin(angle))
    ours = sine_embedding(torch.tensor([[0.25, 3.0]]), width)
    assert ours.shape == (1, 2 * width)
    np.testing.assert_allclose(ours[0], expected, atol=1e-5)


def test_cell_centers_run_over_the_picture_without_its_padding() -> None:
    none = torch.empty(0)
    valid = torch.tensor([[[0.5, 1.0], [1.0, 1.0]]])  # (width, height) of two levels
    image = ImageFeatures(none, none, none, ((2, 4), (1, 2)), valid)
    expected = [
        [0.25, 0.25], [0.75, 0.25], [1.25, 0.25], [1.75, 0.25],
        [0.25, 0.75], [0.75, 0.75], [1.25, 0.75], [1.75, 0.75],
        [0.25, 0.5], [0.75, 0.5],
    ]  # fmt: skip
    np.testing.assert_allclose(image.centers()[0], expected, rtol=1e-6)


def test_taken_rows_may_repeat() -> None:
    numbers = torch.arange(3.0)[:, None, None]
    image = ImageFeatures(numbers, numbers, numbers[..., 0] > 1, ((1, 1),), numbers)
    taken = image.take([2, 0, 2])
    for part in (taken.tokens, taken.position, taken.valid):
        assert part.flatten().tolist() == [2, 0, 2]
    assert taken.padding.flatten().tolist() == [True, False, True]
