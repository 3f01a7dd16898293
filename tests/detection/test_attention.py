"""The layers beside those of ``groundingdino``, with the same weights; then whole networks."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import grounded_ram
from grounded_ram import GroundedRAM, runtime
from grounded_ram.detection import attention
from grounded_ram.detection.config import GroundingDINOConfig
from grounded_ram.detection.network import FASTER, AllLayers, GroundingDINO
from grounded_ram.detection.text import PromptBatch
from grounded_ram.detection.transformer import EncoderLayer, ImageFeatures, TextFeatures
from grounded_ram.runtime import recast
from grounded_ram.scenes.scene import make_scene
from tests.segmentation.small_networks import shake

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it imports timm by an old name
    from groundingdino.models.GroundingDINO.backbone.swin_transformer import WindowAttention
    from groundingdino.models.GroundingDINO.fuse_modules import BiMultiHeadAttention
    from groundingdino.models.GroundingDINO.transformer import DeformableTransformerEncoderLayer

SWIN_T = Path(grounded_ram.__file__).parent / "assets" / "configs" / "grounding_dino_swin_t.json"
ALL_FASTER = FASTER | {DeformableTransformerEncoderLayer: EncoderLayer}
PIXELS, WORDS = 35, 9
IMAGE, TEXT = 32, 48
"""Widths of the two."""

close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)
same = partial(torch.testing.assert_close, rtol=0, atol=0)
near = partial(torch.testing.assert_close, rtol=0)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def pair(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return a published layer with random weights, none zero, and the copy that is faster."""
    published = shake(layer, seed=1)
    faster = deepcopy(published)
    recast(faster, ALL_FASTER)
    return published, faster


# --- within the windows of the image backbone -----------------------------------------------------


def windowed(side: int = 4, heads: int = 3) -> WindowAttention:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.meshgrid without indexing
        return WindowAttention(24, (side, side), heads)


def shifted(windows: int, tokens: int) -> Tensor:
    """Return a mask that hides tokens from one another, not in all windows the same."""
    apart = noise(windows, tokens, tokens, seed=2) > 0
    return apart.tril(-1) * -100.0  # each token sees itself


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("images", "windows", "side", "heads"), [(1, 1, 1, 1), (1, 6, 4, 3), (2, 6, 4, 3), (2, 4, 7, 2)]
)
@torch.inference_mode()
def test_windows_see_what_they_see_in_the_published_layer(
    images: int, windows: int, side: int, heads: int, masked: bool
) -> None:
    published, faster = pair(windowed(side, heads))
    tokens = noise(images * windows, side**2, 24)
    mask = shifted(windows, side**2) if masked else None
    close(faster(tokens, mask), published(tokens, mask))


# --- between image and text -----------------------------------------------------------------------


def fused() -> BiMultiHeadAttention:
    return BiMultiHeadAttention(IMAGE, TEXT, embed_dim=64, num_heads=4)


def both(batch: int) -> tuple[Tensor, Tensor]:
    return noise(batch, PIXELS, IMAGE), noise(batch, WORDS, TEXT, seed=1)


def padding(length: int, *real: int) -> Tensor:
    """Return (B, length) which tokens are padding, of rows that begin with so many real ones."""
    return torch.arange(length) >= torch.tensor(real)[:, None]


@pytest.mark.parametrize(
    ("batch", "image_padding", "text_padding"),
    [
        (1, None, None),
        (2, None, None),
        (1, padding(PIXELS, 20), padding(WORDS, 5)),
        (2, padding(PIXELS, PIXELS, 1), None),
        (2, None, padding(WORDS, WORDS, 3)),  # one prompt is shorter than the other
        (2, padding(PIXELS, 20, PIXELS), padding(WORDS, 3, WORDS)),
        (1, None, padding(WORDS, 1)),
        (2, padding(PIXELS, 4, 9), padding(WORDS, 1, 1)),
        (2, padding(PIXELS, 20, PIXELS), padding(WORDS, WORDS, 2).flip(1)),
    ],
)
@torch.inference_mode()
def test_image_and_text_see_what_they_see_in_the_published_layer(
    batch: int, image_padding: Tensor | None, text_padding: Tensor | None
) -> None:
    published, faster = pair(fused())
    found = faster(*both(batch), image_padding, text_padding)
    for ours, theirs in zip(
        found, published(*both(batch), image_padding, text_padding), strict=True
    ):
        close(ours, theirs)


