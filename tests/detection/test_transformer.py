from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from groundingdino.models.GroundingDINO.transformer import (
    DeformableTransformerDecoderLayer,
    TransformerDecoder,
)
from groundingdino.models.GroundingDINO.utils import (
    MLP,
    gen_sineembed_for_position,
    get_sine_pos_embed,
)
from groundingdino.util.misc import inverse_sigmoid

from grounded_ram.detection.network import GroundingDINO
from grounded_ram.detection.transformer import ImageFeatures, TextFeatures, sine_embedding


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


def test_decoder_gives_the_modules_own_boxes_and_gradients(network: GroundingDINO) -> None:
    torch.manual_seed(0)
    ours = network.transformer.decoder
    theirs = TransformerDecoder(
        DeformableTransformerDecoderLayer(
            256, 64, 0.0, n_levels=4, n_points=2, use_text_cross_attention=True
        ),
        2,
        torch.nn.LayerNorm(256),
        return_intermediate=True,
    )
    heads = torch.nn.ModuleList([MLP(256, 256, 4, 3)] * 2)
    theirs.bbox_embed = heads
    theirs.load_state_dict(ours.state_dict())

    shapes, cells = ((4, 6), (2, 3), (1, 2), (1, 1)), 33
    image = ImageFeatures(
        torch.randn(2, cells, 256),
        torch.randn(2, cells, 256),
        torch.zeros(2, cells, dtype=torch.bool),
        shapes,
        torch.rand(2, 4, 2) / 2 + 0.5,
    )
    real = torch.ones(2, 7, dtype=torch.bool)
    text = TextFeatures(torch.randn(2, 7, 256), real, real, real)
    queries, boxes, weight = torch.randn(2, 5, 256), torch.rand(2, 5, 4), torch.randn(2, 5, 4)

    def gradients(parameters: Mapping[str, torch.Tensor], last: torch.Tensor) -> list[torch.Tensor]:
        return list(torch.autograd.grad((last * weight).sum(), [*parameters.values()]))

    seen, references = theirs(
        queries.transpose(0, 1),
        image.tokens.transpose(0, 1),
        memory_key_padding_mask=image.padding,
        refpoints_unsigmoid=boxes.logit().transpose(0, 1),
        valid_ratios=image.valid,
        memory_text=text.tokens,
        text_attention_mask=~real,
        **image.shape_tensors,
    )
    expected = [
        (head(query) + inverse_sigmoid(reference)).sigmoid()
        for head, query, reference in zip(heads, seen, references[:-1], strict=True)
    ]
    ours.requires_grad_(True)
    try:
        found_queries, found = ours(queries, boxes, image, text)
        names = dict(ours.named_parameters())
        our_gradients = gradients(names, found[-1])
    finally:
        ours.requires_grad_(False)
    for left, right in zip([*found_queries, *found], [*seen, *expected], strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)
    same_names = {name: theirs.get_parameter(name) for name in names}
    for left, right in zip(our_gradients, gradients(same_names, expected[-1]), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4 * float(right.abs().max()))
