"""The layers beside those of ``segment_anything``, with the same weights."""

from __future__ import annotations

import pickle
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from segment_anything.modeling import Sam
from segment_anything.modeling.common import MLPBlock
from segment_anything.modeling.image_encoder import Attention, Block
from torch import Tensor, nn
from torch.nn import functional

from grounded_ram import GroundedRAM, runtime
from grounded_ram.runtime import recast
from grounded_ram.scenes.scene import make_scene
from grounded_ram.segmentation import attention
from grounded_ram.segmentation.attention import (
    PiecewiseMLP,
    PositionedAttention,
    attend,
    attend_by_longer_keys,
)
from grounded_ram.segmentation.sam import SAMConfig, build_sam
from tests.segmentation.small_networks import shake

FASTER = {Attention: PositionedAttention, MLPBlock: PiecewiseMLP}
CONFIG = SAMConfig(
    image_size=128,
    encoder_width=48,
    encoder_depth=4,
    encoder_heads=4,
    window_size=3,  # 8 x 8 tokens: the last windows are padded
    global_blocks=(1, 3),
    prompt_width=32,
    decoder_heads=4,
    decoder_mlp=64,
    iou_head_width=32,
)

close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)
same = partial(torch.testing.assert_close, rtol=0, atol=0)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return a published layer with random weights, and the copy that is faster."""
    published = shake(layer, seed=1)  # tables of positions start at zero, and would do nothing
    faster = deepcopy(published)
    recast(faster, FASTER)
    return published, faster


def positioned(*table_hw: int) -> Attention:
    return Attention(24, num_heads=3, use_rel_pos=True, input_size=table_hw)


def mlp() -> MLPBlock:
    return MLPBlock(embedding_dim=24, mlp_dim=40)


@pytest.mark.parametrize(
    ("batch", "size_hw", "table_hw"),
    [
        (1, (8, 8), (8, 8)),
        (2, (5, 7), (5, 7)),
        (9, (3, 3), (3, 3)),
        (1, (14, 14), (14, 14)),
        (2, (1, 9), (1, 9)),
        (1, (7, 1), (7, 1)),
        (1, (1, 1), (1, 1)),
        (2, (6, 4), (9, 9)),  # the table is stretched to the map
    ],
)
@torch.inference_mode()
def test_attention_sees_what_the_published_layer_sees(
    batch: int, size_hw: tuple[int, int], table_hw: tuple[int, int]
) -> None:
    published, faster = pair(positioned(*table_hw))
    tokens = noise(batch, *size_hw, 24)
    close(faster(tokens), published(tokens))


@pytest.mark.parametrize(
    ("allowed", "calls"),
    [
        (1, 5 * 3 * 35),  # a query at a time
        (100, 5 * 3 * 18),  # two queries
        (35 * 35, 5 * 3),  # a head
        (3 * 35 * 35, 5),  # all heads of one map
        (8 * 35 * 35, 3),  # two maps, and the fifth by itself
        (15 * 35 * 35, 1),
    ],
)
@torch.inference_mode()
def test_scores_in_pieces_give_the_same_and_no_more_are_written_at_once(
    allowed: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, faster = pair(positioned(5, 7))
    tokens, written = noise(5, 5, 7, 24), []
    expected = published(tokens)
    plain = functional.scaled_dot_product_attention

    def counted(*qkv: Tensor, attn_mask: Tensor) -> Tensor:
        written.append(attn_mask.numel())
        return plain(*qkv, attn_mask=attn_mask)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", counted)
    monkeypatch.setattr(attention, "_SCORES_AT_ONCE", allowed)
    close(faster(tokens), expected)
    assert len(written) == calls
    assert max(written) <= max(35, allowed)


def attend_obviously(
    queries: Tensor, keys: Tensor, values: Tensor, down: Tensor, across: Tensor
) -> Tensor:
    scores = queries @ keys.mT * queries.shape[-1] ** -0.5
    bias = down[..., :, None] + across[..., None, :]  # of each query for each row and column
    return (scores + bias.flatten(-2)).softmax(-1) @ values


@pytest.mark.parametrize("size_hw", [(4, 4), (5, 7), (1, 6), (9, 2)])
@pytest.mark.parametrize("batch", [1, 2])
def test_both_ways_add_the_bias_of_a_keys_row_and_column(
    batch: int, size_hw: tuple[int, int]
) -> None:
    height, width = size_hw
    queries, keys, values = noise(3, batch, 3, height * width, 8)
    down = noise(batch, 3, height * width, height, seed=1)
    across = noise(batch, 3, height * width, width, seed=2)
    expected = attend_obviously(queries, keys, values, down, across)
    close(attend(queries, keys, values, down, across), expected)
    close(attend_by_longer_keys(queries, keys, values, down, across), expected)

    short = [t.bfloat16() for t in (queries, keys, values, down, across)]
    for rough in (attend(*short), attend_by_longer_keys(*short)):
        assert rough.dtype == torch.bfloat16
        assert (rough.float() - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize(("numbers", "rows"), [(1, 1), (40 * 11, 11), (2**22, 70)])
@torch.inference_mode()
def test_mlp_in_pieces_gives_what_the_published_block_gives(
    numbers: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, faster = pair(mlp())
    tokens, taken = noise(2, 5, 7, 24), []
    faster.lin1.register_forward_hook(lambda *call: taken.append(call[2].shape[-2]))
    monkeypatch.setattr(runtime, "PIECE_NUMBERS", numbers)
    close(faster(tokens), published(tokens))
    assert (max(taken), sum(taken)) == (rows, 70)


@pytest.mark.parametrize("layer", [positioned(5, 7), mlp()], ids=["attention", "mlp"])
def test_with_gradients_both_compute_as_published_to_the_bit(layer: nn.Module) -> None:
    published, faster = pair(layer)
    tokens = [noise(2, 5, 7, 24).requires_grad_() for _ in range(2)]
    seen = [published(tokens[0]), faster(tokens[1])]
    same(seen[1], seen[0])
    for out in seen:
        (out * noise(*out.shape, seed=1)).sum().backward()
    same(tokens[1].grad, tokens[0].grad)
    for ours, theirs in zip(faster.parameters(), published.parameters(), strict=True):
        same(ours.grad, theirs.grad)
        assert ours.grad.any()


@pytest.mark.parametrize("layer", [positioned(5, 7), mlp()], ids=["attention", "mlp"])
@torch.inference_mode()
def test_bfloat16_stays_close(layer: nn.Module) -> None:
    published, faster = pair(layer)
    tokens = noise(2, 5, 7, 24)
    exact = published(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        rough = faster(tokens)
    assert rough.dtype == torch.bfloat16
    assert 0 < (rough.float() - exact).abs().max() < 0.05 * exact.abs().max()


# --- whole networks -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sam() -> Any:
    return shake(build_sam(CONFIG), seed=3)


def answer(sam: Sam) -> tuple[Tensor, Tensor, Tensor]:
    """Return embeddings, mask logits and scores of two images and three boxes."""
    embeddings = sam.image_encoder(noise(2, 3, 128, 128))
    boxes = torch.tensor([[10.0, 10, 60, 70], [0, 0, 128, 128], [40, 3, 41, 99]])
    sparse, dense = sam.prompt_encoder(points=None, boxes=boxes, masks=None)
    logits, scores = sam.mask_decoder(
        image_embeddings=embeddings[1:],
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
    )
    return embeddings, logits, scores


def test_every_layer_of_the_encoder_is_the_faster_one(sam: Sam) -> None:
    kinds = [type(module) for module in sam.image_encoder.modules()]
    assert kinds.count(PositionedAttention) == kinds.count(PiecewiseMLP) == 4
    assert not FASTER.keys() & set(kinds)


def test_the_whole_network_answers_alike_with_and_without_gradients(sam: Sam) -> None:
    with torch.inference_mode():
        found = answer(sam)
    with torch.enable_grad():
        published = answer(sam)
    assert published[0].requires_grad
    for ours, theirs in zip(found, published, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_copies_and_pickles_of_a_network_answer_the_same(sam: Sam) -> None:
    expected = answer(sam)
    for copy in (deepcopy(sam), pickle.loads(pickle.dumps(sam))):
        assert list(copy.state_dict()) == list(sam.state_dict())
        assert type(copy.image_encoder.blocks[0].attn) is PositionedAttention
        for ours, theirs in zip(answer(copy), expected, strict=True):
            close(ours, theirs)


@pytest.mark.parametrize("window", [14, 0])
@torch.inference_mode()
def test_blocks_with_heads_and_maps_of_the_released_sizes_agree(window: int) -> None:
    block = Block(256, 4, use_rel_pos=True, window_size=window, input_size=(64, 64))
    published, faster = pair(block)
    tokens = noise(1, 64, 64, 256)
    torch.testing.assert_close(faster(tokens), published(tokens), rtol=1e-5, atol=5e-5)


@torch.inference_mode()
def test_the_packaged_segmenter_cuts_out_the_same_masks() -> None:
    ours, published = (GroundedRAM("tiny", device="cpu").segmenter for _ in range(2))
    recast(published.model, {faster: plain for plain, faster in FASTER.items()})
    assert not set(FASTER.values()) & {type(module) for module in published.model.modules()}
    for seed, size in ((11, 256), (12, 320)):
        scene = make_scene(seed, size=size)
        boxes = np.stack([thing.box_xyxy for thing in scene.objects])
        (logits, scores), (expected, expected_scores) = (
            segmenter.decode(segmenter.embed([scene.image])[0], boxes)
            for segmenter in (ours, published)
        )
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)
        torch.testing.assert_close(scores, expected_scores, rtol=0, atol=1e-4)
        both, either = (logits > 0) & (expected > 0), (logits > 0) | (expected > 0)
        overlap = both.sum((1, 2, 3)) / either.sum((1, 2, 3))
        assert overlap.min() > 0.999