@pytest.mark.parametrize(("numbers", "pixels"), [(1, 1), (2 * 4 * WORDS * 8, 8), (2**22, PIXELS)])
@torch.inference_mode()
def test_pixels_in_pieces_read_the_same_and_no_more_at_once(
    numbers: int, pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, faster = pair(fused())
    hidden = padding(PIXELS, 20, PIXELS), padding(WORDS, 3, WORDS)
    expected, taken = published(*both(2), *hidden), []
    plain = attention._read

    def counted(*parts: Tensor) -> Tensor:
        taken.append(parts[-1].shape[1])
        return plain(*parts)

    monkeypatch.setattr(attention, "_read", counted)
    monkeypatch.setattr(runtime, "PIECE_NUMBERS", numbers)
    for ours, theirs in zip(faster(*both(2), *hidden), expected, strict=True):
        close(ours, theirs)
    assert (max(taken), sum(taken)) == (pixels, PIXELS)


# --- the feed-forward block -----------------------------------------------------------------------


def encoder_layer() -> DeformableTransformerEncoderLayer:
    return DeformableTransformerEncoderLayer(IMAGE, 40, 0.0, n_levels=2, n_heads=4, n_points=2)


@pytest.mark.parametrize(("numbers", "rows"), [(1, 1), (2 * 40 * 11, 11), (2**22, PIXELS)])
@torch.inference_mode()
def test_feed_forward_in_pieces_gives_what_the_published_block_gives(
    numbers: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, faster = pair(encoder_layer())
    tokens, taken = noise(2, PIXELS, IMAGE), []
    faster.linear1.register_forward_hook(lambda *call: taken.append(call[2].shape[1]))
    monkeypatch.setattr(runtime, "PIECE_NUMBERS", numbers)
    close(faster.forward_ffn(tokens), published.forward_ffn(tokens))
    assert (max(taken), sum(taken)) == (rows, PIXELS)


# --- training, and short numbers ------------------------------------------------------------------


def run(layer: nn.Module, tokens: Tensor) -> Tensor:
    """Return what a layer, of any of the kinds, makes of (2, 36, IMAGE) tokens."""
    if isinstance(layer, WindowAttention):
        return layer(tokens.reshape(6, 16, 24), shifted(3, 16))
    if isinstance(layer, BiMultiHeadAttention):
        words, hidden = noise(2, WORDS, TEXT, seed=1), padding(WORDS, WORDS, 3)
        seen = layer(tokens, words, padding(36, 20, 36), hidden)
        return torch.cat([part.flatten() for part in seen])
    return layer.forward_ffn(tokens)


LAYERS = pytest.mark.parametrize(
    "make", [windowed, fused, encoder_layer], ids=["window", "fusion", "feed-forward"]
)


@LAYERS
def test_with_gradients_each_computes_as_published_to_the_bit(
    make: Callable[[], nn.Module],
) -> None:
    published, faster = pair(make())
    tokens = [noise(2, 36, IMAGE).requires_grad_() for _ in range(2)]
    seen = [run(published, tokens[0]), run(faster, tokens[1])]
    same(seen[1], seen[0])
    for out in seen:
        (out * noise(*out.shape, seed=3)).sum().backward()
    same(tokens[1].grad, tokens[0].grad)
    used = [name for name, one in published.named_parameters() if one.grad is not None]
    assert len(used) >= 5
    for name in used:
        ours, theirs = faster.get_parameter(name).grad, published.get_parameter(name).grad
        same(ours, theirs)
        assert ours.any()


@LAYERS
@torch.inference_mode()
def test_bfloat16_stays_close(make: Callable[[], nn.Module]) -> None:
    published, faster = pair(make())
    tokens = noise(2, 36, IMAGE)
    with torch.autocast("cpu", torch.bfloat16):
        rough = run(faster, tokens)
    exact = run(published, tokens)
    assert 0 < (rough.float() - exact).abs().max() < 0.05 * exact.abs().max()


# --- whole networks -------------------------------------------------------------------------------


def prompts(*lengths: int) -> PromptBatch:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 1000, (len(lengths), max(lengths)), generator=generator)
    return PromptBatch.of(ids, ~padding(max(lengths), *lengths), (5, 6, 7))


def answer(network: GroundingDINO) -> AllLayers:
    """Ask about two images of unlike sizes by prompts of unlike length."""
    beside = torch.zeros(2, 97, 133, dtype=torch.bool)
    beside[1, 70:] = beside[1, :, 100:] = True
    pixels = noise(2, 3, 97, 133).masked_fill(beside[:, None], 0)
    return network.forward_all_layers(pixels, prompts(9, 5), beside)


def test_every_layer_of_the_network_is_the_faster_one(network: GroundingDINO) -> None:
    kinds = {type(module) for module in network.modules()}
    assert kinds >= set(ALL_FASTER.values())
    assert not kinds & ALL_FASTER.keys()


def test_the_whole_network_answers_alike_with_and_without_gradients(network: GroundingDINO) -> None:
    with torch.inference_mode():
        found = answer(network)
    with torch.enable_grad():
        published = answer(network)
    for ours, theirs in zip(
        (*found.layers, found.proposals), (*published.layers, published.proposals), strict=True
    ):
        torch.testing.assert_close(ours.boxes, theirs.boxes, rtol=1e-5, atol=1e-6)
        near(ours.logits, theirs.logits, atol=1e-4)


@torch.inference_mode()
def test_copies_and_pickles_of_a_network_answer_the_same(network: GroundingDINO) -> None:
    expected = answer(network).layers[-1]
    for copy in (deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert list(copy.state_dict()) == list(network.state_dict())
        assert {type(m) for m in copy.modules()} == {type(m) for m in network.modules()}
        found = answer(copy).layers[-1]
        close(found.boxes, expected.boxes)
        near(found.logits, expected.logits, atol=1e-4)


@pytest.fixture
def swin_t() -> GroundingDINO:
    """A released network's sizes in all but its text encoder, which has no faster way."""
    settings = json.loads(SWIN_T.read_text("utf-8"))["model"]
    settings["bert"] |= {"num_hidden_layers": 1, "vocab_size": 1000}
    network = shake(GroundingDINO(GroundingDINOConfig.from_dict(settings)), seed=0)
    return network.requires_grad_(False)


def test_released_sizes_agree_part_by_part(swin_t: GroundingDINO) -> None:
    """Each part starts from the same: which of two near cells ranks first would change queries."""
    pixels, asked, parts = noise(1, 3, 200, 266), prompts(12, 7), swin_t.transformer
    queries, boxes = 0.3 * noise(2, 900, 256), noise(2, 900, 4, seed=1).sigmoid()

    image, text = swin_t.image_features(pixels), swin_t.text_features(asked)
    twice = image.take([0, 0])
    read, understood = parts.encoder(twice, text)
    given = (
        ImageFeatures(read, twice.position, twice.padding, twice.shapes, twice.valid),
        TextFeatures(understood, text.real, text.sees, text.positions),
    )
    seen, found = parts.decoder(queries, boxes, *given)
    with torch.inference_mode():
        near(swin_t.image_features(pixels).tokens, image.tokens, atol=5e-5)
        near(parts.encoder(twice, text), (read, understood), atol=5e-4)
        our_seen, our_found = parts.decoder(queries, boxes, *given)
    near(our_seen, seen, atol=2e-3)
    near(our_found, found, atol=3e-4)


@torch.inference_mode()
def test_the_packaged_detector_finds_the_same_boxes() -> None:
    ours, published = (GroundedRAM("tiny", device="cpu").detector for _ in range(2))
    recast(published.network, {faster: plain for plain, faster in ALL_FASTER.items()})
    assert not set(ALL_FASTER.values()) & {type(module) for module in published.network.modules()}
    scenes = [make_scene(seed, size=size) for seed, size in ((11, 256), (12, 320))]
    images, tags = [scene.image for scene in scenes], [scene.tags for scene in scenes]
    found, expected = (stage.detect(images, tags, threshold=0.05) for stage in (ours, published))
    for scene, one, other in zip(scenes, found, expected, strict=True):
        assert len(one) >= len(scene.objects)
        np.testing.assert_array_equal(one.data["class_name"], other.data["class_name"])
        np.testing.assert_allclose(one.xyxy, other.xyxy, rtol=0, atol=1e-4 * len(scene.image))
        np.testing.assert_allclose(one.confidence, other.confidence, rtol=0, atol=1e-4)
